"""The SQL of partners, perks and vouchers, and the conditions on which an actor may see or change them."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to, reached
from app.core.actors import Actor, Reach
from app.core.db import Connection
from app.earning.awards_models import BudgetUse
from app.members.models import Member
from app.members.rules import MemberStatus
from app.partners.models import Agency, Partner, PartnerBlock, Perk, PerkClaim, Voucher
from app.partners.rules import VoucherStatus, agency_party, party_of

LIVE = (VoucherStatus.CLAIMED, VoucherStatus.USED)


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Everyone sees national partners, and those of the chapters it reaches; a partner sees itself."""
    if actor.reach is Reach.PARTNER:
        return col(Partner.code) == actor.partner_code
    return or_(col(Partner.dealer_code).is_(None), dealer_visible_to(actor, col(Partner.dealer_code)))


def owned_by(actor: Actor) -> ColumnElement[bool]:
    """Headquarters keeps every partner, a chapter its own."""
    return true() if actor.reach is Reach.ALL else dealer_visible_to(actor, col(Partner.dealer_code))


def open_to(dealer_code: str | None, today: date) -> ColumnElement[bool]:
    """Perks that members of a chapter (None: headquarters' own) may claim on a day, segments aside; with `Partner`."""
    chapters = col(Perk.dealer_codes)
    return and_(
        col(Perk.is_offered), _valid(Perk, today), _valid(Partner, today),
        or_(chapters.is_(None), chapters.any_() == dealer_code if dealer_code else chapters.is_(None)),
        or_(col(Partner.dealer_code).is_(None), col(Partner.dealer_code) == dealer_code),
        or_(col(Perk.quota).is_(None), col(Perk.claimed) < col(Perk.quota)),
    )  # fmt: skip


def has_contract(code: SQLColumnExpression[Any], today: date) -> ColumnElement[bool]:
    """Whether the partner of a code has a contract on a day."""
    return exists().where(col(Partner.code) == code, _valid(Partner, today))


def _valid(table: type[Perk] | type[Partner], today: date) -> ColumnElement[bool]:
    last = col(table.valid_until)
    return and_(col(table.valid_from) <= today, or_(last.is_(None), last >= today))


async def parties(connection: Connection, actor: Actor) -> Collection[str] | None:
    """For whom an actor reads and checks claims, as they name it; None: for all."""
    if actor.partner_code is not None:
        return {party_of(actor.partner_code)}
    if actor.agency_code is not None:
        return {agency_party(actor.agency_code)}
    return await reached(connection, actor)


# --- partners ---


async def partners(
    session: AsyncSession, *conditions: ColumnElement[bool], after: str | None = None, limit: int | None = None
) -> Sequence[Partner]:
    """Partners by code, from after one; None: all."""
    query = select(Partner).where(*conditions).order_by(col(Partner.code)).limit(limit)
    if after is not None:
        query = query.where(col(Partner.code) > after)
    return (await session.scalars(query)).all()


async def partner(
    session: AsyncSession, code: str, *conditions: ColumnElement[bool], locked: bool = False
) -> Partner | None:
    """One partner; `locked` for change."""
    query = select(Partner).where(col(Partner.code) == code, *conditions)
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def names(session: AsyncSession, code: str) -> list[str]:
    """What a partner is called, in Chinese and in English; nothing when there is none."""
    row = (
        await session.execute(select(col(Partner.name), col(Partner.name_en)).where(col(Partner.code) == code))
    ).one_or_none()
    return [name for name in row or () if name is not None]


async def place(session: AsyncSession, code: str) -> str:
    """Where points are spent for what a known partner gives: a chapter settles with a partner of its own itself."""
    dealer_code: str | None = await session.scalar(select(col(Partner.dealer_code)).where(col(Partner.code) == code))
    return dealer_code or party_of(code)


async def agencies(session: AsyncSession, *, after: str | None, limit: int) -> Sequence[Agency]:
    """Agencies by code, from after one."""
    query = select(Agency).order_by(col(Agency.code)).limit(limit)
    if after is not None:
        query = query.where(col(Agency.code) > after)
    return (await session.scalars(query)).all()


async def blocks(session: AsyncSession, code: str, *, after: UUID | None, limit: int) -> Sequence[PartnerBlock]:
    """A partner's blocks, oldest first."""
    query = select(PartnerBlock).where(col(PartnerBlock.partner_code) == code).order_by(col(PartnerBlock.id))
    if after is not None:
        query = query.where(col(PartnerBlock.id) > after)
    return (await session.scalars(query.limit(limit))).all()


class Account(NamedTuple):
    """A prepaid partner, and points of its blocks and of what was given out of them."""

    partner: Partner
    bought: int
    given: int


async def accounts(
    session: AsyncSession, *conditions: ColumnElement[bool], after: str | None = None, limit: int | None = None
) -> list[Account]:
    """Prepaid partners by code, from after one."""
    bought = select(func.coalesce(func.sum(col(PartnerBlock.points)), 0))
    given = select(func.coalesce(func.sum(col(BudgetUse.points)), 0))
    query = select(
        Partner,
        bought.where(col(PartnerBlock.partner_code) == col(Partner.code)).scalar_subquery(),
        given.where(col(BudgetUse.budget_code) == func.concat("partner-", func.lower(Partner.code))).scalar_subquery(),
    ).where(col(Partner.is_prepaid), *conditions)
    if after is not None:
        query = query.where(col(Partner.code) > after)
    rows = await session.execute(query.order_by(col(Partner.code)).limit(limit))
    return [Account(partner, int(points), int(used)) for partner, points, used in rows]


