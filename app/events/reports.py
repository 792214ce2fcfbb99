"""After an event: what it came to and how it was, until it is settled."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.problems import FieldError, InvalidPayload, NotFound, WrongStatus
from app.events import life, queries
from app.events.models import ClubEvent, EventBudgetLine, EventReport
from app.events.rules import EventStatus, LineKind
from app.events.schemas import CostsCreate, ReportCreate
from app.events.service import require_payers


class PartySum(NamedTuple):
    """What one payer planned, granted and paid, by kind."""

    payer: str
    kind: LineKind
    planned: int
    granted: int
    actual: int


class CameTo(NamedTuple):
    """What an event came to; `due_fen`: what headquarters owes the chapter."""

    costs: Sequence[PartySum]
    due_fen: int


class Reported(NamedTuple):
    """A report with what the event came to."""

    report: EventReport
    came_to: CameTo


async def report(session: AsyncSession, actor: Actor, event_id: UUID) -> Reported:
    """An event's report.

    Raises:
        NotFound: there is no such event, or no report of it, or it is not the actor's to see.
    """
    event = await life.event_of(session, actor, event_id)
    found = await session.get(EventReport, event_id)
    if found is None:
        raise NotFound("event_report")
    return await _reported(session, event, found)


async def file(session: AsyncSession, actor: Actor, event_id: UUID, body: ReportCreate, *, now: datetime) -> Reported:
    """File the report of an event that took place; one that was sent back is filed anew, as a whole.

    Raises:
        NotFound, Forbidden.
        WrongStatus: it has not been held.
        InvalidPayload: a line of the budget has no cost, or somebody pays who cannot.
    """
    event = await life.held_by(session, actor, event_id)
    await life.move(session, event, EventStatus.REPORTED, by=actor.subject, at=now)
    await _write_costs(session, event, body)
    found = await session.get(EventReport, event_id) or EventReport(
        event_id=event_id, guests=0, summary="", filed_by="", filed_at=now
    )
    found.guests, found.summary, found.results = body.guests, body.summary, body.results
    found.filed_by, found.filed_at = actor.subject, now
    session.add(found)
    await session.flush()
    return await _reported(session, event, found)


async def note_costs(session: AsyncSession, actor: Actor, event_id: UUID, body: CostsCreate) -> CameTo:
    """Note what an event that was called off came to all the same; noted anew, as a whole.

    Raises:
        NotFound, Forbidden.
        WrongStatus: it was not cancelled.
        InvalidPayload: a line of the budget has no cost, or somebody pays who cannot.
    """
    event = await life.held_by(session, actor, event_id)
    if event.status != EventStatus.CANCELLED:
        raise WrongStatus(current=event.status, allowed=(EventStatus.CANCELLED,))
    await _write_costs(session, event, body)
    return await _came_to(session, event)


async def _write_costs(session: AsyncSession, event: ClubEvent, body: CostsCreate) -> None:
    lines = {line.id: line for line in await queries.lines(session, event.id)}
    faults = list(_faults(lines, body))
    if faults:
        raise InvalidPayload(errors=faults)
    for cost in body.costs:
        lines[cost.line_id].actual = cost.actual
    supporters = await queries.supporters(session, event.id)
    payers = [cost.payer for cost in body.extra_costs]
    await require_payers(session, event, payers, supporters, where="extra_costs")
    session.add_all(
        EventBudgetLine(event_id=event.id, planned=0, granted=0, **cost.model_dump()) for cost in body.extra_costs
    )
    await session.flush()


def _faults(lines: dict[UUID, EventBudgetLine], body: CostsCreate) -> Iterator[FieldError]:
    named = [cost.line_id for cost in body.costs]
    for index, line_id in enumerate(named):
        if line_id not in lines or line_id in named[:index]:
            yield FieldError(f"/costs/{index}/line_id", "unknown_line", {})
    missing = [line.purpose for line_id, line in lines.items() if line_id not in named]
    if missing:
        yield FieldError("/costs", "costs_missing", {"lines": ", ".join(missing)})


async def send_back(session: AsyncSession, actor: Actor, event_id: UUID, reason: str, *, now: datetime) -> ClubEvent:
    """Have a report filed anew.

    Raises:
        NotFound, WrongStatus.
    """
    event = await life.event_of(session, actor, event_id, lock=True)
    await life.move(session, event, EventStatus.HELD, by=actor.subject, at=now, reason=reason)
    return event


async def settle(session: AsyncSession, actor: Actor, event_id: UUID, *, now: datetime) -> Reported:
    """Close an event's books: the report is right, and what headquarters owes is known.

    Raises:
        NotFound, WrongStatus.
    """
    event = await life.event_of(session, actor, event_id, lock=True)
    await life.move(session, event, EventStatus.SETTLED, by=actor.subject, at=now)
    return await report(session, actor, event_id)


async def _reported(session: AsyncSession, event: ClubEvent, found: EventReport) -> Reported:
    return Reported(found, await _came_to(session, event))


async def _came_to(session: AsyncSession, event: ClubEvent) -> CameTo:
    lines = await queries.lines(session, event.id)
    return CameTo(by_payer(lines), _due_fen(event, lines))


def by_payer(lines: Sequence[EventBudgetLine]) -> list[PartySum]:
    """What each payer planned, granted and paid, by kind."""
    sums: dict[tuple[str, LineKind], PartySum] = {}
    for line in lines:
        key = (line.payer, LineKind(line.kind))
        so_far = sums.get(key, PartySum(*key, 0, 0, 0))
        sums[key] = so_far._replace(
            planned=so_far.planned + line.planned, granted=so_far.granted + (line.granted or 0),
            actual=so_far.actual + (line.actual or 0),
        )  # fmt: skip
    return [sums[key] for key in sorted(sums)]


def _due_fen(event: ClubEvent, lines: Sequence[EventBudgetLine]) -> int:
    """What headquarters owes the chapter: the cost of each line it granted money for, at most so much.

    Of its own events it owes nobody.
    """
    if event.dealer_code is None:
        return 0
    paid = (line for line in lines if line.payer == "hq" and line.kind == LineKind.MONEY)
    return sum(min(line.granted or 0, line.actual or 0) for line in paid)
