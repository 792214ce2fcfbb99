"""Documents (policies) for the chapters: uploaded by headquarters in versions, downloaded, and noted who did."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import documents_queries as queries
from app.chapters.documents_models import Document, DocumentReading, DocumentVersion
from app.chapters.documents_rules import MEDIA_TYPES, is_a
from app.chapters.documents_schemas import DocumentCreate, DocumentUpdate
from app.core.actors import Actor
from app.core.editing import edit
from app.core.problems import (
    InvalidPayload,
    NotFound,
    PayloadTooLarge,
    UnsupportedMediaType,
)


async def create(session: AsyncSession, body: DocumentCreate) -> Document:
    """A document without a version yet."""
    created = Document(**body.model_dump())
    session.add(created)
    await session.flush()
    return created


async def document(session: AsyncSession, actor: Actor, document_id: UUID, *, locked: bool = False) -> Document:
    """One document.

    Raises:
        NotFound: there is none, or none for the actor yet, or any more.
    """
    found = await queries.document(session, actor, document_id, locked=locked)
    if found is None:
        raise NotFound("document")
    return found


async def update(
    session: AsyncSession, actor: Actor, document_id: UUID, body: DocumentUpdate, *, version: int
) -> Document:
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
    """
    found = await document(session, actor, document_id, locked=True)
    edit(found, body.model_dump(exclude_unset=True), version)
    await session.flush()
    return found


async def received(stream: AsyncIterator[bytes], media_type: str, limit_mib: int) -> bytes:
    """An upload's whole body.

    Raises:
        UnsupportedMediaType: documents are not of that type.
        PayloadTooLarge: there is more of it than `limit_mib`.
        InvalidPayload: it is not what its media type says.
    """
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(accepted=MEDIA_TYPES)
    content = bytearray()
    async for part in stream:
        content += part
        if len(content) > limit_mib << 20:
            raise PayloadTooLarge(limit_mib=limit_mib)
    whole = bytes(content)
    if not await asyncio.to_thread(is_a, media_type, whole):
        raise InvalidPayload.at("", "content_not_as_declared")
    return whole


async def upload(
    session: AsyncSession, actor: Actor, document_id: UUID, media_type: str, content: bytes, *, now: datetime
) -> DocumentVersion:
    """A document's next version; the newest one sent again is that one.

    Raises:
        NotFound: there is no such document.
    """
    found = await document(session, actor, document_id, locked=True)
    digest = sha256(content).digest()
    for newest in (await queries.versions(session, document_id))[:1]:
        if (newest.media_type, newest.sha256) == (media_type, digest):
            return newest
    found.latest += 1
    made = DocumentVersion(
        document_id=document_id, number=found.latest, media_type=media_type, size=len(content), sha256=digest,
        content=content, uploaded_by=actor.subject, uploaded_at=now,
    )  # fmt: skip
    session.add(made)
    await session.flush()
    return made


async def versions(session: AsyncSession, actor: Actor, document_id: UUID) -> Sequence[DocumentVersion]:
    """A document's versions without their contents, newest first.

    Raises:
        NotFound: there is no such document for the actor.
    """
    await document(session, actor, document_id)
    return await queries.versions(session, document_id)


async def read(
    session: AsyncSession, actor: Actor, document_id: UUID, number: int | None, *, now: datetime
) -> DocumentVersion:
    """A version with its content (None: the newest); that it was read is noted.

    Raises:
        NotFound: there is no such document for the actor, or no such version.
    """
    latest = (await document(session, actor, document_id)).latest
    found = await session.get(DocumentVersion, (document_id, number or latest))
    if found is None:
        raise NotFound("document_version")
    session.add(
        DocumentReading(document_id=document_id, number=found.number, reader=actor.subject, place=actor.place, at=now)
    )
    await session.flush()
    return found


async def readings(
    session: AsyncSession, actor: Actor, document_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[DocumentReading]:
    """Who downloaded a document, as far as the actor reaches; oldest first.

    Raises:
        NotFound: there is no such document for the actor.
    """
    await document(session, actor, document_id)
    return await queries.readings(session, actor, document_id, after=after, limit=limit)
