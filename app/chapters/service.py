"""The network's use cases: dealers, chapters and their staff."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries
from app.chapters.models import Chapter, Dealer, FormerChapter, Region
from app.chapters.problems import ChapterExists, DealerExists, RegionExists
from app.chapters.queries import DealerRow
from app.chapters.schemas import (
    ChapterCreate,
    ChapterUpdate,
    DealerCreate,
    DealerUpdate,
    RegionCreate,
    StaffCreate,
    StaffUpdate,
)
from app.core.actors import Actor
from app.core.clock import china_date
from app.core.db import flush_unless, unrestricted
from app.core.editing import change, edit, require_version
from app.core.problems import Forbidden, InvalidPayload, NotFound
from app.identity import accounts, credentials
from app.identity import queries as identity_queries
from app.identity import service as identity
from app.identity.queries import StaffMember
from app.identity.rules import may_give


async def create_region(session: AsyncSession, body: RegionCreate) -> Region:
    """Take a regional office into the network.

    Raises:
        RegionExists: the code is in use.
    """
    if await queries.region_exists(session, body.code):
        raise RegionExists
    created = Region(**body.model_dump())
    session.add(created)
    await flush_unless(session, "pk_region", RegionExists)
    return created


async def dealer(session: AsyncSession, actor: Actor, code: str) -> DealerRow:
    """One dealer with its chapter.

    Raises:
        NotFound: there is none, or it is not the actor's.
    """
    found = await queries.dealer(session, actor, code)
    if found is None:
        raise NotFound("dealer")
    return found


async def create_dealer(session: AsyncSession, body: DealerCreate) -> DealerRow:
    """Take a dealer into the network, without a chapter yet.

    Raises:
        DealerExists: the code is in use.
        InvalidPayload: there is no such region.
    """
    await _require_region(session, body.region_code)
    if await session.get(Dealer, body.code) is not None:
        raise DealerExists
    created = Dealer(**body.model_dump())
    session.add(created)
    await flush_unless(session, "pk_dealer", DealerExists)
    return DealerRow(created, None)


async def update_dealer(
    session: AsyncSession, actor: Actor, code: str, body: DealerUpdate, *, version: int
) -> DealerRow:
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
        InvalidPayload: there is no such region.
    """
    found = await dealer(session, actor, code)
    changes = body.model_dump(exclude_unset=True)
    if "region_code" in changes:
        await _require_region(session, body.region_code)
    await _change(session, found.dealer, changes, version)
    return found


async def _require_region(session: AsyncSession, code: str) -> None:
    if not await queries.region_exists(session, code):
        raise InvalidPayload.at("/region_code", "unknown_region", value=code)


async def chapter(session: AsyncSession, actor: Actor, code: str) -> Chapter:
    """A dealer's chapter.

    Raises:
        NotFound: the dealer has none, or is not the actor's.
    """
    found = (await dealer(session, actor, code)).chapter
    if found is None:
        raise NotFound("chapter")
    return found


async def open_chapter(
    session: AsyncSession, actor: Actor, code: str, body: ChapterCreate, *, now: datetime
) -> Chapter:
    """Give a dealer its chapter, or open again the one that was closed.

    Raises:
        NotFound: there is no such dealer.
        ChapterExists: it has one.
        InvalidPayload: the day lies in the future, or before the chapter was closed.
    """
    opened_on = body.opened_on or china_date(now)
    if opened_on > china_date(now):
        raise InvalidPayload.at("/opened_on", "date_in_future")
    if (await dealer(session, actor, code)).chapter is not None:
        raise ChapterExists
    former = await session.get(Chapter, code, with_for_update=True, populate_existing=True)
    if former is not None:
        return await _open_again(session, former, body.name, opened_on)
    opened = Chapter(dealer_code=code, name=body.name, opened_on=opened_on)
    session.add(opened)
    await flush_unless(session, "pk_chapter", ChapterExists)
    return opened


async def _open_again(session: AsyncSession, former: Chapter, name: str | None, opened_on: date) -> Chapter:
    if former.closed_on is None:
        raise ChapterExists
    if opened_on < former.closed_on:
        raise InvalidPayload.at("/opened_on", "date_too_early", earliest=former.closed_on)
    # one closed on its first day was there on none
    if former.closed_on > former.opened_on:
        days = {"opened_on": former.opened_on, "closed_on": former.closed_on}
        session.add(FormerChapter(dealer_code=former.dealer_code, **days))
    change(former, {"opened_on": opened_on, "closed_on": None, "name": name or former.name})
    await session.flush()
    return former


