"""Planning an event: a draft, its budget and who supports it, until it is proposed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import materials_queries as materials
from app.chapters import queries as network
from app.chapters import service as chapters
from app.core.actors import Actor, Reach
from app.core.clock import CHINA
from app.core.editing import change, require_version
from app.core.problems import FieldError, InvalidPayload, NotFound, WrongStatus
from app.events import life, queries
from app.events.models import ClubEvent, EventApproval, EventBudgetLine, EventStep
from app.events.problems import EventInThePast
from app.events.rules import (
    CHANGEABLE,
    EDITABLE,
    LATER,
    EventStatus,
    LineKind,
    Share,
    own_dealer,
    own_partner,
    shares,
)
from app.events.schemas import EventDraft, EventUpdate, LinePlan
from app.partners import queries as partners


class Shown(NamedTuple):
    """An event with what belongs to it; `awaits`: the parts nobody has decided on yet."""

    event: ClubEvent
    supporters: Sequence[str]
    lines: Sequence[EventBudgetLine]
    approvals: Sequence[EventApproval]
    awaits: Sequence[Share]


async def shown(session: AsyncSession, event: ClubEvent) -> Shown:
    """An event with what belongs to it."""
    await session.flush()
    lines, approvals = await queries.lines(session, event.id), await queries.approvals(session, event.id)
    awaited = awaits(event, lines, approvals) if event.status == EventStatus.PROPOSED else ()
    return Shown(event, await queries.supporters(session, event.id), lines, approvals, awaited)


def awaits(event: ClubEvent, lines: Sequence[EventBudgetLine], approvals: Sequence[EventApproval]) -> Sequence[Share]:
    """The parts of a proposal that nobody has decided on yet."""
    decided = {(approval.part, approval.dealer_code) for approval in approvals if approval.round == event.round}
    needed = shares((line.payer for line in lines), of_chapter=event.dealer_code is not None)
    return [share for share in needed if share not in decided]


async def create(session: AsyncSession, actor: Actor, body: EventDraft, *, now: datetime) -> Shown:
    """Begin to plan an event; dealer staff plan their own chapter's.

    Raises:
        NotFound: there is no such chapter, or it is not the actor's.
        InvalidPayload: dates do not go together, or the budget names whom or what it cannot.
    """
    dealer_code = body.dealer_code or (actor.dealer_code if actor.reach is Reach.DEALER else None)
    if dealer_code is not None:
        await chapters.chapter(session, actor, dealer_code)
    elif actor.reach is not Reach.ALL:
        raise NotFound("chapter")
    values = body.model_dump(exclude={"lines", "supporters", "dealer_code"})
    event = ClubEvent(**values, dealer_code=dealer_code, created_by=actor.subject)
    _require_times(event, now)
    session.add(event)
    await session.flush()
    session.add(EventStep(event_id=event.id, to_status=EventStatus.DRAFT, by=actor.subject, at=now))
    await _support(session, event, body.supporters)
    await _budget(session, event, body.lines, body.supporters)
    return await shown(session, event)


async def update(
    session: AsyncSession, actor: Actor, event_id: UUID, body: EventUpdate, *, version: int, now: datetime
) -> Shown:
    """Change what the body names: of a draft everything, of what is approved place and times.

    Raises:
        NotFound, Forbidden, PreconditionFailed.
        WrongStatus: it is being decided on, or over.
        InvalidPayload: as `create` does, or it may not be changed any more.
    """
    event = await life.held_by(session, actor, event_id)
    require_version(event, version)
    named = body.model_dump(exclude_unset=True)
    _require_changeable(event, named)
    change(event, {name: value for name, value in named.items() if name not in {"lines", "supporters"}})
    _require_times(event, now)
    await session.flush()
    await _replace(session, event, body)
    if event.status in CHANGEABLE:
        await life.changed(session, event, by=actor.subject, at=now)
    return await shown(session, event)


def _require_changeable(event: ClubEvent, named: Collection[str]) -> None:
    if event.status in CHANGEABLE:
        late = [FieldError(f"/{name}", "event_approved", {}) for name in named if name not in LATER]
        if late:
            raise InvalidPayload(errors=late)
    elif event.status not in EDITABLE:
        raise WrongStatus(current=event.status, allowed=sorted(EDITABLE | CHANGEABLE))


def _require_times(event: ClubEvent, now: datetime) -> None:
    """Refuse dates that do not go together, or are over."""
    faults = [
        FieldError(f"/{name}", "later_than", {"other": other})
        for other, name in (("starts_at", "ends_at"), ("registration_opens_at", "registration_closes_at"))
        if getattr(event, name) <= getattr(event, other)
    ]
    if event.registration_closes_at > event.ends_at:
        faults.append(FieldError("/registration_closes_at", "not_later_than", {"other": "ends_at"}))
    if event.starts_at <= now:
        faults.append(FieldError("/starts_at", "time_in_past", {}))
    if event.year != event.starts_at.astimezone(CHINA).year:
        faults.append(FieldError("/year", "year_of_event", {"year": event.starts_at.astimezone(CHINA).year}))
    if faults:
        raise InvalidPayload(errors=faults)


async def _replace(session: AsyncSession, event: ClubEvent, body: EventUpdate) -> None:
    named = body.model_fields_set
    if "supporters" in named:
        await _support(session, event, body.supporters)
    if "lines" in named:
        for line in await queries.lines(session, event.id):
            await session.delete(line)
        await _budget(session, event, body.lines, await queries.supporters(session, event.id))
    elif "supporters" in named:
        payers = [line.payer for line in await queries.lines(session, event.id)]
        await require_payers(session, event, payers, body.supporters)


async def _support(session: AsyncSession, event: ClubEvent, codes: Sequence[str]) -> None:
    for index, code in enumerate(codes):
        if event.dealer_code is not None:
            raise InvalidPayload.at("/supporters", "supports_headquarters")
        if not await network.has_chapter(session, code):
            raise InvalidPayload.at(f"/supporters/{index}", "unknown_dealer", value=code)
    await queries.replace_supporters(session, event.id, set(codes))


async def _budget(
    session: AsyncSession, event: ClubEvent, lines: Sequence[LinePlan], supporters: Sequence[str]
) -> None:
    await require_payers(session, event, [line.payer for line in lines], supporters)
    offered = await materials.offered_ids(session, [line.material_id for line in lines if line.material_id])
    for index, line in enumerate(lines):
        if line.material_id and (line.kind is not LineKind.MATERIAL or line.material_id not in offered):
            raise InvalidPayload.at(f"/lines/{index}/material_id", "unknown_material")
        session.add(EventBudgetLine(event_id=event.id, **line.model_dump()))
    await session.flush()


async def require_payers(
    session: AsyncSession, event: ClubEvent, payers: Sequence[str], supporters: Collection[str], *, where: str = "lines"
) -> None:
    """Dealers pay for their own chapter's events and for those they support, so do the partners they found.

    Raises:
        InvalidPayload: another is to pay; `where` is the payload's list of payers.
    """
    paying = {event.dealer_code} if event.dealer_code else set(supporters)
    for index, payer in enumerate(payers):
        dealer = own_dealer(payer)
        if dealer is not None and dealer not in paying:
            raise InvalidPayload.at(f"/{where}/{index}/payer", "payer_foreign", value=dealer)
        if (code := own_partner(payer)) is not None:
            partner = await partners.partner(session, code)
            if partner is None or (partner.dealer_code is not None and partner.dealer_code not in paying):
                raise InvalidPayload.at(f"/{where}/{index}/payer", "unknown_partner", value=code)


async def propose(session: AsyncSession, actor: Actor, event_id: UUID, *, now: datetime) -> Shown:
    """Ask for approval, anew after a return: what was granted before is up for decision again.

    Raises:
        NotFound, Forbidden, WrongStatus.
        EventInThePast: its day went by.
    """
    event = await life.held_by(session, actor, event_id)
    await life.move(session, event, EventStatus.PROPOSED, by=actor.subject, at=now)
    if event.starts_at <= now:
        raise EventInThePast(starts_at=event.starts_at)
    event.round += 1
    for line in await queries.lines(session, event.id):
        line.granted = None
    return await shown(session, event)
