"""Monthly lists to pay incentives from: drawn up, approved, paid.

A list is what the rules give for everything that stands, of its month and of the twelve before, less what approved
lists have of it: so what came to light later is paid late, and what was paid in error is taken back by the next list.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach
from app.core.clock import add_months, china_date, month_end
from app.core.db import raw, unrestricted
from app.core.editing import change, require_version
from app.core.problems import Forbidden, InvalidPayload, NotFound, WrongStatus
from app.earning import book as books
from app.earning.book import Book
from app.earning.engine import Considered, Rule, Verdict
from app.earning.triggers import Trigger, day_values
from app.members.segments import owner
from app.referrals import incentives_queries as queries
from app.referrals.incentives_models import IncentiveLine, IncentiveList, IncentiveRule, LineKind, ListStatus
from app.referrals.incentives_queries import Listed, Occurrence
from app.referrals.incentives_rules import Line, paced
from app.referrals.incentives_schemas import IncentiveTerms, ListCreate, Pace
from app.referrals.problems import IncentiveListOutdated

MONTHS_BACK = 12
"""How far back a list mends earlier ones."""


class Computed(NamedTuple):
    """A month's lines, and how many of its events nobody is known to be paid for."""

    lines: list[Line]
    unassigned: int


async def draw_up(session: AsyncSession, actor: Actor, body: ListCreate, *, now: datetime) -> IncentiveList:
    """Draw up a month's list, or draw it up anew while it is a draft.

    Raises:
        NotFound: the chapter is not the actor's to write for, or there is none.
        InvalidPayload: the month is not over in China.
        WrongStatus: it is approved.
    """
    dealer_code = await owner(session, actor, body.dealer_code)
    if month_end(body.month) >= china_date(now):
        raise InvalidPayload.at("/month", "month_not_over")
    await queries.one_at_a_time(session)
    found = await queries.of_month(session, dealer_code, body.month)
    if found is not None and found.status != ListStatus.DRAFT:
        raise WrongStatus(current=found.status, allowed=[ListStatus.DRAFT])
    lines, unassigned = await _computed(session, dealer_code, body.month)
    drawn_up: dict[str, Any] = {"unassigned": unassigned, "drawn_up_by": actor.subject, "drawn_up_at": now}
    if found is None:
        found = IncentiveList(month=body.month, dealer_code=dealer_code, **drawn_up)
        session.add(found)
    else:
        await session.execute(delete(IncentiveLine).where(col(IncentiveLine.list_id) == found.id))
        change(found, drawn_up)
    await session.flush()
    rows = [{"list_id": found.id, "line_no": number, **line._asdict()} for number, line in enumerate(lines, 1)]
    if rows:
        await session.execute(insert(IncentiveLine), rows)
    return found


async def get(session: AsyncSession, actor: Actor, list_id: UUID) -> IncentiveList:
    """A list that the actor may see.

    Raises:
        NotFound.
    """
    found = await queries.one(session, actor, list_id)
    if found is None:
        raise NotFound("incentive list")
    return found


async def approve(session: AsyncSession, actor: Actor, list_id: UUID, *, version: int, now: datetime) -> IncentiveList:
    """Freeze a list as it was drawn up.

    Raises:
        NotFound, PreconditionFailed, WrongStatus.
        Forbidden: it is headquarters' and the actor a chapter's.
        IncentiveListOutdated: it would come out otherwise today.
    """
    await queries.one_at_a_time(session)
    found = await _for_step(session, actor, list_id, version, ListStatus.DRAFT)
    written = await queries.lines(session, actor, list_id, after=0, limit=None)
    computed = await _computed(session, found.dealer_code, found.month)
    if {(*_key(line), line.fen) for line, _ in written} != {(*line.key, line.fen) for line in computed.lines}:
        raise IncentiveListOutdated
    found.status, found.approved_by, found.approved_at = ListStatus.APPROVED, actor.subject, now
    return await _stepped(session, found)


def _key(line: IncentiveLine) -> tuple[str, UUID, str]:
    return line.document, line.rule_id, line.payee


async def pay(
    session: AsyncSession, actor: Actor, list_id: UUID, reference: str, *, version: int, now: datetime
) -> IncentiveList:
    """Note that an approved list was paid.

    Raises:
        NotFound, PreconditionFailed, WrongStatus.
        Forbidden: it is headquarters' and the actor a chapter's.
    """
    found = await _for_step(session, actor, list_id, version, ListStatus.APPROVED)
    found.status, found.paid_by, found.paid_at, found.reference = ListStatus.PAID, actor.subject, now, reference
    return await _stepped(session, found)


