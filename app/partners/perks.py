"""Perks: what partners offer to whom, and what a member may claim today."""

from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries as chapters
from app.core.actors import Actor, Role
from app.core.db import raw, unrestricted
from app.core.editing import edit
from app.core.problems import FieldError, InvalidPayload, NotFound
from app.members import segment_queries, segments
from app.members.segment_models import Segment
from app.partners import queries, service
from app.partners.models import Partner, Perk
from app.partners.perk_schemas import PerkCreate, PerkUpdate
from app.partners.queries import Offered
from app.partners.rules import party_of

# who may claim is judged by the perk's own segment, as headquarters reads it
_READER = Actor("system", Role.HQ_ADMIN)


async def create(session: AsyncSession, actor: Actor, body: PerkCreate) -> Perk:
    """Write a perk of a partner that is the actor's to keep; it is not offered yet.

    Raises:
        NotFound: there is no such partner for the actor.
        InvalidPayload: as `_require_whole` says.
    """
    partner = await service.own(session, actor, body.partner_code)
    fields = body.model_dump(mode="json", include={"shares", "hands_over"})
    made = Perk(**body.model_dump(exclude={"shares", "hands_over"}), hands_over=sorted(set(fields["hands_over"])))
    made.shares = fields["shares"] or [{"party": party_of(partner.code), "percent": "100"}]
    await _require_whole(session, actor, made, partner, named=Perk.model_fields.keys())
    session.add(made)
    await session.flush()
    return made


async def update(session: AsyncSession, actor: Actor, perk_id: UUID, body: PerkUpdate, *, version: int) -> Perk:
    """Change what the body names; vouchers that are claimed keep what they were claimed at.

    Raises:
        NotFound, PreconditionFailed.
        InvalidPayload: as `_require_whole` says.
    """
    changed, partner = await own(session, actor, perk_id)
    await queries.locked_perk(session, perk_id)
    changes: dict[str, Any] = body.model_dump(exclude_unset=True)
    if "shares" in changes:
        changes |= body.model_dump(mode="json", include={"shares"})
    edit(changed, changes, version)
    with session.no_autoflush:
        await _require_whole(session, actor, changed, partner, named=changes.keys())
    await session.flush()
    return changed


async def _require_whole(
    session: AsyncSession, actor: Actor, perk: Perk, partner: Partner, *, named: Collection[str]
) -> None:
    """Refuse a perk that makes no sense, or that is given at others' cost.

    Args:
        named: the fields that are being said; what was said earlier stands, whatever became of contract and chapters.

    Raises:
        InvalidPayload: dates out of order, or outside the partner's contract; blackout days on which there is no perk;
            a quota below what is claimed; a segment, a chapter or a partner that there is not for this perk; a share
            of headquarters or of others in a chapter's own.
    """
    faults = [*await _share_faults(session, perk, partner), *_day_faults(perk, partner)]
    faults += await _chapter_faults(session, perk, partner)
    # a perk that ends before it begins is refused, whichever of its days is named
    faults = [one for one in faults if one.pointer.split("/")[1] in named or one.code == "date_before_start"]
    if perk.quota is not None and perk.quota < (perk.claimed or 0):
        faults.append(FieldError("/quota", "quota_taken", {"claimed": perk.claimed}))
    if perk.segment_id is not None:
        segment = await segment_queries.segment(session, actor, perk.segment_id)
        if segment is None or segment.dealer_code not in (None, partner.dealer_code):
            faults.append(FieldError("/segment_id", "rule_unknown_segment", {}))
    if faults:
        raise InvalidPayload(errors=faults)


def _day_faults(perk: Perk, partner: Partner) -> list[FieldError]:
    if perk.valid_until is not None and perk.valid_until < perk.valid_from:
        return [FieldError("/valid_until", "date_before_start", {})]
    ends = [day for day in (perk.valid_until, partner.valid_until) if day is not None]
    days = [("/valid_from", perk.valid_from, partner.valid_from, partner.valid_until)]
    if perk.valid_until is not None:
        days.append(("/valid_until", perk.valid_until, partner.valid_from, partner.valid_until))
    days += [(f"/blackout/{n}", day, perk.valid_from, min(ends, default=None)) for n, day in enumerate(perk.blackout)]
    return [fault for at, day, first, last in days if (fault := _day_fault(at, day, first, last)) is not None]


def _day_fault(pointer: str, day: date, first: date, last: date | None) -> FieldError | None:
    if day < first:
        return FieldError(pointer, "date_too_early", {"earliest": first})
    if last is not None and day > last:
        return FieldError(pointer, "date_too_late", {"latest": last})
    return None


async def _chapter_faults(session: AsyncSession, perk: Perk, partner: Partner) -> list[FieldError]:
    if partner.dealer_code is not None and perk.dealer_codes not in (None, [partner.dealer_code]):
        return [FieldError("/dealer_codes", "not_your_dealer", {"value": partner.dealer_code})]
    known = await chapters.chapter_codes(await raw(session)) if perk.dealer_codes else set()
    return [
        FieldError(f"/dealer_codes/{index}", "unknown_dealer", {"value": code})
        for index, code in enumerate(perk.dealer_codes or ())
        if code not in known
    ]


async def _share_faults(session: AsyncSession, perk: Perk, partner: Partner) -> list[FieldError]:
    faults = []
    for index, share in enumerate(perk.shares):
        party, at = share["party"], f"/shares/{index}/party"
        kind, _, code = party.partition(":")
        if kind == "partner" and await queries.partner(session, code) is None:
            faults.append(FieldError(at, "unknown_partner", {"value": code}))
        elif partner.dealer_code is not None and party not in ("dealer", party_of(partner.code)):
            faults.append(FieldError(at, "own_cost_only", {}))
    return faults


async def perk(session: AsyncSession, actor: Actor, perk_id: UUID) -> Offered:
    """A perk of a partner that the actor may see.

    Raises:
        NotFound.
    """
    return _found(await queries.perk(session, perk_id, queries.visible_to(actor)))


async def own(session: AsyncSession, actor: Actor, perk_id: UUID) -> Offered:
    """A perk of a partner that is the actor's to keep.

    Raises:
        NotFound.
    """
    return _found(await queries.perk(session, perk_id, queries.owned_by(actor)))


def _found(offered: Offered | None) -> Offered:
    if offered is None:
        raise NotFound("perk")
    return offered


# --- what a member may claim ---


async def offers(session: AsyncSession, actor: Actor, *, after: UUID | None, limit: int, today: date) -> list[Offered]:
    """What the signed-in member may claim today, segments included, oldest first.

    Raises:
        NotFound: the member is erased.
    """
    assert actor.member_id is not None
    await unrestricted(session)
    customer = await queries.customer(session, actor.member_id)
    if customer is None:
        raise NotFound("member")
    offered: list[Offered] = []
    while len(offered) < limit:
        found = await queries.perks(session, queries.open_to(customer.dealer_code, today), after=after, limit=limit)
        offered += [one for one in found if await is_for(session, one.perk, actor.member_id, today)]
        if len(found) < limit:
            break
        after = found[-1].perk.id
    return offered[:limit]


async def is_for(session: AsyncSession, perk: Perk, member_id: UUID, today: date) -> bool:
    """Whether a member is in the perk's segment; nobody is in one that is gone."""
    if perk.segment_id is None:
        return True
    segment = await session.get(Segment, perk.segment_id)
    if segment is None:
        return False
    return await queries.is_one_of(session, member_id, await segments.chosen(session, _READER, segment, today))
