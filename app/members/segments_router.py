"""Segments over HTTP: what can be asked for, trying a filter, and saved ones."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import and_
from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters.schemas import DealerCode
from app.core.actors import Actor, Right
from app.core.catalogue import Language
from app.core.clock import china_date
from app.core.filters import Field as FilterField
from app.core.filters import FieldNotVisible, seeks_recent
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
    Speaks,
    documented,
    tagged,
    version_of,
)  # fmt: skip
from app.core.paging import Page, id_after, next_cursor
from app.core.problems import InvalidPayload, KeyConflict, NotFound, PreconditionFailed
from app.members import segment_queries as queries
from app.members import segments
from app.members.consent_rules import Use
from app.members.consents import usable
from app.members.fields import fields
from app.members.pages import member_page
from app.members.problems import SegmentExists
from app.members.schemas import MemberRead
from app.members.segment_models import Segment
from app.members.segment_schemas import (
    ChoiceRead,
    FieldList,
    FieldRead,
    Preview,
    PreviewRead,
    SegmentCreate,
    SegmentRead,
    SegmentUpdate,
)  # fmt: skip

router = APIRouter(prefix="/segments", tags=["segments"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ))]
Editor = Annotated[Actor, Depends(Requires(Right.MEMBERS_WRITE))]
ChosenFor = Annotated[Use | None, Query(description="only those who may be chosen for it, by their consent")]
UNSEEN = documented(FieldNotVisible)


@router.get("/fields")
async def segments_fields(actor: Reader, session: Session, language: Speaks) -> FieldList:
    """The fields one may filter by, with their operators."""
    known = (await fields(session)).values()
    return FieldList(items=[_field_read(field, language) for field in known if field.visible(actor)])


def _field_read(field: FilterField, language: Language) -> FieldRead:
    choices = [ChoiceRead(value=choice, label=field.choice_label(choice, language)) for choice in field.choices]
    return FieldRead(
        name=field.name, kind=field.kind, label=field.label(language), operators=field.operators,
        choices=choices,
    )  # fmt: skip


@router.post("/preview", responses=UNSEEN)
async def segments_preview(
    body: Preview, actor: Reader, session: Session, now: Now, settings: Config, limit: Limit = 50, cursor: Cursor = None
) -> PreviewRead:
    """Whom a filter chooses among the members one may see. A body, because names do not belong into URLs."""
    node = await segments.read(session, actor, body.filter)
    conditions = [segments.condition(node, china_date(now)), *usable(body.use, now, settings)]
    newest_first = seeks_recent(node)
    page = await member_page(session, actor, *conditions, limit=limit, cursor=cursor, newest_first=newest_first)
    count = await queries.count(session, actor, and_(*conditions))
    return PreviewRead(count=count, explanation=segments.in_words(node), **dict(page))


@router.post(
    "", status_code=201, response_model=SegmentRead,
    responses=UNSEEN | documented(NotFound, SegmentExists, KeyConflict),
)  # fmt: skip
async def segments_create(body: SegmentCreate, actor: Editor, session: Session, now: Now, once: Once) -> Response:
    """Save a filter by name."""

    async def create() -> SegmentRead:
        return await _read(session, actor, await segments.create(session, actor, body, now=now))

    return await once(body, create)


@router.get("")
async def segments_list(
    actor: Reader,
    session: Session,
    dealer_code: Annotated[DealerCode | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[SegmentRead]:
    """Headquarters' segments and those of the chapters one reaches, oldest first."""
    found = await queries.segments(session, actor, dealer_code=dealer_code, after=id_after(cursor), limit=limit + 1)
    items = [await _read(session, actor, segment) for segment in found[:limit]]
    return Page[SegmentRead](items=items, next_cursor=next_cursor(found, limit, lambda segment: (str(segment.id),)))


@router.get("/{segment_id}", responses=documented(NotFound))
async def segments_get(segment_id: UUID, actor: Reader, session: Session, response: Response) -> SegmentRead:
    """One segment."""
    return tagged(response, await _read(session, actor, await segments.get(session, actor, segment_id)))


@router.patch("/{segment_id}", responses=UNSEEN | documented(NotFound, PreconditionFailed, SegmentExists))
async def segments_update(
    segment_id: UUID, body: SegmentUpdate, if_match: IfMatch, actor: Editor, session: Session, now: Now,
    response: Response,
) -> SegmentRead:  # fmt: skip
    """Change a segment's name or filter."""
    version = version_of(if_match)
    changed = await segments.update(session, actor, segment_id, body, version=version, now=now)
    return tagged(response, await _read(session, actor, changed))


@router.delete("/{segment_id}", status_code=204, responses=documented(NotFound, PreconditionFailed))
async def segments_delete(segment_id: UUID, if_match: IfMatch, actor: Editor, session: Session) -> None:
    """Remove a segment."""
    await segments.delete(session, actor, segment_id, version=version_of(if_match))


@router.get("/{segment_id}/members", responses=UNSEEN | documented(NotFound))
async def segments_members(
    segment_id: UUID, actor: Reader, session: Session, now: Now, settings: Config, use: ChosenFor = None,
    limit: Limit = 50, cursor: Cursor = None,
) -> Page[MemberRead]:  # fmt: skip
    """Who is in a segment now, among the members one may see: newest first if it asks for dates from a day on."""
    segment = await segments.get(session, actor, segment_id)
    node = await segments.read(session, actor, segment.filter)
    conditions = [segments.within(segment, node, china_date(now)), *usable(use, now, settings)]
    newest_first = seeks_recent(node)
    return await member_page(session, actor, *conditions, limit=limit, cursor=cursor, newest_first=newest_first)


async def _read(session: AsyncSession, actor: Actor, segment: Segment) -> SegmentRead:
    try:
        explanation = segments.in_words(await segments.read(session, actor, segment.filter))
    except (FieldNotVisible, InvalidPayload):
        explanation = None
    return SegmentRead(**dict(segment) | {"explanation": explanation})
