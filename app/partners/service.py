"""Partners and agencies, and what partners pay for points ahead."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Reach
from app.core.db import flush_unless, unrestricted
from app.core.editing import edit
from app.core.problems import InvalidPayload, NotFound
from app.earning.awards_models import Budget, Period
from app.members.segments import owner
from app.partners import queries
from app.partners.models import Agency, Partner, PartnerBlock
from app.partners.problems import NotPrepaid, PartnerExists
from app.partners.queries import Account
from app.partners.rules import budget_of, commission_fen, party_of
from app.partners.schemas import (
    AccountRead,
    AgencyCreate,
    AgencyUpdate,
    BlockCreate,
    PartnerCreate,
    PartnerUpdate,
)

# --- agencies ---


async def create_agency(session: AsyncSession, body: AgencyCreate) -> Agency:
    """Take an agency on.

    Raises:
        PartnerExists: the code is taken.
    """
    made = Agency(**body.model_dump())
    session.add(made)
    await flush_unless(session, "pk_agency", PartnerExists)
    return made


async def agency(session: AsyncSession, code: str) -> Agency:
    """An agency.

    Raises:
        NotFound.
    """
    found = await session.get(Agency, code)
    if found is None:
        raise NotFound("agency")
    return found


async def update_agency(session: AsyncSession, code: str, body: AgencyUpdate, *, version: int) -> Agency:
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
    """
    changed = await session.scalar(select(Agency).where(col(Agency.code) == code).with_for_update())
    if changed is None:
        raise NotFound("agency")
    edit(changed, body.model_dump(exclude_unset=True), version)
    await session.flush()
    return changed


# --- partners ---


async def create(session: AsyncSession, actor: Actor, body: PartnerCreate, *, now: datetime) -> Partner:
    """Take a partner on; who is bound to a chapter finds its own.

    Raises:
        NotFound: the chapter is not the actor's to write for, or there is none.
        InvalidPayload: there is no such agency, dates are out of order, a reserve is kept of nothing, or a
            chapter would be paid ahead.
        PartnerExists: the code is taken.
    """
    dealer_code = await owner(session, actor, body.dealer_code)
    if body.is_prepaid and actor.reach is not Reach.ALL:
        raise InvalidPayload.at("/is_prepaid", "headquarters_only")
    made = Partner(**body.model_dump() | {"dealer_code": dealer_code})
    await _require_whole(session, made)
    session.add(made)
    await flush_unless(session, "pk_partner", PartnerExists)
    if made.is_prepaid:
        session.add(
            Budget(
                code=budget_of(made.code), name=made.name, dealer_code=dealer_code, funder=party_of(made.code),
                period=Period.WHOLE, points=0, created_by=actor.subject, created_at=now,
            )
        )  # fmt: skip
        await session.flush()
    return made


async def update(session: AsyncSession, actor: Actor, code: str, body: PartnerUpdate, *, version: int) -> Partner:
    """Change what the body names; vouchers that are claimed keep what they were claimed at.

    Raises:
        NotFound: there is none, or it is not the actor's to keep.
        PreconditionFailed.
        InvalidPayload: as for `create`.
    """
    changed = await own(session, actor, code, locked=True)
    edit(changed, body.model_dump(exclude_unset=True), version)
    with session.no_autoflush:
        await _require_whole(session, changed)
    await session.flush()
    if changed.is_prepaid:
        await _fund(session, changed)
    return changed


async def _require_whole(session: AsyncSession, partner: Partner) -> None:
    if (partner.agency_code is None) != (partner.agency_percent is None):
        raise InvalidPayload.at("/agency_percent" if partner.agency_code else "/agency_code", "missing")
    if partner.agency_code is not None and await session.get(Agency, partner.agency_code) is None:
        raise InvalidPayload.at("/agency_code", "unknown_agency", value=partner.agency_code)
    if partner.valid_until is not None and partner.valid_until < partner.valid_from:
        raise InvalidPayload.at("/valid_until", "date_before_start")
    if not partner.is_prepaid and partner.reserve_points:
        raise InvalidPayload.at("/reserve_points", "only_prepaid")


