"""What a member's own purchase earns: delivery, repurchase and trade-in are triggers of their own.

A repurchase is a car delivered to a member who had another before; a trade-in one around whose delivery the member gave
an earlier car up. What comes to light later (an owner joins, a sale is noted) is found by the night's work: a document
earns once.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from app.core.clock import china_date
from app.earning import awards, engine, whatif
from app.earning.awards import Event
from app.earning.book import Book, book
from app.earning.triggers import Trigger
from app.points.ledger import Request
from app.visits.delivered import FEED, award_all

TRADE_IN_DAYS = 30
"""A car given up so near the delivery of another was traded in for it."""
LATELY = timedelta(days=90)
"""How far back the night looks."""
TRIGGERS = (Trigger.VEHICLE_DELIVERED, Trigger.REPURCHASE, Trigger.TRADE_IN)

_PURCHASES = """
SELECT d.id, d.member_id, d.dealer_code, d.delivered_on, coalesce(d.model, '') AS model,
       (SELECT count(*) FROM ownership o
         WHERE o.member_id = d.member_id AND o.vin <> d.vin AND o.since < d.delivered_on) AS cars_before,
       (SELECT coalesce(v.model, '') FROM ownership o JOIN vehicle v ON v.vin = o.vin
         WHERE o.member_id = d.member_id AND o.vin <> d.vin AND o.since < d.delivered_on
           AND abs(o.until - d.delivered_on) <= $2
         ORDER BY o.until DESC, o.vin LIMIT 1) AS old_model
  FROM delivery d WHERE d.member_id IS NOT NULL"""
_OF_CARS = f"{_PURCHASES} AND d.vin = ANY ($1)"
_LATELY = f"{_PURCHASES} AND d.delivered_on >= $1"
_OF_A_TIME = f"{_LATELY} AND d.delivered_on < $3"
_CANCELLED = "SELECT id FROM cancelled_delivery WHERE vin = ANY ($1) ORDER BY id"


class Purchase(NamedTuple):
    """A member's car as it was delivered; `old_model` None: none was traded in."""

    delivery_id: UUID
    member_id: UUID
    dealer_code: str
    delivered_on: date
    model: str
    cars_before: int
    old_model: str | None


async def delivered(connection: asyncpg.Connection, vins: Sequence[str], now: datetime) -> None:
    """Award the members to whom these cars were delivered."""
    await _award(connection, _OF_CARS, vins, now)


async def of_late(connection: asyncpg.Connection, now: datetime) -> None:
    """Award what was delivered of late and came to light since; the night's work."""
    await _award(connection, _LATELY, china_date(now) - LATELY, now)


async def _award(connection: asyncpg.Connection, query: str, which: object, now: datetime) -> None:
    rules = await book(connection)
    triggers = [trigger for trigger in TRIGGERS if rules.of_trigger(trigger)]
    if triggers:
        purchases = [Purchase(*row) for row in await connection.fetch(query, which, TRADE_IN_DAYS)]
        for trigger in triggers:
            await award_all(connection, list(_events(trigger, purchases)), now)


def source(trigger: Trigger) -> whatif.Source:
    """A trigger's events of a time: what draft rules are tried on."""

    async def events_of(connection: asyncpg.Connection, book: Book, begin: date, end: date) -> list[engine.Event]:
        rows = await connection.fetch(_OF_A_TIME, begin, TRADE_IN_DAYS, end)
        return [event.typed(book) for event in _events(trigger, [Purchase(*row) for row in rows])]

    return events_of


def _events(trigger: Trigger, purchases: Sequence[Purchase]) -> Iterator[Event]:
    for one in purchases:
        fields = _fields(trigger, one)
        if fields is not None:
            document = _document(trigger, one.delivery_id)
            yield Event(trigger, document, one.member_id, one.dealer_code, one.delivered_on, fields)


def _fields(trigger: Trigger, one: Purchase) -> dict[str, Any] | None:
    """What a trigger tells of a purchase; None: it is no such thing."""
    told: dict[str, Any] = {"model": one.model}
    if trigger is Trigger.REPURCHASE:
        return told | {"cars_before": one.cars_before} if one.cars_before else None
    if trigger is Trigger.TRADE_IN:
        return told | {"old_model": one.old_model} if one.old_model is not None else None
    return told


def _document(trigger: Trigger, delivery_id: UUID) -> str:
    return f"{trigger}:{delivery_id}"


async def cancelled(connection: asyncpg.Connection, vins: Sequence[str], now: datetime) -> None:
    """The sales of these cars were cancelled: what they earned is reversed.

    Raises:
        WalletClosed: who got the points has left.
    """
    for (delivery_id,) in await connection.fetch(_CANCELLED, vins):
        for trigger in TRIGGERS:
            document = _document(trigger, delivery_id)
            request = Request(FEED, f"{document}:reversal", now)
            await awards.reverse(connection, document, reason="the sale was cancelled", request=request)
