"""Who came to events in a time, as earning rules see it: what draft rules are tried on."""

from datetime import date, datetime, time

import asyncpg

from app.core.clock import CHINA, china_date
from app.earning import awards, engine
from app.earning.book import Book
from app.earning.triggers import Trigger
from app.events.check_in import document_of, fields_of

_CAME = """
SELECT c.registration_id, r.member_id, e.dealer_code, c.at, e.id, e.event_class, e.kind, r.party
  FROM check_in c JOIN registration r ON r.id = c.registration_id JOIN club_event e ON e.id = c.event_id
 WHERE c.undone_at IS NULL AND c.at >= $1 AND c.at < $2"""


async def events_of(connection: asyncpg.Connection, book: Book, begin: date, end: date) -> list[engine.Event]:
    """The check-ins that stand, from a day to before another."""
    first, last = (datetime.combine(day, time(), CHINA) for day in (begin, end))
    return [
        awards.Event(
            Trigger.EVENT_ATTENDED, document_of(registration_id), member_id, dealer_code, china_date(at),
            fields_of(*told),
        ).typed(book)
        for registration_id, member_id, dealer_code, at, *told in await connection.fetch(_CAME, first, last)
    ]  # fmt: skip