async def partner(session: AsyncSession, actor: Actor, code: str) -> Partner:
    """A partner that the actor may see.

    Raises:
        NotFound.
    """
    return _found(await queries.partner(session, code, queries.visible_to(actor)))


async def _billed(session: AsyncSession, actor: Actor, code: str) -> Partner:
    """A partner whose money is the actor's to see: who keeps it, and the partner itself.

    Raises:
        NotFound.
    """
    found = await queries.partner(session, code, _billed_to(actor))
    # its budget and awards are not for a partner to read otherwise
    await unrestricted(session)
    return _found(found)


def _billed_to(actor: Actor) -> ColumnElement[bool]:
    return queries.visible_to(actor) if actor.reach is Reach.PARTNER else queries.owned_by(actor)


async def own(session: AsyncSession, actor: Actor, code: str, *, locked: bool = False) -> Partner:
    """A partner that is the actor's to keep.

    Raises:
        NotFound: there is none, or it is headquarters' or another chapter's.
    """
    return _found(await queries.partner(session, code, queries.owned_by(actor), locked=locked))


def _found(partner: Partner | None) -> Partner:
    if partner is None:
        raise NotFound("partner")
    return partner


# --- points paid for ahead ---


async def add_block(
    session: AsyncSession, actor: Actor, code: str, body: BlockCreate, *, now: datetime
) -> PartnerBlock:
    """Book a block that a partner has paid for: rules may give so many more points in its name.

    Raises:
        NotFound.
        NotPrepaid: the partner pays afterwards.
    """
    buyer = await own(session, actor, code, locked=True)
    if not buyer.is_prepaid:
        raise NotPrepaid
    block = PartnerBlock(
        partner_code=code, **body.model_dump(), agency_code=buyer.agency_code,
        commission_fen=commission_fen(body.amount_fen, buyer.agency_percent), at=now, by=actor.subject,
    )  # fmt: skip
    session.add(block)
    await session.flush()
    await _fund(session, buyer)
    return block


async def _fund(session: AsyncSession, partner: Partner) -> None:
    """What rules may give in the partner's name, who is locked: its blocks less the reserve."""
    query = select(Budget).where(col(Budget.code) == budget_of(partner.code)).with_for_update()
    budget = await session.scalar(query.execution_options(populate_existing=True))
    assert budget is not None, f"prepaid partner {partner.code} has lost its budget"
    (found,) = await queries.accounts(session, col(Partner.code) == partner.code)
    budget.points = max(0, found.bought - partner.reserve_points)
    budget.version += 1
    await session.flush()


async def account(session: AsyncSession, actor: Actor, code: str) -> AccountRead:
    """What of a partner's blocks was given, and what is left.

    Raises:
        NotFound: there is none, or its money is not the actor's to see.
        NotPrepaid.
    """
    partner = await _billed(session, actor, code)
    if not partner.is_prepaid:
        raise NotPrepaid
    (found,) = await queries.accounts(session, col(Partner.code) == code)
    return _account(found)


async def accounts(session: AsyncSession, actor: Actor, *, after: str | None, limit: int) -> list[AccountRead]:
    """The same of every prepaid partner whose money is the actor's to see, by code."""
    billed = _billed_to(actor)
    await unrestricted(session)
    return [_account(found) for found in await queries.accounts(session, billed, after=after, limit=limit)]


def _account(found: Account) -> AccountRead:
    partner, bought, given = found
    left = max(0, bought - partner.reserve_points - given)
    return AccountRead(
        partner_code=partner.code, bought=bought, reserve=partner.reserve_points, given=given, left=left,
        is_low=left <= partner.low_points,
    )  # fmt: skip


async def blocks(
    session: AsyncSession, actor: Actor, code: str, *, after: UUID | None, limit: int
) -> list[PartnerBlock]:
    """A partner's blocks, oldest first.

    Raises:
        NotFound: there is none, or its money is not the actor's to see.
    """
    seen = await _billed(session, actor, code)
    return list(await queries.blocks(session, seen.code, after=after, limit=limit))
