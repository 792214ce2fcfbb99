"""Text messages beside notices: who registered is sent one when an event is called off, by a queued job, by day.

A message is marked before it is handed over and again after: nobody is sent it twice, and the ones a worker had in
hand when it died are left `unclear`, since the provider does not tell whether it took them.
"""

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from pgqueuer import AsyncpgDriver, Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import CHINA, Clock
from app.core.db import Database, raw
from app.core.problems import SmsUnavailable
from app.core.sms import Message, Purpose, SmsNotTaken, SmsSender, serves
from app.events.registration_rules import Night
from app.events.rules import TextStatus
from app.settings import Settings

log = logging.getLogger("club.events")

ENTRYPOINT = "event_texts"
AT_ONCE = 8
"""Messages under way at a time."""
_PAUSE = timedelta(minutes=5)
"""Until a provider that took nothing is tried again."""

_MEANT = """
UPDATE event_notice n
   SET text_status = CASE WHEN 'sms' = ANY (p.channels) OR p.channels IS NULL THEN 'due' ELSE 'unwanted' END
  FROM member m LEFT JOIN member_profile p ON p.member_id = m.id
 WHERE n.event_id = :event AND n.kind = 'cancelled' AND n.member_id = m.id AND m.id = ANY (CAST(:members AS uuid[]))
"""

_CLAIM = """
UPDATE event_notice n SET text_status = 'sending'
  FROM member m
 WHERE m.id = n.member_id AND n.id = (
   SELECT id FROM event_notice WHERE event_id = $1 AND text_status = 'due' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING n.id, m.phone
"""


async def call_off(session: AsyncSession, event_id: UUID, member_ids: Collection[UUID], settings: Settings) -> None:
    """Have members who were told that an event is called off sent a text, too, unless they want none; in this commit.

    No marketing: who registered is owed it, whatever it agreed to be written to for.
    """
    if not member_ids or not serves(settings, Purpose.EVENT_CANCELLED):
        return
    await session.execute(text(_MEANT), {"event": event_id, "members": list(member_ids)})
    await Queries(AsyncpgDriver(await raw(session))).enqueue(ENTRYPOINT, str(event_id).encode())


async def work_off(
    database: Database, sms: SmsSender, event_id: UUID, *, settings: Settings, clock: Clock
) -> timedelta | None:
    """Send what is due of an event; in how long to go on, when the night or the provider stopped it."""
    night = Night(settings.quiet_from, settings.quiet_until)
    await _set(database.pool, event_id, TextStatus.SENDING, TextStatus.UNCLEAR)
    event = await database.pool.fetchrow("SELECT title, starts_at FROM club_event WHERE id = $1", event_id)
    assert event is not None, "events are not deleted"
    begins = f"{event['starts_at'].astimezone(CHINA):%Y-%m-%d %H:%M}"
    message = Message(Purpose.EVENT_CANCELLED, {"title": event["title"], "begins": begins})
    await asyncio.gather(*(_send_all(database, sms, event_id, message, night, clock) for _ in range(AT_ONCE)))
    return await _pause(database.pool, event_id, night, event["starts_at"], clock())


async def give_up(database: Database, event_id: UUID) -> None:
    """Leave what is not sent to whoever runs the event, who has to call."""
    await _set(database.pool, event_id, TextStatus.SENDING, TextStatus.UNCLEAR)
    await _set(database.pool, event_id, TextStatus.DUE, TextStatus.FAILED)


async def _send_all(
    database: Database, sms: SmsSender, event_id: UUID, message: Message, night: Night, clock: Clock
) -> None:
    """One after the other, until none is due, night falls, or the provider takes none."""
    while not night.holds(clock()):
        claimed = await database.pool.fetchrow(_CLAIM, event_id)
        if claimed is None:
            return
        status = await _sent(database, sms, claimed, message)
        await database.pool.execute("UPDATE event_notice SET text_status = $2 WHERE id = $1", claimed["id"], status)
        if status is TextStatus.DUE:
            return


async def _sent(database: Database, sms: SmsSender, claimed: asyncpg.Record, message: Message) -> TextStatus:
    if claimed["phone"] is None:
        # erased meanwhile
        return TextStatus.FAILED
    try:
        await sms.send(database.vault.open(claimed["phone"]), message)
    except SmsNotTaken:
        return TextStatus.DUE
    except SmsUnavailable:
        return TextStatus.FAILED
    return TextStatus.SENT


async def _pause(
    pool: asyncpg.Pool, event_id: UUID, night: Night, starts_at: datetime, now: datetime
) -> timedelta | None:
    left = "SELECT EXISTS (SELECT FROM event_notice WHERE event_id = $1 AND text_status = 'due')"
    if not await pool.fetchval(left, event_id):
        return None
    pause = max(night.morning(now) - now, _PAUSE)
    if now + pause < starts_at:
        return pause
    # it would come too late: whoever runs the event has to call
    await _set(pool, event_id, TextStatus.DUE, TextStatus.FAILED)
    return None


async def _set(pool: asyncpg.Pool, event_id: UUID, was: TextStatus, status: TextStatus) -> None:
    done = await pool.execute(
        "UPDATE event_notice SET text_status = $3 WHERE event_id = $1 AND text_status = $2", event_id, was, status
    )
    if done != "UPDATE 0":
        log.warning("texts about event %s are left %s: %s", event_id, status, done.removeprefix("UPDATE "))
