"""The SQL of documents."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import col

from app.chapters.documents_models import Document, DocumentReading, DocumentVersion
from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor, Reach


def _open_to(actor: Actor) -> ColumnElement[bool]:
    """Headquarters sees all; the others what is published and has a version."""
    if actor.reach is Reach.ALL:
        return true()
    return and_(col(Document.is_published), col(Document.latest) > 0)


async def documents(session: AsyncSession, actor: Actor, *, after: UUID | None, limit: int) -> Sequence[Document]:
    """The documents an actor may see, oldest first."""
    query = select(Document).where(_open_to(actor)).order_by(col(Document.id)).limit(limit)
    if after is not None:
        query = query.where(col(Document.id) > after)
    return (await session.scalars(query)).all()


async def document(session: AsyncSession, actor: Actor, document_id: UUID, *, locked: bool = False) -> Document | None:
    """One document, if the actor may see it; `locked`: for change."""
    query = select(Document).where(col(Document.id) == document_id, _open_to(actor))
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    found: Document | None = await session.scalar(query)
    return found


async def versions(session: AsyncSession, document_id: UUID) -> Sequence[DocumentVersion]:
    """A document's versions without their contents, newest first; there are a handful."""
    query = select(DocumentVersion).where(col(DocumentVersion.document_id) == document_id)
    query = query.order_by(col(DocumentVersion.number).desc())
    without_content = defer(cast(Any, DocumentVersion.content), raiseload=True)
    return (await session.scalars(query.options(without_content))).all()


async def readings(
    session: AsyncSession, actor: Actor, document_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[DocumentReading]:
    """Who downloaded a document, as far as the actor reaches; oldest first."""
    whose = dealer_visible_to(actor, col(DocumentReading.place))
    query = select(DocumentReading).where(col(DocumentReading.document_id) == document_id, whose)
    if after is not None:
        query = query.where(col(DocumentReading.id) > after)
    return (await session.scalars(query.order_by(col(DocumentReading.id)).limit(limit))).all()
