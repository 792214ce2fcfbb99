"""The SQL of members, and the one condition on which members an actor may see."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor, Reach, Role
from app.core.db import Connection, Database, unrestricted
from app.core.filter_sql import starts_with
from app.core.vault import finds, vault_for
from app.members.first_pages import Page, quickest
from app.members.models import Application, Member, Ownership, Vehicle
from app.members.rules import (
    ApplicationStatus,
    MemberStatus,
    Vin,
    is_member_number,
    masked_name,
    parse_mobile,
    parse_vin,
)

IMPORTING = 7_310_000_012
"""Advisory lock of the roll: shared by who enrols one, exclusive for an import's chunk."""


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """A member sees itself, a chapter its members, a region those of its chapters, headquarters and programs all.

    Nobody sees the erased.
    """
    is_own = actor.reach is Reach.SELF
    reached = col(Member.id) == actor.member_id if is_own else dealer_visible_to(actor, col(Member.dealer_code))
    return and_(reached, col(Member.erased_at).is_(None))


def applications_visible_to(actor: Actor) -> ColumnElement[bool]:
    """A chapter sees the applications to it, a region those to its chapters; headquarters and programs see all."""
    return dealer_visible_to(actor, col(Application.dealer_code))


def standing() -> ColumnElement[bool]:
    """Not merged into another member, who goes on for it."""
    return col(Member.merged_into).is_(None)


_Named = aliased(Member)


def _stands_for(named: ColumnElement[bool]) -> ColumnElement[bool]:
    """The member whom a condition on `_Named` finds, or who goes on for it."""
    goes_on = select(func.coalesce(col(_Named.merged_into), col(_Named.id))).where(named)
    # looked up once: joined to, it would be behind row-level security, and all members be read
    return col(Member.id) == func.any(func.array(goes_on.scalar_subquery()))


class OwnedVehicle(NamedTuple):
    """A vehicle and since when it is its member's."""

    vin: str
    since: date
    check_digit_ok: bool


async def member(session: AsyncSession, actor: Actor, member_id: UUID, *, locked: bool = False) -> Member | None:
    """One member, if the actor may see it; `locked` for change."""
    query = select(Member).where(col(Member.id) == member_id, visible_to(actor))
    return await session.scalar(_locked(query) if locked else query)


def _locked(query: Select[Member]) -> Select[Member]:
    # what the session read before the lock may be stale
    return query.with_for_update().execution_options(populate_existing=True)


async def members(
    session: AsyncSession, actor: Actor, *conditions: ColumnElement[bool], after: UUID | None, limit: int,
    newest_first: bool = False, include_merged: bool = False,
) -> Sequence[Member]:  # fmt: skip
    """The members an actor may see and on whom all conditions hold, oldest or newest first, from after an id; none
    merged, unless they are asked for."""
    reached = visible_to(actor) if include_merged else and_(visible_to(actor), standing())
    page = Page(reached, conditions, after, limit, newest_first)
    return (await session.scalars(await quickest(session, page))).all()


def sought(
    *, member_no: str | None, phone: str | None, vin: str | None, plate: str | None, name: str | None,
    initials: str | None,
) -> list[ColumnElement[bool]]:  # fmt: skip
    """What a search asks of `Member`: number, phone, VIN, plate exactly, names and initials from their beginning.

    By the number or phone of one who was merged it finds who goes on.
    """
    conditions: list[ColumnElement[bool]] = []
    if member_no is not None:
        conditions.append(_stands_for(col(_Named.member_no) == member_no))
    if phone is not None:
        conditions.append(_stands_for(finds(col(_Named.phone_index), phone)))
    if vin is not None:
        conditions.append(col(Member.id).in_(select(col(Ownership.member_id)).where(_owns_now(vin))))
    if plate is not None:
        owned = (col(Ownership.plate) == plate, col(Ownership.until).is_(None))
        conditions.append(col(Member.id).in_(select(col(Ownership.member_id)).where(*owned)))
    if name is not None:
        conditions.append(starts_with(col(Member.name), name))
    if initials is not None:
        conditions.append(starts_with(col(Member.name_initials), initials))
    return conditions


