"""What repair orders earn: orders as events for the rules, judged a chunk at a time and posted with it."""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.core.tabular import Rejection, Row
from app.earning import awards, engine
from app.earning import book as books
from app.earning.awards import Kept, Lot
from app.earning.book import Book, Judged
from app.earning.definitions import UntilEvent
from app.earning.engine import Considered, Event, Rule
from app.earning.triggers import DAY, Trigger, Value
from app.earning.why import Given
from app.points import ledger
from app.visits import queries
from app.visits.queries import Accepted, Earned
from app.visits.rules import Order

_TOLD_BY_ROW = frozenset(
    {"event.kind", "event.paid_fen", "event.labour_fen", "event.parts_fen", "dealer.code"}
    | {f"on.{name}" for name in DAY}
)
"""What an order's own row keeps of a rule's inputs."""


class Earnings(NamedTuple):
    """What a chunk earns.

    `plain`: what gives a lot that its order's own row tells of; `lots`: all others, which need an award on record;
    `earned`: by document what each order's row says.
    """

    plain: list[tuple[Event, Considered]]
    lots: list[Lot]
    earned: dict[str, Earned]


def event_of(one: Accepted, book: Book) -> Event | None:
    """The order as an event for the rules; None when nobody earns by it."""
    if one.member_id is None:
        return None
    order = one.order
    values: dict[str, Value] = {
        "event.kind": order.kind, "event.paid_fen": order.paid_fen, "event.labour_fen": order.labour_fen,
        "event.parts_fen": order.parts_fen, "event.mileage_km": one.mileage_km or 0,
        "dealer.code": order.dealer_code, "dealer.region": book.dealers[order.dealer_code],
    }  # fmt: skip
    return Event(
        Trigger.REPAIR_ORDER, one.cause, one.member_id, order.dealer_code, order.business_date, values, one.revision
    )


async def judged(connection: asyncpg.Connection, book: Book, accepted: Iterable[Accepted]) -> list[Judged]:
    """What the rules say to a chunk's orders before caps of a time and budgets."""
    events = [event for one in accepted if (event := event_of(one, book)) is not None]
    return await books.considered(connection, book, events)


def given(judged: Iterable[Judged]) -> Earnings:
    """What a chunk earns as the rules and their limits leave it."""
    plain: list[tuple[Event, Considered]] = []
    lots: list[Lot] = []
    earned: dict[str, Earned] = {}
    for event, considered in judged:
        giving = [one for one in considered if one.gives]
        if len(giving) == 1 and giving[0].status_points == 0 and _is_plain(rule := giving[0].rule):
            plain.append((event, giving[0]))
            earned[event.document] = Earned(giving[0].points, rule.no)
        elif giving:
            own = awards.lots_of(event, giving)
            lots += own
            earned[event.document] = Earned(sum(lot.points for lot in own))
    return Earnings(plain, lots, earned)


@lru_cache(maxsize=1024)
def _is_plain(rule: Rule) -> bool:
    d = rule.definition
    waits, is_shared = isinstance(d.pending, UntilEvent), len(d.funders) > 1
    return rule.fields <= _TOLD_BY_ROW and not (rule.is_limited or waits or is_shared)


async def stage(connection: asyncpg.Connection, given: Earnings, incoming: str | None) -> None:
    """Stage what a chunk earns for the ledger; `incoming` is the table of its orders, if there is one."""
    plain = [] if incoming else [lot for event, one in given.plain for lot in awards.lots_of(event, [one])]
    await ledger.stage_batch(connection, [lot.earning for lot in (*given.lots, *plain) if lot.points])
    if incoming and given.plain:
        # what the orders' rows tell need not travel a second time
        times = {(one.rule, event.on) for event, one in given.plain}
        terms = [(rule.no, on, _funder(rule), *engine.days(rule, on)) for rule, on in times]
        query = _PLAIN.format(incoming=incoming)
        await ledger.stage_from(connection, query, queries.DOCUMENT, *map(list, zip(*terms, strict=True)))


def _funder(rule: Rule) -> str | None:
    party = rule.definition.funders[0].party
    return None if party == "dealer" else engine.party_code(party, None)


_PLAIN = """
SELECT o.member_id, o.points, coalesce(t.funder, o.dealer_code), o.dealer_code,
       $1::text || ':' || o.dealer_code || ':' || o.order_no, o.revision,
       o.business_date, t.last, t.first, t.activity_months
  FROM {incoming} o
  JOIN unnest($2::int[], $3::date[], $4::text[], $5::date[], $6::date[], $7::smallint[])
       AS t (rule_no, day, funder, first, last, activity_months) ON t.rule_no = o.rule_no AND t.day = o.business_date
 ORDER BY o.ctid"""


def notes(kept: Sequence[Kept], accepted: Sequence[Accepted]) -> list[Rejection]:
    """A line for each order of which something waits for a person: posted it is all the same."""
    rows = {one.cause: one.row for one in accepted} if kept else {}
    return [
        Rejection.of(rows[event.document], f"posted; rule {one.rule.code} waits for a person: {one.reason}")
        for event, one in kept
    ]


_ROW = """
SELECT rule_no, kind, paid_fen, labour_fen, parts_fen, dealer_code, business_date FROM repair_order
 WHERE dealer_code = $1 AND order_no = $2 AND rule_no IS NOT NULL AND md5($3 || '#' || revision)::uuid = $4"""


async def told_by_row(connection: asyncpg.Connection, cause: str, request_key: UUID) -> Given | None:
    """What the order of an earning keeps of the one rule that gave it."""
    _, dealer_code, order_no = cause.split(":", 2)
    row = await connection.fetchrow(_ROW, dealer_code, order_no, cause, request_key)
    if row is None:
        return None
    values = {f"event.{name}": row[name] for name in ("kind", "paid_fen", "labour_fen", "parts_fen")}
    return Given(row["rule_no"], values | {"dealer.code": dealer_code, "on.date": row["business_date"].isoformat()})


_OF_A_TIME = """
SELECT o.* FROM repair_order o
 WHERE o.business_date >= $1 AND o.business_date < $2 AND o.member_id IS NOT NULL AND o.cancelled_at IS NULL
   AND NOT EXISTS (SELECT FROM repair_order l WHERE l.dealer_code = o.dealer_code AND l.order_no = o.order_no
                      AND l.revision > 1 AND l.revision > o.revision)
   AND (o.points = 0 OR EXISTS (SELECT FROM ledger.lot t
                                 WHERE t.document = $3 || ':' || o.dealer_code || ':' || o.order_no
                                   AND t.member_id = o.member_id AND t.is_live))"""


async def events_of(connection: asyncpg.Connection, book: Book, begin: date, end: date) -> list[Event]:
    """The orders of members that stand, from a day to before another; mileages are not kept with them."""
    rows = await connection.fetch(_OF_A_TIME, begin, end, queries.DOCUMENT)
    orders = [Order(*(row[field] for field in Order._fields)) for row in rows]
    accepted = [
        Accepted(Row(0, []), order, queries.cause(*order[:2]), row["revision"], row["member_id"], None)
        for order, row in zip(orders, rows, strict=True)
    ]
    return [event for one in accepted if (event := event_of(one, book)) is not None]
