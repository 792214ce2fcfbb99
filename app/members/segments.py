"""Segments: filters over members, read, saved by name, and turned into conditions for whoever asks."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach
from app.core.catalogue import Language
from app.core.db import flush_unless, raw
from app.core.editing import change, require_version
from app.core.filter_sql import compiled
from app.core.filter_words import explained
from app.core.filters import Node, Scope, parse
from app.core.problems import Forbidden, InvalidPayload, NotFound
from app.members import segment_queries as queries
from app.members.fields import fields
from app.members.models import Member
from app.members.problems import SegmentExists
from app.members.segment_models import Segment
from app.members.segment_schemas import SegmentCreate, SegmentUpdate

Tree = dict[str, Any]
_TAKEN = "uq_segment_dealer_code_name"


async def read(session: AsyncSession, actor: Actor, tree: Tree) -> Node:
    """A filter as it is meant.

    Raises:
        FieldNotVisible, InvalidPayload: as `filters.parse` says.
    """
    return parse(tree, await fields(session), actor)


def condition(node: Node, today: date) -> ColumnElement[bool]:
    """A filter as a condition on `Member`; that the member is the actor's to see is another."""
    return compiled(node, Scope(col(Member.id), today))


async def chosen(session: AsyncSession, actor: Actor, segment: Segment, today: date) -> ColumnElement[bool]:
    """The members of a segment as a condition on `Member`.

    Raises:
        FieldNotVisible: the segment's author may see more than the actor.
        InvalidPayload: a field of it is gone.
    """
    return within(segment, await read(session, actor, segment.filter), today)


def within(segment: Segment, node: Node, today: date) -> ColumnElement[bool]:
    """A segment, whose filter was read, as a condition on `Member`: of a chapter's, members of that chapter."""
    found = condition(node, today)
    return found if segment.dealer_code is None else and_(col(Member.dealer_code) == segment.dealer_code, found)


def in_words(node: Node) -> dict[Language, str]:
    """The filter in each language."""
    return {language: explained(node, language) for language in Language}


# --- saved ---


async def get(session: AsyncSession, actor: Actor, segment_id: UUID) -> Segment:
    """A segment of headquarters, or of a chapter that the actor reaches.

    Raises:
        NotFound.
    """
    found = await queries.segment(session, actor, segment_id)
    if found is None:
        raise NotFound("segment")
    return found


async def create(session: AsyncSession, actor: Actor, body: SegmentCreate, *, now: datetime) -> Segment:
    """Save a filter under a name.

    Raises:
        FieldNotVisible, InvalidPayload: as `filters.parse` says.
        NotFound: the chapter is not the actor's to write for, or there is none.
        SegmentExists: the name is taken there.
    """
    dealer_code = await owner(session, actor, body.dealer_code)
    await read(session, actor, body.filter)
    made = Segment(
        dealer_code=dealer_code,
        name=body.name,
        filter=body.filter,
        created_by=actor.subject,
        created_at=now,
        updated_at=now,
    )
    session.add(made)
    await flush_unless(session, _TAKEN, SegmentExists)
    return made


async def owner(session: AsyncSession, actor: Actor, dealer_code: str | None) -> str | None:
    """Whose it is what an actor saves: a chapter's, its own unless it says otherwise, or headquarters' (None).

    Raises:
        NotFound: the chapter is not the actor's to write for, or there is none.
        InvalidPayload: the actor has to say which chapter.
    """
    if actor.reach is Reach.ALL and dealer_code is None:
        return None
    chosen = dealer_code or actor.dealer_code
    if chosen is None:
        raise InvalidPayload.at("/dealer_code", "missing")
    reaches = await chapters.reaches(await raw(session), actor, chosen)
    if not reaches or not await chapters.has_chapter(session, chosen):
        raise NotFound("chapter")
    return chosen


async def update(
    session: AsyncSession, actor: Actor, segment_id: UUID, body: SegmentUpdate, *, version: int, now: datetime
) -> Segment:
    """Change a segment's name or filter.

    Raises:
        NotFound, PreconditionFailed, SegmentExists.
        Forbidden: it is headquarters' and the actor a chapter's.
        FieldNotVisible, InvalidPayload: as `filters.parse` says.
    """
    segment = await _for_change(session, actor, segment_id, version)
    changes = body.model_dump(exclude_unset=True)
    if "filter" in changes:
        await read(session, actor, body.filter)
    change(segment, changes | {"updated_at": now})
    await flush_unless(session, _TAKEN, SegmentExists)
    return segment


async def delete(session: AsyncSession, actor: Actor, segment_id: UUID, *, version: int) -> None:
    """Remove a segment.

    Raises:
        NotFound, PreconditionFailed.
        Forbidden: it is headquarters' and the actor a chapter's.
    """
    await session.delete(await _for_change(session, actor, segment_id, version))
    await session.flush()


async def _for_change(session: AsyncSession, actor: Actor, segment_id: UUID, version: int) -> Segment:
    segment = await queries.segment(session, actor, segment_id, locked=True)
    if segment is None:
        raise NotFound("segment")
    if segment.dealer_code is None and actor.reach is not Reach.ALL:
        raise Forbidden
    require_version(segment, version)
    return segment
