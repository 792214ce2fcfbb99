"""What headquarters' administrators do with accounts. Nobody decides on one's own."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Right
from app.core.clock import china_date
from app.core.editing import change, require_version
from app.core.problems import InvalidPayload, NotFound
from app.identity import grants, program_reach
from app.identity.models import Account, AccountKind, Grant
from app.identity.problems import AccountBlocked, OwnAccount
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
    """Another person's account, to decide on; locked until commit, so that nobody signs in meanwhile.

    Raises:
        NotFound: there is none, or it is a program's.
        OwnAccount: it is the actor's.
    """
    found = await session.get(Account, account_id, with_for_update=True, populate_existing=True)
    if found is None or found.kind != AccountKind.PERSON:
        raise NotFound("account")
    require_another(actor, found)
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
        account.narrowed_at = now
        await end_all(session, Ending.REVOKED, now, account_id=account.id)
    return ended


async def update(
    session: AsyncSession, actor: Actor, account_id: UUID, changes: dict[str, Any], *, version: int,
    now: datetime,
) -> Account:  # fmt: skip
    """Rename, deactivate or reactivate an account, or change a program's scopes, reach or last day.

    Deactivated, its sessions end.

    Raises:
        NotFound, PreconditionFailed.
        OwnAccount: it is the actor's.
        InvalidPayload: what is a program's for a person; or see `program_reach.require`.
    """
    found = await account(session, account_id)
    require_another(actor, found)
    for field in program_reach.FIELDS:
        if field in changes and found.kind != AccountKind.PROGRAM:
            raise InvalidPayload.at(f"/{field}", "scopes_of_person")
    await session.refresh(found, with_for_update=True)
    require_version(found, version)
    await program_reach.require(
        session, changes.get("region_code", found.region_code), changes.get("dealer_codes", found.dealer_codes)
    )
    await apply(session, actor, found, changes, now=now)
    return found


async def apply(
    session: AsyncSession, actor: Actor, account: Account, changes: Mapping[str, object], *, now: datetime
) -> None:
    """Change an account that is locked. What headquarters deactivated, its administrators make active again.

    Deactivated, the account's sessions end, and so does every access token it was given; those of a program end, too,
    when what it may do or how far it reaches changes.

    Raises:
        AccountBlocked.
    """
    if changes.get("is_active") is True and account.is_blocked and not actor.may(Right.ACCOUNTS_WRITE):
        raise AccountBlocked
    change(account, changes)
    if account.is_active:
        account.is_blocked = False
    elif "is_active" in changes:
        account.is_blocked = account.is_blocked or not actor.role.is_dealer_staff
        account.deactivated_at = now
    if not changes.keys().isdisjoint(program_reach.FIELDS):
        account.narrowed_at = now
    await session.flush()
    if not account.is_active:
        await end_all(session, Ending.REVOKED, now, account_id=account.id)


def require_another(actor: Actor, account: Account) -> None:
    """Refuse a decision on one's own account.

    Raises:
        OwnAccount.
    """
    if account.username == actor.subject:
        raise OwnAccount
