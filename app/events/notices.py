"""What members are told about events: kept until they read it, and theirs to read again."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core import catalogue
from app.core.catalogue import Language
from app.core.clock import CHINA
from app.core.db import new_id
from app.core.problems import NotFound
from app.events.models import ClubEvent, EventNotice
from app.events.rules import NoticeKind
from app.events.schemas import EventNoticeRead

_TELL = """
INSERT INTO event_notice (id, event_id, member_id, kind, reason, at)
SELECT id, :event, member_id, :kind, :reason, :at
  FROM unnest(CAST(:ids AS uuid[]), CAST(:members AS uuid[])) AS told (id, member_id)
"""


async def tell(
    session: AsyncSession, event_id: UUID, member_ids: Collection[UUID], kind: NoticeKind, *, at: datetime,
    reason: str | None = None,
) -> None:  # fmt: skip
    """Tell members something about an event; their words are made when they read it."""
    if member_ids:
        told = {"ids": [new_id() for _ in member_ids], "members": list(member_ids), "event": event_id}
        # tens of thousands may be told at once
        await session.execute(text(_TELL), told | {"kind": kind, "reason": reason, "at": at})


async def of_member(
    session: AsyncSession, member_id: UUID, *, unread: bool, after: UUID | None, limit: int
) -> Sequence[tuple[EventNotice, ClubEvent]]:
    """What a member was told, newest first, with the events."""
    query = (
        select(EventNotice, ClubEvent)
        .join(ClubEvent, col(ClubEvent.id) == col(EventNotice.event_id))
        .where(col(EventNotice.member_id) == member_id)
    )
    if unread:
        query = query.where(col(EventNotice.read_at).is_(None))
    if after is not None:
        query = query.where(col(EventNotice.id) < after)
    rows = await session.execute(query.order_by(col(EventNotice.id).desc()).limit(limit))
    return [(notice, event) for notice, event in rows]


async def read(session: AsyncSession, member_id: UUID, notice_id: UUID, *, now: datetime) -> None:
    """Note that the member has read it; the first time counts.

    Raises:
        NotFound: the member was not told so.
    """
    whose = (col(EventNotice.id) == notice_id, col(EventNotice.member_id) == member_id)
    if await session.scalar(select(EventNotice).where(*whose)) is None:
        raise NotFound("event_notice")
    await session.execute(update(EventNotice).where(*whose, col(EventNotice.read_at).is_(None)).values(read_at=now))


def told(notice: EventNotice, event: ClubEvent, language: Language) -> EventNoticeRead:
    """A notice in words, with the event's place and time as they are now."""
    begins = f"{event.starts_at.astimezone(CHINA):%Y-%m-%d %H:%M}"
    facts = {"title": event.title, "place": event.place, "begins": begins, "reason": notice.reason or ""}
    said = catalogue.text(language, f"event_notice.{notice.kind}", facts)
    return EventNoticeRead.model_validate(dict(notice) | {"text": said})
