"""Photos of an event, for its report: whoever runs it adds them until the report is settled."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from typing import Any, cast
from uuid import UUID

from reportlab.lib.utils import ImageReader
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import col

from app.chapters import documents
from app.core.actors import Actor
from app.core.problems import InvalidPayload, NotFound, UnsupportedMediaType, WrongStatus
from app.events import invitations
from app.events.gathering_models import EventPhoto
from app.events.gathering_problems import TooManyPhotos
from app.events.models import ClubEvent
from app.events.rules import EventStatus

MEDIA_TYPES = ("image/jpeg", "image/png")
ADDING = frozenset({EventStatus.HELD, EventStatus.REPORTED})
MOST = 30
_MOST_PIXELS = 50_000_000


async def received(stream: AsyncIterator[bytes], media_type: str, limit_mib: int) -> bytes:
    """An upload's whole body, which is a picture.

    Raises:
        UnsupportedMediaType, PayloadTooLarge.
        InvalidPayload: it cannot be read as a picture, or has too many pixels.
    """
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(accepted=MEDIA_TYPES)
    content = await documents.received(stream, media_type, limit_mib)
    if not await asyncio.to_thread(_is_picture, content):
        raise InvalidPayload.at("", "content_not_as_declared")
    return content


def _is_picture(content: bytes) -> bool:
    """Whether the PDF can show it: read as a whole, since a broken one would break the report."""
    try:
        picture = ImageReader(BytesIO(content))
        wide, high = picture.getSize()
        if wide * high > _MOST_PIXELS:
            return False
        picture.getRGBData()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


async def add(
    session: AsyncSession, actor: Actor, event_id: UUID, media_type: str, content: bytes, *, now: datetime
) -> EventPhoto:
    """Keep a photo; the same one sent again is that one.

    Raises:
        NotFound, Forbidden, TooManyPhotos.
        WrongStatus: the event was not held, or is settled.
    """
    await _open_to(session, actor, event_id)
    digest = sha256(content).digest()
    there = await listed(session, event_id)
    for photo in there:
        if photo.sha256 == digest:
            return photo
    if len(there) >= MOST:
        raise TooManyPhotos(most=MOST)
    made = EventPhoto(
        event_id=event_id, media_type=media_type, size=len(content), sha256=digest, content=content,
        uploaded_by=actor.subject, uploaded_at=now,
    )  # fmt: skip
    session.add(made)
    await session.flush()
    return made


async def _open_to(session: AsyncSession, actor: Actor, event_id: UUID) -> ClubEvent:
    event = await invitations.run_by(session, actor, event_id, lock=True)
    if event.status not in ADDING:
        raise WrongStatus(current=event.status, allowed=sorted(ADDING))
    return event


async def listed(session: AsyncSession, event_id: UUID) -> Sequence[EventPhoto]:
    """An event's photos without their contents, oldest first."""
    query = select(EventPhoto).where(col(EventPhoto.event_id) == event_id).order_by(col(EventPhoto.id))
    return (await session.scalars(query.options(defer(cast(Any, EventPhoto.content), raiseload=True)))).all()


async def with_content(session: AsyncSession, event_id: UUID) -> Sequence[EventPhoto]:
    """An event's photos, oldest first."""
    query = select(EventPhoto).where(col(EventPhoto.event_id) == event_id).order_by(col(EventPhoto.id))
    return (await session.scalars(query)).all()


async def photo(session: AsyncSession, actor: Actor, event_id: UUID, photo_id: UUID) -> EventPhoto:
    """A photo with its content.

    Raises:
        NotFound, Forbidden.
    """
    await invitations.run_by(session, actor, event_id)
    found = await session.get(EventPhoto, photo_id)
    if found is None or found.event_id != event_id:
        raise NotFound("photo")
    return found


async def remove(session: AsyncSession, actor: Actor, event_id: UUID, photo_id: UUID) -> None:
    """Take a photo away.

    Raises:
        NotFound, Forbidden.
        WrongStatus: the report is settled.
    """
    await _open_to(session, actor, event_id)
    await session.delete(await photo(session, actor, event_id, photo_id))
    await session.flush()
