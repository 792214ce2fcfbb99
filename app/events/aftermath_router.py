"""What an event came to, over HTTP: figures, the comparison, the report as a draft and as a file, photos, history."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Config, Cursor, Limit, Now, Requires, Session, Speaks, documented
from app.core.paging import Page, id_after, paged
from app.core.problems import NotFound, PayloadTooLarge, UnsupportedMediaType, WrongStatus
from app.events import aftermath, comparison, history, invitations, photos, report_files
from app.events.comparison import DAYS
from app.events.gathering_problems import TooManyPhotos
from app.events.gathering_rules import Mean
from app.events.gathering_schemas import (
    ComparisonRead,
    DraftRead,
    GroupRead,
    History,
    HistoryFigures,
    MemberEvent,
    OutcomeRead,
    PhotoList,
    PhotoRead,
)
from app.events.history import GroupBy
from app.events.report_files import MEDIA_TYPES, ReportFormat
from app.events.rules import EventKind
from app.members import service as members

router = APIRouter(tags=["events"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.EVENTS_READ))]
MemberReader = Annotated[Actor, Depends(Requires(Right.EVENTS_READ, also=Right.MEMBERS_READ))]
Planner = Annotated[Actor, Depends(Requires(Right.EVENTS_WRITE))]
Member = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]

PICTURES: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in photos.MEDIA_TYPES}
FILES: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES.values()}


@router.get("/events/{event_id}/outcome", responses=documented(NotFound))
async def event_outcomes_get(event_id: UUID, actor: Reader, session: Session) -> OutcomeRead:
    """Who came to an event, and what it cost, in all and a head."""
    return await aftermath.outcome(session, actor, event_id)


@router.get("/events/{event_id}/comparison", responses=documented(NotFound))
async def event_outcomes_compare(event_id: UUID, actor: Reader, session: Session, now: Now) -> ComparisonRead:
    """Workshop visits of those who came beside those of like members who were invited and did not come."""
    found = await comparison.compare(session, actor, event_id, now=now)
    groups = {name: GroupRead(**one._asdict()) for name, one in found._asdict().items() if isinstance(one, Mean)}
    return ComparisonRead.model_validate(found._asdict() | groups | {"days": DAYS})


@router.get("/events/{event_id}/report/draft", responses=documented(NotFound))
async def event_reports_draft(event_id: UUID, actor: Reader, session: Session, language: Speaks, now: Now) -> DraftRead:
    """A summary written from the data, to be edited and filed as the report."""
    return await aftermath.draft(session, actor, event_id, language=language, now=now)


@router.get(
    "/events/{event_id}/report/file", response_class=Response,
    responses=documented(NotFound) | {200: {"content": FILES}},
)  # fmt: skip
async def event_reports_file_as(
    event_id: UUID, actor: Reader, session: Session, language: Speaks, now: Now,
    form: Annotated[ReportFormat, Query(alias="format")] = ReportFormat.PDF,
) -> Response:  # fmt: skip
    """All that is known of an event as a file, with its report and photos as far as there are any."""
    content = await report_files.file_of(session, actor, event_id, form, language=language, now=now)
    disposition = {"Content-Disposition": f'attachment; filename="event-{event_id}.{form}"'}
    return Response(content, media_type=MEDIA_TYPES[form], headers=disposition)


# --- photos ---


@router.get("/events/{event_id}/photos", responses=documented(NotFound))
async def event_photos_list(event_id: UUID, actor: Reader, session: Session) -> PhotoList:
    """An event's photos, oldest first."""
    await invitations.run_by(session, actor, event_id)
    found = await photos.listed(session, event_id)
    return PhotoList(items=[PhotoRead.model_validate(photo, from_attributes=True) for photo in found])


@router.post(
    "/events/{event_id}/photos", status_code=201,
    responses=documented(NotFound, WrongStatus, TooManyPhotos, PayloadTooLarge, UnsupportedMediaType),
    openapi_extra={"requestBody": {"required": True, "content": PICTURES}},
)  # fmt: skip
async def event_photos_add(
    event_id: UUID, request: Request, actor: Planner, session: Session, settings: Config, now: Now
) -> PhotoRead:
    """Add a photo to the report; the same one sent again stays one."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    content = await photos.received(request.stream(), media_type, settings.document_max_mib)
    made = await photos.add(session, actor, event_id, media_type, content, now=now)
    return PhotoRead.model_validate(made, from_attributes=True)


@router.get(
    "/events/{event_id}/photos/{photo_id}", response_class=Response,
    responses=documented(NotFound) | {200: {"content": PICTURES}},
)  # fmt: skip
async def event_photos_get(event_id: UUID, photo_id: UUID, actor: Reader, session: Session) -> Response:
    """One photo."""
    found = await photos.photo(session, actor, event_id, photo_id)
    return Response(found.content, media_type=found.media_type, headers={"Content-Disposition": "attachment"})


@router.delete(
    "/events/{event_id}/photos/{photo_id}", status_code=204, responses=documented(NotFound, WrongStatus)
)  # fmt: skip
async def event_photos_remove(event_id: UUID, photo_id: UUID, actor: Planner, session: Session) -> None:
    """Take a photo away, until the report is settled."""
    await photos.remove(session, actor, event_id, photo_id)


# --- the past ---


@router.get("/event-history")
async def event_history_get(
    actor: Reader,
    session: Session,
    by: GroupBy = GroupBy.CHAPTER,
    year: Annotated[int | None, Query(ge=2000, le=2199)] = None,
    dealer_code: Annotated[str | None, Query(max_length=16)] = None,
    kind: EventKind | None = None,
) -> History:
    """The events that were held, of those one may see: by chapter (null: headquarters), kind, class or year."""
    found = await history.grouped(session, actor, by, year=year, dealer_code=dealer_code, kind=kind)
    return History(items=[HistoryFigures.model_validate(row, from_attributes=True) for row in found])


@router.get("/members/{member_id}/events", responses=documented(NotFound))
async def member_events_list(
    member_id: UUID, actor: MemberReader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[MemberEvent]:
    """The events a member was invited or registered to, the latest planned first."""
    await members.profile(session, actor, member_id)
    return await _of_member(session, member_id, limit, cursor)


@router.get("/members/me/event-history")
async def my_events_list(
    actor: Member, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[MemberEvent]:
    """The events I was invited or registered to, the latest planned first."""
    assert actor.member_id is not None
    return await _of_member(session, actor.member_id, limit, cursor)


async def _of_member(session: Session, member_id: UUID, limit: int, cursor: str | None) -> Page[MemberEvent]:
    found = await history.of_member(session, member_id, after=id_after(cursor), limit=limit + 1)
    items = [MemberEvent.model_validate(row, from_attributes=True) for row in found]
    return Page[MemberEvent].model_validate(paged(items, limit, lambda one: (str(one.event_id),)))