def _owns_now(vin: str) -> ColumnElement[bool]:
    return and_(col(Ownership.vin) == vin, col(Ownership.until).is_(None))


async def vehicles_of(session: AsyncSession, member_ids: Iterable[UUID]) -> dict[UUID, list[OwnedVehicle]]:
    """The vehicles each member owns now, oldest ownership first."""
    query = (
        select(col(Ownership.member_id), col(Ownership.vin), col(Ownership.since), col(Vehicle.check_digit_ok))
        .join(Vehicle, col(Vehicle.vin) == col(Ownership.vin))
        .where(col(Ownership.member_id).in_(member_ids), col(Ownership.until).is_(None))
        .order_by(col(Ownership.since), col(Ownership.vin))
    )
    owned: dict[UUID, list[OwnedVehicle]] = {}
    for member_id, vin, since, check_digit_ok in await session.execute(query):
        owned.setdefault(member_id, []).append(OwnedVehicle(vin, since, check_digit_ok))
    return owned


async def ownership(session: AsyncSession, member_id: UUID, vin: str) -> Ownership | None:
    """The member's ownership of a vehicle it owns now, locked for change."""
    query = select(Ownership).where(_owns_now(vin), col(Ownership.member_id) == member_id)
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))


# --- enrolment ---


async def lock_enrolment(session: AsyncSession, phone: str, vin: str) -> None:
    """Until commit nobody else enrols this phone or this vehicle, and no import runs.

    Always in this order, each lock a statement of its own: what is read afterwards holds until commit, of all chapters.
    """
    await unrestricted(session)
    await lock_phone(session, phone)
    await lock_vehicle(session, vin)


async def lock_phone(session: AsyncSession, phone: str) -> None:
    """Until commit nobody else takes this phone, and no import runs; to be asked for before any member is locked.

    The unique index alone does not keep a number to one member: between two data keys it has two indexes.
    """
    await session.execute(select(func.pg_advisory_xact_lock_shared(IMPORTING)))
    await _lock(session, f"phone:{phone}")


async def lock_vehicle(session: AsyncSession, vin: str) -> None:
    """Until commit nobody else gives this vehicle to an owner, and no import runs."""
    await session.execute(select(func.pg_advisory_xact_lock_shared(IMPORTING)))
    await _lock(session, f"vin:{vin}")


async def _lock(session: AsyncSession, key: str) -> None:
    # keyed here: neither a server that logs its statements nor who reads its locks learns the number.
    # Under every data key, so that processes which know different ones meet; always in the same order.
    indexes = vault_for(session.get_bind().dialect).indexes(f"lock:{key}")
    for digest in sorted(int.from_bytes(index[:8], signed=True) for index in indexes):
        await session.execute(select(func.pg_advisory_xact_lock(digest)))


async def by_phone(session: AsyncSession, phone: str) -> Member | None:
    """The member who has this phone, or goes on for whom had it, locked for change."""
    return await session.scalar(_locked(select(Member).where(_stands_for(finds(col(_Named.phone_index), phone)))))


async def name_by_phone(session: AsyncSession, phone: str) -> str | None:
    """As whom the holder of this phone was enrolled, merged or not."""
    return await session.scalar(select(col(Member.name)).where(finds(col(Member.phone_index), phone)))


async def merged_into(session: AsyncSession, member_id: UUID) -> Sequence[Member]:
    """Those for whom a member goes on, as far as the session reads them."""
    query = select(Member).where(col(Member.merged_into) == member_id, col(Member.erased_at).is_(None))
    return (await session.scalars(query.order_by(col(Member.id)))).all()


async def id_by_phone(session: AsyncSession, phone: str) -> UUID | None:
    """The id of the member who has this phone, or goes on for whom had it."""
    return await session.scalar(select(col(Member.id)).where(_stands_for(finds(col(_Named.phone_index), phone))))


async def owner_of(session: AsyncSession, vin: str) -> UUID | None:
    """The member who owns this vehicle now."""
    return await session.scalar(select(col(Ownership.member_id)).where(_owns_now(vin)))


async def next_serial(session: AsyncSession) -> int:
    """A serial for a member number; gaps are of no meaning."""
    return int((await session.execute(text("SELECT nextval('member_serial')"))).scalar_one())


