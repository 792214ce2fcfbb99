"""Who won: results of contests and draws, written once, and prizes in points from what was granted for the event."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import HEADQUARTERS, Actor
from app.core.clock import add_months, china_date, month_end
from app.core.db import raw, unrestricted
from app.core.problems import FieldError, InvalidPayload, NotFound, WrongStatus
from app.events import attendance, invitations, life, notices, queries
from app.events.contest_models import EventResult
from app.events.contest_schemas import Standing, Won
from app.events.gathering_problems import PrizeBudget, ResultsGiven, WrongEventKind
from app.events.models import ClubEvent, EventBudgetLine
from app.events.rules import EventKind, EventStatus, LineKind, NoticeKind, own_dealer
from app.points import ledger
from app.points.ledger import Earning, Request

AWARDING = frozenset({EventStatus.HELD, EventStatus.REPORTED})


async def give(
    session: AsyncSession, actor: Actor, event_id: UUID, standings: Sequence[Standing], *, months: int, now: datetime
) -> Sequence[EventResult]:
    """Write a contest's results, and post the prizes; their points last so many months.

    Raises:
        NotFound, Forbidden.
        WrongEventKind: it is no contest.
        WrongStatus: it was not held, or is settled.
        ResultsGiven.
        InvalidPayload: somebody has no seat, is named twice, or a line gives no points.
        PrizeBudget: the prizes take more than was granted.
        WalletClosed: a member is not active.
    """
    event = await life.held_by(session, actor, event_id)
    require(event, EventKind.CONTEST, AWARDING)
    await _require_seats(session, event, standings)
    await require_granted(session, event, standings)
    return await write(session, event, standings, by=actor.subject, months=months, now=now)


def require(event: ClubEvent, kind: EventKind, statuses: frozenset[EventStatus]) -> None:
    """See to it that an event is of a kind, and stands where it has to.

    Raises:
        WrongEventKind, WrongStatus.
    """
    if event.kind != kind:
        raise WrongEventKind(kind=event.kind, needed=kind)
    if event.status not in statuses:
        raise WrongStatus(current=event.status, allowed=sorted(statuses))


async def _require_seats(session: AsyncSession, event: ClubEvent, standings: Sequence[Standing]) -> None:
    seated = {member for _, member in await attendance.entries(session, event.id, only_who_came=False)}
    named: set[UUID] = set()
    faults = []
    for index, standing in enumerate(standings):
        if standing.member_id not in seated or standing.member_id in named:
            code = "named_twice" if standing.member_id in named else "has_no_seat"
            faults.append(FieldError(f"/results/{index}/member_id", code, {}))
        named.add(standing.member_id)
    if faults:
        raise InvalidPayload(errors=faults)


async def require_granted(session: AsyncSession, event: ClubEvent, prizes: Iterable[Won]) -> None:
    """See to it that prizes in points are of lines that give so many.

    Raises:
        InvalidPayload: a line is not the event's, or gives no points.
        PrizeBudget.
    """
    lines = await _point_lines(session, event)
    needed: Counter[UUID] = Counter()
    for prize in prizes:
        if prize.line_id is not None:
            if prize.line_id not in lines:
                raise InvalidPayload.at("", "unknown_line")
            needed[prize.line_id] += prize.points
    for line_id, points in needed.items():
        if points > (lines[line_id].granted or 0):
            raise PrizeBudget(purpose=lines[line_id].purpose, granted=lines[line_id].granted or 0, needed=points)


async def _point_lines(session: AsyncSession, event: ClubEvent) -> dict[UUID, EventBudgetLine]:
    return {line.id: line for line in await queries.lines(session, event.id) if line.kind == LineKind.POINTS}


async def write(
    session: AsyncSession, event: ClubEvent, standings: Sequence[Standing], *, by: str, months: int, now: datetime
) -> Sequence[EventResult]:
    """Write who won, once, post what they won in points, and tell them. The caller has locked the event.

    Raises:
        ResultsGiven, WalletClosed.
    """
    if await results(session, event.id):
        raise ResultsGiven
    lines = await _point_lines(session, event)
    # winners may be other chapters' members
    await unrestricted(session)
    written = [EventResult(event_id=event.id, by=by, at=now, **dict(standing)) for standing in standings]
    # wallets are locked in the order of members, by everybody
    for result in sorted(written, key=lambda one: one.member_id):
        if result.line_id is not None:
            await _post(session, event, result, lines[result.line_id].payer, months)
    session.add_all(written)
    winners = [result.member_id for result in written]
    await notices.tell(session, event.id, winners, NoticeKind.WON, at=now)
    return sorted(written, key=lambda one: (one.rank, one.id))


async def _post(session: AsyncSession, event: ClubEvent, result: EventResult, payer: str, months: int) -> None:
    today = china_date(result.at)
    cause = f"event_prize:{event.id}:{result.member_id}"
    earning = Earning(
        result.member_id, result.points, _funder(payer), event.dealer_code or HEADQUARTERS, cause, today, today,
        month_end(add_months(today.replace(day=1), months)),
    )  # fmt: skip
    posting = await ledger.earn(await raw(session), earning, Request(result.by, cause, result.at))
    result.wallet_id, result.posting_no = result.member_id, posting.posting_no


def _funder(payer: str) -> str:
    """A budget line's payer as the ledger names it."""
    return HEADQUARTERS if payer == "hq" else own_dealer(payer) or payer


async def results(session: AsyncSession, event_id: UUID) -> Sequence[EventResult]:
    """An event's results, best first."""
    query = select(EventResult).where(col(EventResult.event_id) == event_id)
    return (await session.scalars(query.order_by(col(EventResult.rank), col(EventResult.id)))).all()


async def read(session: AsyncSession, actor: Actor, event_id: UUID) -> Sequence[EventResult]:
    """An event's results for those who run it.

    Raises:
        NotFound, Forbidden.
    """
    return await results(session, (await invitations.run_by(session, actor, event_id)).id)


async def own(session: AsyncSession, member_id: UUID, event_id: UUID) -> EventResult:
    """A member's own result.

    Raises:
        NotFound: it has none.
    """
    query = select(EventResult).where(col(EventResult.event_id) == event_id, col(EventResult.member_id) == member_id)
    found: EventResult | None = await session.scalar(query)
    if found is None:
        raise NotFound("event_result")
    return found