async def _for_step(
    session: AsyncSession, actor: Actor, list_id: UUID, version: int, needed: ListStatus
) -> IncentiveList:
    found = await queries.one(session, actor, list_id, locked=True)
    if found is None:
        raise NotFound("incentive list")
    if found.dealer_code is None and actor.reach is not Reach.ALL:
        raise Forbidden
    require_version(found, version)
    if found.status != needed:
        raise WrongStatus(current=found.status, allowed=[needed])
    return found


async def _stepped(session: AsyncSession, found: IncentiveList) -> IncentiveList:
    found.version += 1
    await session.flush()
    return found


# --- what a month comes to ---


async def _computed(session: AsyncSession, dealer_code: str | None, month: date) -> Computed:
    # whom a chapter recruited may be another's by now
    await unrestricted(session)
    connection = await raw(session)
    first, last = add_months(month, -MONTHS_BACK), month_end(month)
    written = await queries.of_scheme(session, dealer_code, first, last)
    rules = [_rule(number, rule) for number, rule in enumerate(written, 1)]
    book = Book.of(rules, await chapters.dealer_regions(connection))
    found = await _occurrences(connection, book, first, last, dealer_code)
    given, unassigned = await _given(connection, book, found, month, for_staff=dealer_code is not None)
    paces = {rule.id: IncentiveTerms.model_validate(rule.definition).pace for rule in written}
    joining = await queries.joining(connection, first, last, dealer_code) if _asks_joining(paces.values()) else {}
    lines = list(paced(given, paces, joining))
    listed = await queries.listed(connection, dealer_code, [line.document for line in lines], first, last)
    return Computed(list(_open(lines, listed)), unassigned)


def _asks_joining(paces: Iterable[Pace | None]) -> bool:
    return any(pace is not None and pace.least_joining_percent is not None for pace in paces)


def _rule(number: int, written: IncentiveRule) -> Rule:
    # it holds as long as it stands, which may be shorter than it was written
    definition = IncentiveTerms.model_validate(written.definition).as_points
    definition = definition.model_copy(update={"valid_until": written.valid_until})
    return Rule.of(number, written.id, written.code, {}, written.dealer_code, definition)


async def _occurrences(
    connection: asyncpg.Connection, book: Book, first: date, last: date, dealer_code: str | None
) -> list[Occurrence]:
    triggers: Iterable[Trigger] = sorted({rule.definition.trigger for rule in book.rules})
    found = [
        one for trigger in triggers for one in await queries.occurrences(connection, trigger, first, last, dealer_code)
    ]
    return sorted(found, key=lambda one: (one.event.on, one.event.document))


async def _given(
    connection: asyncpg.Connection, book: Book, found: Sequence[Occurrence], month: date, *, for_staff: bool
) -> tuple[list[Line], int]:
    judged = await books.considered(connection, book, [one.event.typed(book) for one in found])
    lines: list[Line] = []
    unassigned = 0
    for one, (event, considered) in zip(found, judged, strict=True):
        payee = one.staff if for_staff else one.event.dealer_code
        paying = [rule for rule in considered if rule.verdict in (Verdict.GIVES, Verdict.FAILED)]
        if payee is None:
            unassigned += bool(paying) and event.on >= month
            continue
        values = {**day_values(event.on), **event.values}
        lines += [_line(one, payee, rule, month, values) for rule in paying]
    return lines, unassigned


def _line(one: Occurrence, payee: str, considered: Considered, month: date, values: dict[str, Any]) -> Line:
    event, rule = one.event, considered.rule
    assert event.dealer_code is not None
    failed = considered.verdict is Verdict.FAILED
    in_time = LineKind.EARNED if event.on >= month else LineKind.LATE
    inputs = {name: values[name] for name in sorted(rule.fields)}
    return Line(
        LineKind.FAILED if failed else in_time, payee, event.dealer_code, event.document, event.on, event.member_id,
        rule.rule_id, considered.points, inputs, considered.reason if failed else None,
    )  # fmt: skip


def _open(lines: Sequence[Line], listed: Sequence[Listed]) -> Iterator[Line]:
    """What is not on approved lists yet, and what is there and no longer stands."""
    before = {(one.document, one.rule_id, one.payee): one for one in listed}
    for line in lines:
        had = before.pop(line.key, None)
        if had is None:
            yield line
        elif had.fen != line.fen and line.kind is not LineKind.FAILED:
            yield line._replace(kind=LineKind.CORRECTION, fen=line.fen - had.fen)
    for had in before.values():
        yield Line(
            LineKind.CORRECTION, had.payee, had.dealer_code, had.document, had.happened_on, had.member_id, had.rule_id,
            -had.fen, {},
        )  # fmt: skip
