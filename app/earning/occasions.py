"""Occasions that come by themselves: members who joined, birthdays, anniversaries of a purchase. Run by the worker.

Each is a document of its own (once a member, or once a member and year), so that looking back a few days costs nothing
and makes up for nights on which no worker ran. Without a rule for it in force, an occasion is not even looked for.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import asyncpg
import orjson

from app.core.clock import china_date
from app.core.db import Connection, Database
from app.earning import awards, engine
from app.earning import book as books
from app.earning.awards import Event
from app.earning.book import Book
from app.earning.triggers import Trigger
from app.points.ledger import Request
from app.points.problems import WalletClosed

ACTOR = "system"
LOOKED_BACK = timedelta(days=6)


class Occasion(NamedTuple):
    """A query of what comes round from $1 to $2: (key, member, dealer, day, fields as JSON text)."""

    trigger: Trigger
    query: str

    async def events(self, connection: Connection, book: Book, begin: date, end: date) -> list[engine.Event]:
        """All of them from a day to before another, earned or not: what drafts are tried on."""
        rows = await connection.fetch(self.query, begin, end - timedelta(days=1))
        return [self._event(row).typed(book) for row in rows]

    async def due(self, connection: Connection, begin: date, today: date) -> list[Event]:
        """Those that have earned nothing yet."""
        unearned = _UNEARNED.format(query=self.query)
        return [self._event(row) for row in await connection.fetch(unearned, begin, today, f"{self.trigger}:")]

    def _event(self, row: asyncpg.Record) -> Event:
        key, member_id, dealer_code, on, fields = row
        return Event(self.trigger, f"{self.trigger}:{key}", member_id, dealer_code, on, orjson.loads(fields))


_UNEARNED = """
SELECT * FROM ({query}) due (key, member_id, dealer_code, day, fields)
 WHERE NOT EXISTS (SELECT FROM award a WHERE a.document = $3 || due.key)
   AND NOT EXISTS (SELECT FROM earning_case c WHERE c.document = $3 || due.key)"""

_JOINED = """
SELECT m.id::text, m.id, m.dealer_code, m.joined_on, jsonb_build_object('source', m.source)::text
  FROM member m WHERE m.joined_on BETWEEN $1 AND $2 AND m.status = 'active'"""

# the day that a birth or a purchase comes round to; one of 29 February has it on the 28th where there is none
_ROUND = """
 CROSS JOIN LATERAL generate_series(extract(year FROM $1::date)::int, extract(year FROM $2::date)::int) AS years (year)
 CROSS JOIN LATERAL (SELECT ({day} + make_interval(years => year - extract(year FROM {day})::int))::date AS day) AS come
 WHERE come.day BETWEEN $1 AND $2 AND come.day > {day} AND m.status = 'active'"""

_BIRTHDAYS = """
SELECT m.id || '/' || year, m.id, m.dealer_code, come.day,
       jsonb_build_object('age', year - extract(year FROM b.born_on)::int)::text
  FROM member_birth b JOIN member m ON m.id = b.member_id""" + _ROUND.format(day="b.born_on")

# of several cars the one whose day comes first
_ANNIVERSARIES = (
    """
SELECT DISTINCT ON (m.id, year) m.id || '/' || year, m.id, m.dealer_code, come.day,
       jsonb_build_object('years', year - extract(year FROM o.purchased_on)::int, 'model', coalesce(v.model, ''))::text
  FROM ownership o JOIN vehicle v ON v.vin = o.vin JOIN member m ON m.id = o.member_id"""
    + _ROUND.format(day="o.purchased_on")
    + " AND o.until IS NULL ORDER BY m.id, year, come.day"
)

JOINED = (Occasion(Trigger.ENROLMENT, _JOINED),)
OF_THE_DAY = (Occasion(Trigger.BIRTHDAY, _BIRTHDAYS), Occasion(Trigger.PURCHASE_ANNIVERSARY, _ANNIVERSARIES))


async def work(db: Database, occasions: Sequence[Occasion], *, now: datetime) -> int:
    """Award what has come due in the last days; how many members were awarded."""
    today = china_date(now)
    begins = today - LOOKED_BACK
    book = await books.book(db.pool)
    awarded = 0
    for occasion in occasions:
        if _in_force(book, occasion.trigger, begins, today):
            awarded += await _award(db, await occasion.due(db.pool, begins, today), now)
    return awarded


def _in_force(book: Book, trigger: Trigger, begins: date, today: date) -> bool:
    definitions = [rule.definition for rule in book.of_trigger(trigger)]
    return any(d.valid_from <= today and (d.valid_until is None or begins <= d.valid_until) for d in definitions)


async def _award(db: Database, events: Sequence[Event], now: datetime) -> int:
    awarded = 0
    for event in events:
        try:
            async with db.transaction() as connection:
                outcome = await awards.award(connection, event, Request(ACTOR, event.document, now))
        except WalletClosed:
            # the member left meanwhile
            continue
        awarded += outcome.points > 0 and not outcome.replayed
    return awarded