async def update_chapter(
    session: AsyncSession, actor: Actor, code: str, body: ChapterUpdate, *, version: int
) -> Chapter:
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
    """
    found = await chapter(session, actor, code)
    await _change(session, found, body.model_dump(exclude_unset=True), version)
    return found


async def close_chapter(session: AsyncSession, actor: Actor, code: str, today: date) -> Chapter:
    """End a chapter, its offices with it; who is there afterwards finds none. Its members are `members.closing`'s.

    Raises:
        NotFound: the dealer has none, or is not the actor's.
    """
    found = await chapter(session, actor, code)
    # who joins at this moment holds it still, and is moved with the others
    await session.refresh(found, with_for_update=True)
    if found.closed_on is not None:
        raise NotFound("chapter")
    change(found, {"closed_on": today})
    await queries.end_offices(session, code, today)
    await session.flush()
    return found


async def staff(
    session: AsyncSession, actor: Actor, code: str, *, after: UUID | None, limit: int, now: datetime
) -> Sequence[StaffMember]:
    """The accounts of a dealer's staff, each under its grant there.

    Raises:
        NotFound: there is no such dealer, or it is not the actor's.
    """
    await dealer(session, actor, code)
    return await identity_queries.staff_of(session, code, china_date(now), after=after, limit=limit)


async def create_staff(
    session: AsyncSession, actor: Actor, code: str, body: StaffCreate, *, now: datetime
) -> StaffMember:
    """Give one of a dealer's staff an account.

    Raises:
        NotFound: there is no such dealer, or it is not the actor's.
        Forbidden: the actor may not give this role.
        UsernameTaken: another account has the username.
        InvalidPayload: see `identity.create_account`.
    """
    await dealer(session, actor, code)
    if not may_give(actor.role, body.role):
        raise Forbidden
    # names are taken once in the whole club, and an account is nobody's before it has its grant
    await unrestricted(session)
    account = await identity.create_account(
        session, username=body.username, name=body.name, role=body.role, dealer_code=code,
        password=body.password.get_secret_value(), now=now, by=actor.subject,
    )  # fmt: skip
    (created,) = await identity_queries.staff_member(session, account.id, china_date(now))
    return created


async def update_staff(
    session: AsyncSession, actor: Actor, account_id: UUID, body: StaffUpdate, *, version: int, now: datetime
) -> StaffMember:
    """Rename, deactivate or reactivate a staff account; deactivated, its sessions end.

    Raises:
        NotFound, OwnAccount, Forbidden: see `_subordinate`.
        AccountBlocked: headquarters deactivated it.
        PreconditionFailed.
    """
    shown = await _subordinate(session, actor, account_id, now)
    require_version(shown.account, version)
    await accounts.apply(session, actor, shown.account, body.model_dump(exclude_unset=True), now=now)
    return shown


async def reset_staff_password(
    session: AsyncSession, actor: Actor, account_id: UUID, password: SecretStr, *, now: datetime
) -> None:
    """Give one of a dealer's staff a new initial password; the account's sessions end.

    Raises:
        NotFound, OwnAccount, Forbidden: see `_subordinate`.
        InvalidPayload: the password is too short, too common or contains the username.
    """
    await _subordinate(session, actor, account_id, now)
    await credentials.reset_password(session, actor, account_id, password, now=now)


async def _subordinate(session: AsyncSession, actor: Actor, account_id: UUID, now: datetime) -> StaffMember:
    """Somebody on whom the actor decides, under the grant by which it does; the account is locked.

    Raises:
        NotFound: there is no such account, or it works for no dealer, or not for the actor's.
        OwnAccount: it is the actor's.
        Forbidden: the person works elsewhere too, or in a role that the actor may not give.
    """
    # their grants elsewhere decide too
    await unrestricted(session)
    under = await identity_queries.staff_member(session, account_id, china_date(now))
    shown = next((member for member in under if _employs(actor, member)), None)
    if shown is None:
        raise NotFound("staff account")
    accounts.require_another(actor, shown.account)
    if not all(_employs(actor, member) and may_give(actor.role, member.grant.role) for member in under):
        raise Forbidden
    return shown


def _employs(actor: Actor, member: StaffMember) -> bool:
    at = member.grant.dealer_code
    return at == actor.dealer_code if actor.role.is_dealer_staff else at is not None


async def _change(session: AsyncSession, record: Dealer | Chapter, changes: dict[str, object], version: int) -> None:
    await session.refresh(record, with_for_update=True)
    edit(record, changes, version)
    await session.flush()