# --- applications ---


async def applications(
    session: AsyncSession,
    actor: Actor,
    *,
    status: ApplicationStatus | None,
    dealer_code: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Application]:
    """The applications an actor may see, oldest first, from after an id; None does not filter."""
    query = select(Application).where(applications_visible_to(actor)).order_by(col(Application.id)).limit(limit)
    if after is not None:
        query = query.where(col(Application.id) > after)
    if status is not None:
        query = query.where(col(Application.status) == status)
    if dealer_code is not None:
        query = query.where(col(Application.dealer_code) == dealer_code)
    return (await session.scalars(query)).all()


async def application(
    session: AsyncSession, actor: Actor, application_id: UUID, *, locked: bool = False
) -> Application | None:
    """One application, if the actor may see it; `locked` for change."""
    query = select(Application).where(col(Application.id) == application_id, applications_visible_to(actor))
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def open_application(session: AsyncSession, phone: str, vin: str) -> Application | None:
    """The open application of this phone for this vehicle, whichever chapter it went to."""
    return await session.scalar(
        select(Application).where(
            finds(col(Application.phone_index), phone),
            col(Application.vin) == vin,
            col(Application.status) == ApplicationStatus.OPEN,
        )
    )


# --- at the counter ---


class CounterMember(NamedTuple):
    """What serving a member at any dealer's counter needs; the name is masked."""

    id: UUID
    member_no: str
    name: str
    status: MemberStatus
    dealer_code: str | None


_AT_COUNTER = (
    "SELECT s.id, s.member_no, s.name, s.status, s.dealer_code"
    " FROM member m JOIN member s ON s.id = coalesce(m.merged_into, m.id)"
    " WHERE m.erased_at IS NULL AND s.erased_at IS NULL AND "
)
_HAS_VEHICLE = "m.id = (SELECT o.member_id FROM ownership o WHERE o.vin = $1 AND o.until IS NULL)"


async def at_counter(
    db: Database, *, member_no: str | None = None, vin: str | None = None, phone: str | None = None
) -> CounterMember | None:
    """The member of this number, else this vehicle, else this phone, whatever the chapter; or who goes on for it."""
    car = parse_vin(vin or "")
    if member_no is not None:
        number = member_no.strip() if is_member_number(member_no.strip()) else None
        row = await db.pool.fetchrow(_AT_COUNTER + "m.member_no = $1", number)
    elif isinstance(car, Vin):
        row = await db.pool.fetchrow(_AT_COUNTER + _HAS_VEHICLE, car.value)
    else:
        mobile = parse_mobile(phone or "")
        indexes = db.vault.indexes(mobile) if mobile else []
        row = await db.pool.fetchrow(_AT_COUNTER + "m.phone_index = ANY ($1)", indexes)
    if row is None:
        return None
    member_id, member_no, name, status, dealer_code = row
    return CounterMember(member_id, member_no, masked_name(name), MemberStatus(status), dealer_code)


class Reached(NamedTuple):
    """Where a member is reached (E.164)."""

    phone: str
    status: MemberStatus


async def reached_at(db: Database, member_id: UUID) -> Reached | None:
    """Where a member is reached; None: no such member, or one that was erased."""
    row = await db.pool.fetchrow("SELECT phone, status FROM member WHERE id = $1 AND erased_at IS NULL", member_id)
    return Reached(db.vault.open(row["phone"]), MemberStatus(row["status"])) if row is not None else None


async def actor(connection: Connection, member_no: str) -> Actor | None:
    """An active member as the actor its tokens speak for."""
    row = await connection.fetchrow("SELECT id FROM member WHERE member_no = $1 AND status = 'active'", member_no)
    return Actor(member_no, Role.MEMBER, None, row["id"]) if row is not None else None


async def actor_by_id(session: AsyncSession, member_id: UUID) -> Actor | None:
    """An active member as the actor its sessions speak for."""
    active = select(col(Member.member_no)).where(col(Member.id) == member_id, col(Member.status) == MemberStatus.ACTIVE)
    member_no = await session.scalar(active)
    return Actor(member_no, Role.MEMBER, None, member_id) if member_no is not None else None
