"""What headquarters' administrators do with accounts. Nobody decides on one's own."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.clock import china_date
from app.core.problems import InvalidPayload, NotFound, PreconditionFailed
from app.identity import grants
from app.identity.models import Account, AccountKind, Grant
from app.identity.problems import OwnAccount
from app.identity.session_models import Ending
from app.identity.sessions import end_all


async def account(session: AsyncSession, account_id: UUID) -> Account:
    """One account.

    Raises:
        NotFound: there is none.
    """
    found = await session.get(Account, account_id)
    if found is None:
        raise NotFound("account")
    return found


async def person(session: AsyncSession, actor: Actor, account_id: UUID) -> Account:
    """Another person's account, to give or end a grant of it.

    Raises:
        NotFound: there is none, or it is a program's.
        OwnAccount: it is the actor's.
    """
    found = await account(session, account_id)
    if found.kind != AccountKind.PERSON:
        raise NotFound("account")
    _require_another(actor, found)
    return found


async def end_grant(
    session: AsyncSession, actor: Actor, account_id: UUID, grant_id: UUID, last_day: date | None, *, now: datetime
) -> Grant:
    """End a grant of another person. Where that is today or at once, the person's sessions end.

    Raises:
        NotFound, OwnAccount.
        InvalidPayload: see `grants.end`.
    """
    account = await person(session, actor, account_id)
    ended = await grants.end(session, account.id, grant_id, last_day, now=now)
    # a token that is out already would not know of the nearer end
    if ended.valid_until is not None and ended.valid_until <= china_date(now):
        await end_all(session, Ending.REVOKED, now, account_id=account.id)
    return ended


async def update(
    session: AsyncSession, actor: Actor, account_id: UUID, changes: dict[str, object], *, version: int,
    now: datetime,
) -> Account:  # fmt: skip
    """Rename, deactivate or reactivate an account, or change a program's scopes; deactivated, its sessions end.

    Raises:
        NotFound, PreconditionFailed.
        OwnAccount: it is the actor's.
        InvalidPayload: scopes for a person.
    """
    found = await account(session, account_id)
    _require_another(actor, found)
    if "scopes" in changes and found.kind != AccountKind.PROGRAM:
        raise InvalidPayload.at("/scopes", "scopes_of_person")
    await session.refresh(found, with_for_update=True)
    if found.version != version:
        raise PreconditionFailed
    for name, value in changes.items():
        setattr(found, name, value)
    found.version += 1
    await session.flush()
    if not found.is_active:
        await end_all(session, Ending.REVOKED, now, account_id=found.id)
    return found


def _require_another(actor: Actor, account: Account) -> None:
    if account.username == actor.subject:
        raise OwnAccount
