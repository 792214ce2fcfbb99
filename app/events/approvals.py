"""Deciding on a proposal, each approver on the part that is theirs.

A dealer's general manager decides on the dealer's own money, headquarters on the rest, and within its limit the
region. Whoever approves locks the event first, then the budgets by name.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import materials
from app.chapters.materials_schemas import RequestCreate, RequestLine
from app.core.actors import Actor, Reach
from app.core.db import unrestricted
from app.core.problems import FieldError, Forbidden, InvalidPayload
from app.core.transitions import require_step
from app.events import budgets, life, queries, service
from app.events.models import ClubEvent, EventApproval, EventBudgetLine
from app.events.problems import BeyondLimit, BudgetExceeded, NothingToApprove
from app.events.rules import TRANSITIONS, Decision, EventStatus, LineKind, Part, Share, own_dealer
from app.events.schemas import DecisionCreate
from app.events.service import Shown
from app.settings import Settings


async def decide(
    session: AsyncSession, actor: Actor, event_id: UUID, body: DecisionCreate, *, settings: Settings, now: datetime
) -> Shown:
    """Approve, return or refuse the part of a proposal that is the actor's; with the last part it is approved.

    Raises:
        NotFound, Forbidden, WrongStatus.
        NothingToApprove: no part of it waits for the actor.
        BeyondLimit: more than a region may grant.
        BudgetExceeded: more than is left of the year's budget, and the body does not say that this is meant.
        InvalidPayload: a reason is missing, or what is granted is not what was planned, or less.
    """
    event = await life.event_of(session, actor, event_id, lock=True)
    to = EventStatus(body.decision)
    require_step(TRANSITIONS, event.status, to)
    # a budget is counted over all its events, and a dealer's word moves an event of headquarters
    await unrestricted(session)
    lines = await queries.lines(session, event.id)
    share = _share_of(actor, event)
    if share not in service.awaits(event, lines, await queries.approvals(session, event.id)):
        raise NothingToApprove
    if body.reason is None and body.decision is not Decision.APPROVED:
        raise InvalidPayload.at("/reason", "missing")
    said = EventApproval(
        event_id=event.id, round=event.round, part=share[0], dealer_code=share[1], decision=body.decision,
        by=actor.subject, at=now, reason=body.reason,
    )  # fmt: skip
    if body.decision is Decision.APPROVED:
        await _grant(session, actor, event, [line for line in lines if _is_of(line, share)], body, said, settings)
    session.add(said)
    found = await service.shown(session, event)
    if body.decision is not Decision.APPROVED or not found.awaits:
        await _conclude(session, actor, event, lines, to, body.reason, now)
        found = await service.shown(session, event)
    return found


def _share_of(actor: Actor, event: ClubEvent) -> Share:
    """The part that is an actor's to decide on."""
    if actor.reach is Reach.DEALER:
        return Part.OWN, actor.dealer_code
    if event.dealer_code is None and actor.reach is not Reach.ALL:
        raise Forbidden
    return Part.REST, None


def _is_of(line: EventBudgetLine, share: Share) -> bool:
    return own_dealer(line.payer) == share[1]


async def _grant(
    session: AsyncSession, actor: Actor, event: ClubEvent, lines: Sequence[EventBudgetLine], body: DecisionCreate,
    said: EventApproval, settings: Settings,
) -> None:  # fmt: skip
    _write_grants(lines, body)
    with session.no_autoflush:
        if actor.reach is Reach.REGION:
            _require_within_limit(lines, settings)
        for key in sorted({key for line in lines if (key := budgets.key_of(event, line.payer))}, key=str):
            drawn = [line for line in lines if budgets.key_of(event, line.payer) == key]
            await _draw(session, event, key, drawn, body, said)


def _write_grants(lines: Sequence[EventBudgetLine], body: DecisionCreate) -> None:
    planned = {line.id: line for line in lines}
    for line in lines:
        line.granted = line.planned
    faults = list(_faults(planned, body))
    if faults:
        raise InvalidPayload(errors=faults)
    for grant in body.grants:
        planned[grant.line_id].granted = grant.granted


def _faults(planned: dict[UUID, EventBudgetLine], body: DecisionCreate) -> Iterator[FieldError]:
    for index, grant in enumerate(body.grants):
        line = planned.get(grant.line_id)
        if line is None:
            yield FieldError(f"/grants/{index}/line_id", "unknown_line", {})
        elif grant.granted > line.planned:
            yield FieldError(f"/grants/{index}/granted", "less_than_equal", {"le": line.planned})


def _sum(lines: Sequence[EventBudgetLine], kind: LineKind, *, payer: str | None = None) -> int:
    return sum(line.granted or 0 for line in lines if line.kind == kind and payer in {None, line.payer})


def _require_within_limit(lines: Sequence[EventBudgetLine], settings: Settings) -> None:
    fen, points = (_sum(lines, kind, payer="hq") for kind in (LineKind.MONEY, LineKind.POINTS))
    if fen > settings.event_region_limit_fen or points > settings.event_region_limit_points:
        raise BeyondLimit(
            needed_fen=fen, limit_fen=settings.event_region_limit_fen,
            needed_points=points, limit_points=settings.event_region_limit_points,
        )  # fmt: skip


async def _draw(
    session: AsyncSession, event: ClubEvent, key: budgets.Key, lines: Sequence[EventBudgetLine],
    body: DecisionCreate, said: EventApproval,
) -> None:  # fmt: skip
    """Hold what is granted against what is left of the budget."""
    left = await budgets.locked(session, event.year, key)
    fen, points = _sum(lines, LineKind.MONEY), _sum(lines, LineKind.POINTS)
    beyond_fen, beyond_points = (
        max(0, needed - max(0, there)) for needed, there in ((fen, left.left_fen), (points, left.left_points))
    )
    if not beyond_fen and not beyond_points:
        return
    if not body.beyond_budget:
        raise BudgetExceeded(
            year=event.year, needed_fen=fen, left_fen=left.left_fen, needed_points=points, left_points=left.left_points
        )
    if body.reason is None:
        raise InvalidPayload.at("/reason", "missing")
    said.beyond_fen += beyond_fen
    said.beyond_points += beyond_points


async def _conclude(
    session: AsyncSession, actor: Actor, event: ClubEvent, lines: Sequence[EventBudgetLine], to: EventStatus,
    reason: str | None, now: datetime,
) -> None:  # fmt: skip
    if to is EventStatus.APPROVED:
        await _ask_for_materials(session, actor, event, lines, now)
    await life.move(session, event, to, by=actor.subject, at=now, reason=reason)


async def _ask_for_materials(
    session: AsyncSession, actor: Actor, event: ClubEvent, lines: Sequence[EventBudgetLine], now: datetime
) -> None:
    """Granted materials of headquarters are asked for as a chapter asks for others: they are sent from the stock."""
    wanted: dict[UUID, int] = {}
    for line in lines:
        if line.material_id and line.payer == "hq" and line.granted:
            wanted[line.material_id] = wanted.get(line.material_id, 0) + line.granted
    if not wanted or event.dealer_code is None:
        return
    asked = RequestCreate(
        lines=[RequestLine(material_id=material, quantity=count) for material, count in wanted.items()],
        note=event.title,
    )
    shown = await materials.ask(session, actor, event.dealer_code, asked, now=now)
    event.material_request_id = shown.request.id
