"""The network's use cases: dealers, chapters and their staff."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries
from app.chapters.models import Chapter, Dealer, Region
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
from app.core.db import broken_constraint
from app.core.problems import Forbidden, InvalidPayload, NotFound, PreconditionFailed, Problem
from app.identity import queries as identity_queries
from app.identity import service as identity
from app.identity.models import Account
from app.identity.queries import StaffMember
from app.identity.session_models import Ending
from app.identity.sessions import end_all


async def create_region(session: AsyncSession, body: RegionCreate) -> Region:
    """Take a regional office into the network.

    Raises:
        RegionExists: the code is in use.
    """
    if await queries.region_exists(session, body.code):
        raise RegionExists
    created = Region(**body.model_dump())
    session.add(created)
    await _insert(session, "pk_region", RegionExists)
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
    await _insert(session, "pk_dealer", DealerExists)
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
    """Give a dealer its chapter.

    Raises:
        NotFound: there is no such dealer.
        ChapterExists: it has one.
        InvalidPayload: the day lies in the future.
    """
    today = china_date(now)
    if (body.opened_on or today) > today:
        raise InvalidPayload.at("/opened_on", "date_in_future")
    if (await dealer(session, actor, code)).chapter is not None:
        raise ChapterExists
    opened = Chapter(dealer_code=code, name=body.name, opened_on=body.opened_on or today)
    session.add(opened)
    await _insert(session, "pk_chapter", ChapterExists)
    return opened


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
        UsernameTaken: another account has the username.
    """
    await dealer(session, actor, code)
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
        NotFound: there is no such account, or it works for no dealer, or not for the actor's.
        Forbidden: the person works elsewhere too, which a dealer does not decide on.
        PreconditionFailed.
    """
    under = await identity_queries.staff_member(session, account_id, china_date(now))
    shown = next((member for member in under if _employs(actor, member)), None)
    if shown is None:
        raise NotFound("staff account")
    if not all(_employs(actor, member) for member in under):
        raise Forbidden
    await _change(session, shown.account, body.model_dump(exclude_unset=True), version)
    if not shown.account.is_active:
        await end_all(session, Ending.REVOKED, now, account_id=account_id)
    return shown


def _employs(actor: Actor, member: StaffMember) -> bool:
    at = member.grant.dealer_code
    return at == actor.dealer_code if actor.role.is_dealer_staff else at is not None


async def _insert(session: AsyncSession, key: str, exists: type[Problem]) -> None:
    """Write what was added; `exists` when somebody added the same `key` at the same moment."""
    try:
        await session.flush()
    except IntegrityError as error:
        if broken_constraint(error) != key:
            raise
        raise exists from None


async def _change(
    session: AsyncSession, record: Dealer | Chapter | Account, changes: dict[str, object], version: int
) -> None:
    await session.refresh(record, with_for_update=True)
    if record.version != version:
        raise PreconditionFailed
    for name, value in changes.items():
        setattr(record, name, value)
    record.version += 1
    await session.flush()
