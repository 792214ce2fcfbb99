"""Sessions that tests open, and what becomes of them."""

from datetime import date
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from app.core.actors import Actor, Role
from app.identity import grants, sessions
from app.identity.models import Account, Grant
from app.identity.service import create_account
from app.identity.sessions import SignedIn
from tests.api import Api
from tests.now import NOW
from tests.shop import Person

_names = count(1)


class Staff(NamedTuple):
    """An account with its first grant."""

    account: Account
    grant: Grant

    @property
    def actor(self) -> Actor:
        return grants.actor_of(self.account, self.grant)


async def staff(api: Api, *, role: Role = Role.SERVICE_ADVISOR, until: date | None = None, name: str = "") -> Staff:
    async with api.db.session() as session:
        account = await create_account(
            session, username=name or f"li.{next(_names)}", name="李", role=role, password=None, now=NOW, by="tests",
            dealer_code="BJ001" if role.is_dealer_staff else None, valid_until=until,
        )  # fmt: skip
        (grant,) = await grants.current(session, account.id, NOW.date())
    return Staff(account, grant)


async def open_for(api: Api, who: Staff | Person, device: str = "phone", actor: Actor | None = None) -> SignedIn:
    """Signed in, as after a good password or code."""
    keeper: sessions.Sessions = api.app.state.sessions
    now = api.app.state.now
    async with api.db.session() as session:
        if isinstance(who, Staff):
            return await keeper.open_session(
                session, actor or who.actor, account_id=who.account.id, now=now, device=device
            )
        actor = Actor(who.member_no, Role.MEMBER, None, who.id)
        return await keeper.open_session(session, actor, member_id=who.id, now=now, device=device)


async def refresh(api: Api, refresh_token: str) -> httpx.Response:
    return await api.call("POST", "/sign-in/refresh", json={"refresh_token": refresh_token})


async def good(api: Api, token: str) -> bool:
    """Whether an access token opens the door."""
    return (await api.call("GET", "/sessions", token)).status_code == 200


async def listed(api: Api, token: str) -> list[dict[str, Any]]:
    answer = await api.call("GET", "/sessions", token)
    assert answer.status_code == 200
    return list(answer.json()["items"])


async def ending(api: Api, session_id: UUID | None) -> str | None:
    reason: str | None = await api.db.pool.fetchval("SELECT ended_because FROM login_session WHERE id = $1", session_id)
    return reason


ENDED = (401, "/problems/session-ended")
