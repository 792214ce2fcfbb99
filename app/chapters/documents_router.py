"""Documents for the chapters over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.chapters import documents
from app.chapters import documents_queries as queries
from app.chapters.documents_rules import MEDIA_TYPES, SUFFIXES
from app.chapters.documents_schemas import (
    DocumentCreate,
    DocumentRead,
    DocumentUpdate,
    DocumentVersionList,
    DocumentVersionRead,
    ReadingRead,
)
from app.core.actors import Actor, Right
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Once,
    Requires,
    Session,
    documented,
    tagged,
    version_of,
)
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, PayloadTooLarge, PreconditionFailed, UnsupportedMediaType

router = APIRouter(prefix="/documents", tags=["documents"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.DOCUMENTS_READ))]
Publisher = Annotated[Actor, Depends(Requires(Right.DOCUMENTS_WRITE))]

FILES: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES}


@router.get("")
async def documents_list(
    actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[DocumentRead]:
    """The documents there are, oldest first."""
    found = await queries.documents(session, actor, after=id_after(cursor), limit=limit + 1)
    items = [DocumentRead.model_validate(document, from_attributes=True) for document in found]
    return Page[DocumentRead].model_validate(paged(items, limit, lambda document: (str(document.id),)))


@router.post("", status_code=201, response_model=DocumentRead, responses=documented(KeyConflict))
async def documents_create(body: DocumentCreate, actor: Publisher, session: Session, once: Once) -> Response:
    """Announce a document; chapters see it with its first version."""

    async def create() -> DocumentRead:
        return DocumentRead.model_validate(await documents.create(session, body), from_attributes=True)

    return await once(body, create)


@router.get("/{document_id}", responses=documented(NotFound))
async def documents_get(document_id: UUID, actor: Reader, session: Session, response: Response) -> DocumentRead:
    """One document."""
    found = await documents.document(session, actor, document_id)
    return tagged(response, DocumentRead.model_validate(found, from_attributes=True))


@router.patch("/{document_id}", responses=documented(NotFound, PreconditionFailed))
async def documents_update(
    document_id: UUID, body: DocumentUpdate, if_match: IfMatch, actor: Publisher, session: Session, response: Response
) -> DocumentRead:
    """Change a document's title or summary, take it away from the chapters, or give it back."""
    changed = await documents.update(session, actor, document_id, body, version=version_of(if_match))
    return tagged(response, DocumentRead.model_validate(changed, from_attributes=True))


@router.get("/{document_id}/versions", responses=documented(NotFound))
async def documents_versions(document_id: UUID, actor: Reader, session: Session) -> DocumentVersionList:
    """A document's versions, newest first."""
    found = await documents.versions(session, actor, document_id)
    return DocumentVersionList(
        items=[DocumentVersionRead.model_validate(version, from_attributes=True) for version in found]
    )


@router.post(
    "/{document_id}/versions", status_code=201, responses=documented(NotFound, PayloadTooLarge, UnsupportedMediaType),
    openapi_extra={"requestBody": {"required": True, "content": FILES}},
)  # fmt: skip
async def documents_upload(
    document_id: UUID, request: Request, actor: Publisher, session: Session, settings: Config, now: Now
) -> DocumentVersionRead:
    """Upload a document's next version; the newest one sent again stays one."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    content = await documents.received(request.stream(), media_type, settings.document_max_mib)
    made = await documents.upload(session, actor, document_id, media_type, content, now=now)
    return DocumentVersionRead.model_validate(made, from_attributes=True)


@router.get(
    "/{document_id}/content", response_class=Response, responses=documented(NotFound) | {200: {"content": FILES}}
)
async def documents_content(
    document_id: UUID, actor: Reader, session: Session, now: Now,
    number: Annotated[int | None, Query(ge=1, le=100_000, description="without it, the newest version")] = None,
) -> Response:  # fmt: skip
    """Download a version; who did is noted."""
    found = await documents.read(session, actor, document_id, number, now=now)
    name = f"{document_id}-{found.number}.{SUFFIXES[found.media_type]}"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(found.content, media_type=found.media_type, headers=disposition)


@router.get("/{document_id}/readings", responses=documented(NotFound))
async def documents_readings(
    document_id: UUID, actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[ReadingRead]:
    """Who downloaded a document, oldest first; a chapter sees its own people, headquarters everybody."""
    found = await documents.readings(session, actor, document_id, after=id_after(cursor), limit=limit + 1)
    items = [ReadingRead.model_validate(reading, from_attributes=True) for reading in found]
    return Page[ReadingRead].model_validate(paged(items, limit, lambda reading: (str(reading.id),)))