# --- perks ---


class Offered(NamedTuple):
    """A perk and whose it is."""

    perk: Perk
    partner: Partner


async def perks(
    session: AsyncSession, *conditions: ColumnElement[bool], after: UUID | None, limit: int
) -> list[Offered]:
    """Perks with their partners, oldest first."""
    query = select(Perk, Partner).join(Partner, col(Partner.code) == col(Perk.partner_code)).where(*conditions)
    if after is not None:
        query = query.where(col(Perk.id) > after)
    rows = await session.execute(query.order_by(col(Perk.id)).limit(limit))
    return [Offered(perk, partner) for perk, partner in rows]


async def perk(session: AsyncSession, perk_id: UUID, *conditions: ColumnElement[bool]) -> Offered | None:
    """One perk with its partner."""
    found = await perks(session, col(Perk.id) == perk_id, *conditions, after=None, limit=1)
    return found[0] if found else None


async def locked_perk(session: AsyncSession, perk_id: UUID) -> Perk | None:
    """A perk whose vouchers are about to be counted: whoever claims or returns one waits."""
    query = select(Perk).where(col(Perk.id) == perk_id).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def held_by(session: AsyncSession, perk_id: UUID, member_id: UUID) -> int:
    """How many vouchers of a perk a member has claimed or used."""
    query = select(func.count()).select_from(Voucher).where(
        col(Voucher.perk_id) == perk_id, col(Voucher.member_id) == member_id, col(Voucher.status).in_(LIVE)
    )  # fmt: skip
    return int((await session.execute(query)).scalar_one())


class Customer(NamedTuple):
    """What of a member decides about perks."""

    dealer_code: str | None
    is_active: bool


async def customer(session: AsyncSession, member_id: UUID) -> Customer | None:
    """A member who is not erased."""
    query = select(col(Member.dealer_code), col(Member.status)).where(
        col(Member.id) == member_id, col(Member.erased_at).is_(None)
    )
    row = (await session.execute(query)).one_or_none()
    return Customer(row[0], row[1] == MemberStatus.ACTIVE) if row is not None else None


async def is_one_of(session: AsyncSession, member_id: UUID, chosen: ColumnElement[bool]) -> bool:
    """Whether a condition on `Member` holds of a member."""
    return bool(await session.scalar(select(exists().where(col(Member.id) == member_id, chosen))))


# --- vouchers ---


class Held(NamedTuple):
    """A voucher and the perk that it is of."""

    voucher: Voucher
    perk: Perk


async def vouchers(
    session: AsyncSession, *conditions: ColumnElement[bool], after: UUID | None, limit: int
) -> list[Held]:
    """Vouchers with their perks, oldest first."""
    query = select(Voucher, Perk).join(Perk, col(Perk.id) == col(Voucher.perk_id)).where(*conditions)
    if after is not None:
        query = query.where(col(Voucher.id) > after)
    rows = await session.execute(query.order_by(col(Voucher.id)).limit(limit))
    return [Held(voucher, perk) for voucher, perk in rows]


async def voucher(session: AsyncSession, *conditions: ColumnElement[bool], locked: bool = False) -> Held | None:
    """One voucher with its perk; `locked`, as it stands once others have let go of it."""
    query = select(Voucher).where(*conditions)
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = await session.scalar(query)
    if found is None:
        return None
    perk = await session.get(Perk, found.perk_id)
    assert perk is not None
    return Held(found, perk)


def served_to(actor: Actor) -> ColumnElement[bool]:
    """Staff see the vouchers of members of the chapters they reach."""
    return dealer_visible_to(actor, col(Voucher.dealer_code))


async def overdue(session: AsyncSession, before: date, limit: int) -> Sequence[UUID]:
    """Claimed vouchers whose last day lies before a day."""
    query = select(col(Voucher.id)).where(
        col(Voucher.status) == VoucherStatus.CLAIMED, col(Voucher.expires_on) < before
    )
    return (await session.scalars(query.order_by(col(Voucher.id)).limit(limit))).all()


async def is_a_vouchers(connection: Connection, wallet_id: UUID, posting_no: int) -> bool:
    """Whether a posting paid for a voucher, whose return alone gives it back."""
    query = "SELECT EXISTS (SELECT FROM voucher WHERE wallet_id = $1 AND posting_no = $2)"
    return bool(await connection.fetchval(query, wallet_id, posting_no))


async def locked_claim(session: AsyncSession, claim_id: UUID, parties: Collection[str] | None) -> PerkClaim | None:
    """A line of claims that one of these (None: anybody) pays or gets, as it stands once others have let go of it."""
    query = select(PerkClaim).where(col(PerkClaim.id) == claim_id)
    if parties is not None:
        query = query.where(or_(col(PerkClaim.payer).in_(parties), col(PerkClaim.payee).in_(parties)))
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))
