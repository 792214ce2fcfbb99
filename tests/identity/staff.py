"""Staff who sign in with a password of their own."""

from datetime import datetime

import httpx

from app.core.actors import Role
from app.identity.credential_models import Credential
from app.identity.models import Account
from app.identity.service import create_account
from tests.api import Api
from tests.now import NOW

PASSWORD = "correct horse battery 马"


def admin(api: Api) -> str:
    """Headquarters' administrator of accounts."""
    return api.token(Role.HQ_ADMIN, subject="admin")


async def hire(
    api: Api, username: str, role: Role, *, dealer: str | None = None, password: str = PASSWORD,
    own_password: bool = True, now: datetime = NOW,
) -> Account:  # fmt: skip
    """An account; its password is its owner's, unless it is still the initial one."""
    async with api.db.session() as session:
        account = await create_account(
            session, username=username, name=username, role=role, dealer_code=dealer, password=password, by="tests",
            now=now,
        )  # fmt: skip
        if own_password:
            session.add(Credential(account_id=account.id, must_change=False, changed_at=now))
        return account


async def sign_in(api: Api, username: str, password: str = PASSWORD, *, otp: str | None = None) -> httpx.Response:
    """One attempt."""
    body = {"username": username, "password": password} | ({"otp": otp} if otp else {})
    return await api.call("POST", "/sign-in", json=body)
