"""People at the sign-in: from elsewhere, later, with a second factor, with a new password."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp

from tests.api import Api
from tests.identity.staff import PASSWORD


@asynccontextmanager
async def elsewhere(api: Api, address: str = "203.0.113.7") -> AsyncIterator[Api]:
    """The same service, called from another address."""
    transport = httpx.ASGITransport(api.app, raise_app_exceptions=False, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://club.test") as client:
        yield Api(api.app, client)


async def change(api: Api, username: str, old: str, new: str, **more: str) -> httpx.Response:
    body = {"username": username, "password": old, "new_password": new} | more
    return await api.call("POST", "/sign-in/password", json=body)


def code_at(secret: str, moment: datetime) -> str:
    """The code a generator shows."""
    return pyotp.TOTP(secret).at(moment)


async def set_up(api: Api, username: str) -> tuple[str, list[str]]:
    """A second factor in place: its secret and the recovery codes. Its first code is used up by this."""
    body = {"username": username, "password": PASSWORD}
    begun = await api.call("POST", "/sign-in/second-factor", json=body)
    assert begun.status_code == 200, begun.text
    secret = parse_qs(urlsplit(begun.json()["uri"]).query)["secret"][0]
    code = code_at(secret, api.app.state.now)
    confirmed = await api.call("POST", "/sign-in/second-factor/confirm", json=body | {"otp": code})
    assert confirmed.status_code == 200, confirmed.text
    return secret, confirmed.json()["recovery_codes"]


def later(api: Api, **amount: float) -> datetime:
    api.app.state.now += timedelta(**amount)
    now: datetime = api.app.state.now
    return now
