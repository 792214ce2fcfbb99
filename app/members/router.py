"""Members, applications and a member's points over HTTP."""

from dataclasses import asdict
from io import BytesIO
from typing import Annotated, Any
from uuid import UUID

import segno
from fastapi import APIRouter, Depends, Path, Query, Response

from app.chapters.schemas import DealerCode
from app.core.actors import Actor, Right, Role
from app.core.clock import china_date
from app.core.db import raw
from app.core.filters import FieldNotVisible
from app.core.http import (
    GUARDED,
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
)
from app.core.paging import Page, decode_cursor, id_after, next_cursor, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed, WrongStatus
from app.members import applications, queries, service
from app.members.pages import found_by, member_page
from app.members.pages import profile_read as _read
from app.members.problems import (
    ApplicationOpen,
    ErasurePending,
    GuardianNeeded,
    MemberMerged,
    NoChapter,
    NoticeOutdated,
    PhoneTaken,
    VehicleTaken,
)
from app.members.rules import ApplicationStatus
from app.members.schemas import (
    ApplicationCreate,
    ApplicationRead,
    Approval,
    EnrolmentCreate,
    EnrolmentRead,
    MemberRead,
    MemberSearch,
    MemberUpdate,
    Refusal,
    StatusStep,
    VehicleSale,
    application_read,
    vin_warnings,
)
from app.members.visibility import visible_member
from app.points import queries as points
from app.points.schemas import ExpiryRead, HistoryDetail, HistoryEntry, LineRead, WalletRead

router = APIRouter(tags=["members"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ))]
ReaderOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, Right.OWN_CARD))]
PointsReader = Annotated[Actor, Depends(Requires(Right.POINTS_READ, Right.OWN_CARD))]
Enroller = Annotated[Actor, Depends(Requires(Right.MEMBERS_ENROL))]
Editor = Annotated[Actor, Depends(Requires(Right.MEMBERS_WRITE))]
Director = Annotated[Actor, Depends(Requires(Right.MEMBERS_DECIDE))]
Applying = Annotated[Actor, Depends(Requires(Right.MEMBERS_APPLY))]
ReaderOrApplying = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, Right.MEMBERS_APPLY))]
Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]

CARD: dict[int | str, dict[str, Any]] = {
    200: {"description": "the card's QR code", "content": {"image/svg+xml": {"schema": {"type": "string"}}}}
}
ENROLLED = documented(
    NotFound, NoChapter, PhoneTaken, VehicleTaken, ErasurePending, GuardianNeeded, NoticeOutdated, KeyConflict
)
APPROVED = documented(NotFound, WrongStatus, PhoneTaken, VehicleTaken, ErasurePending, GuardianNeeded, KeyConflict)


# --- members ---


@router.post("/members", status_code=201, response_model=EnrolmentRead, responses=ENROLLED)
async def members_enrol(
    body: EnrolmentCreate,
    actor: Enroller,
    session: Session,
    now: Now,
    language: Speaks,
    once: Once,
) -> Response:
    """Enrol a person with a vehicle. The same person and vehicle again answers the member as known."""

    async def enrol() -> EnrolmentRead:
        profile, verdict, is_foreign = await service.enrol(session, actor, body, now=now)
        hidden = {"dealer_code": None, "joined_on": None} if is_foreign else {}
        read = _read(actor, profile).model_dump() | hidden
        return EnrolmentRead(**read, outcome=verdict, warnings=vin_warnings(body.vin, language))

    return await once(body, enrol)


@router.get("/members")
async def members_list(
    actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None,
    include_merged: Annotated[bool, Query(description="those, too, for whom another member goes on")] = False,
) -> Page[MemberRead]:  # fmt: skip
    """The members one may see, in the order they were taken in."""
    return await member_page(session, actor, limit=limit, cursor=cursor, include_merged=include_merged)


@router.post("/members/search", responses=documented(FieldNotVisible))
async def members_search(
    body: MemberSearch, actor: Reader, session: Session, now: Now, limit: Limit = 50, cursor: Cursor = None
) -> Page[MemberRead]:
    """Those for whom all of it holds; name and initials from their beginning, the rest exactly, `filter` as segments
    have it. A body, because phones and VINs do not belong into URLs."""
    return await found_by(session, actor, body, limit=limit, cursor=cursor, today=china_date(now))


@router.get("/members/me", responses=documented(NotFound))
async def members_me(actor: Self, session: Session, response: Response) -> MemberRead:
    """The member who asks."""
    assert actor.member_id is not None
    return tagged(response, _read(actor, await service.profile(session, actor, actor.member_id)))


@router.get("/members/me/card", response_class=Response, responses=CARD | documented(NotFound))
async def members_card(actor: Self, session: Session) -> Response:
    """One's card for the counter: the member number as a QR code."""
    assert actor.member_id is not None
    found = await service.profile(session, actor, actor.member_id)
    code = BytesIO()
    segno.make_qr(found.member.member_no, error="m").save(code, kind="svg", scale=8, light="#fff")
    return Response(code.getvalue(), media_type="image/svg+xml")


@router.get("/members/{member_id}", responses=documented(NotFound))
async def members_get(member_id: UUID, actor: ReaderOrSelf, session: Session, response: Response) -> MemberRead:
    """One member with its vehicles."""
    return tagged(response, _read(actor, await service.profile(session, actor, member_id)))


@router.patch("/members/{member_id}", responses=documented(NotFound, PreconditionFailed))
async def members_update(
    member_id: UUID,
    body: MemberUpdate,
    if_match: IfMatch,
    actor: Editor,
    session: Session,
    response: Response,
) -> MemberRead:
    """Correct a member's name."""
    changed = await service.update(session, actor, member_id, body, version=version_of(if_match))
    return tagged(response, _read(actor, changed))


@router.post(
    "/members/{member_id}/status",
    responses=documented(NotFound, WrongStatus, MemberMerged, ErasurePending, GuardianNeeded),
)
async def members_change_status(
    member_id: UUID, body: StatusStep, actor: Director, session: Session, now: Now, response: Response
) -> MemberRead:
    """Suspend a membership, end it, or take it up again; only active members collect and spend points."""
    changed = await service.change_status(session, actor, member_id, body.to, body.reason, now=now)
    return tagged(response, _read(actor, changed))


@router.post(
    "/members/{member_id}/sold-vehicles", response_model=MemberRead, responses=documented(NotFound, KeyConflict)
)
async def members_sell_vehicle(
    member_id: UUID, body: VehicleSale, actor: Enroller, session: Session, now: Now, once: Once
) -> Response:
    """Note that a vehicle is the member's no more; from then on another person can be enrolled with it."""

    async def sell() -> MemberRead:
        return _read(actor, await service.sell_vehicle(session, actor, member_id, body, now=now))

    return await once(body, sell)


# --- a member's points ---


@router.get("/members/{member_id}/points", responses=documented(NotFound))
async def members_points(member_id: UUID, actor: PointsReader, session: Session, now: Now) -> WalletRead:
    """A member's points as of today."""
    member = await visible_member(session, actor, member_id)
    wallet = await points.wallet(await raw(session), member.id, china_date(now))
    if wallet is None:
        raise NotFound("wallet")
    expiries = [ExpiryRead(**expiry._asdict()) for expiry in wallet.next_expiries]
    return WalletRead(**wallet._asdict() | {"next_expiries": expiries})


@router.get("/members/{member_id}/postings", responses=documented(NotFound))
async def members_postings(
    member_id: UUID, actor: PointsReader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[HistoryEntry]:
    """A member's postings, newest first."""
    before = int(decode_cursor(cursor, int)[0]) if cursor else None
    member = await visible_member(session, actor, member_id)
    found = await points.history(await raw(session), member.id, before=before, limit=limit + 1)
    items = [HistoryEntry(**asdict(entry)) for entry in found]
    return Page[HistoryEntry].model_validate(paged(items, limit, lambda entry: (entry.posting_no,)))


@router.get("/members/{member_id}/postings/{posting_no}", responses=documented(NotFound))
async def members_posting(
    member_id: UUID, posting_no: Annotated[int, Path(ge=1, lt=1 << 63)], actor: PointsReader, session: Session
) -> HistoryDetail:
    """One posting with its lines."""
    member = await visible_member(session, actor, member_id)
    connection = await raw(session)
    entry = await points.entry(connection, member.id, posting_no)
    if entry is None:
        raise NotFound("posting")
    hidden = {"funder": None} if actor.role is Role.MEMBER else {}
    lines = [LineRead(**line._asdict() | hidden) for line in await points.lines(connection, member.id, entry)]
    return HistoryDetail(**asdict(entry), lines=lines)


# --- applications ---


@router.post(
    "/applications",
    status_code=201,
    response_model=ApplicationRead,
    responses=documented(NotFound, NoChapter, ApplicationOpen, GuardianNeeded, NoticeOutdated, KeyConflict),
)
async def applications_create(
    body: ApplicationCreate,
    actor: Applying,
    session: Session,
    now: Now,
    language: Speaks,
    once: Once,
) -> Response:
    """Apply to a chapter. While it is open, the same application again answers the first."""

    async def apply() -> ApplicationRead:
        return application_read(actor, await applications.apply(session, actor, body, now=now), language)

    return await once(body, apply)


@router.get("/applications")
async def applications_list(
    actor: Reader,
    session: Session,
    language: Speaks,
    status: ApplicationStatus | None = None,
    dealer_code: Annotated[DealerCode | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ApplicationRead]:
    """The applications one may see, oldest first."""
    after = id_after(cursor)
    found = await queries.applications(
        session, actor, status=status, dealer_code=dealer_code, after=after, limit=limit + 1
    )
    items = [application_read(actor, found_one, language) for found_one in found[:limit]]
    return Page[ApplicationRead](
        items=items, next_cursor=next_cursor(found, limit, lambda application: (str(application.id),))
    )


@router.get("/applications/{application_id}", responses=documented(NotFound))
async def applications_get(
    application_id: UUID, actor: ReaderOrApplying, session: Session, language: Speaks
) -> ApplicationRead:
    """One application."""
    return application_read(actor, await applications.application(session, actor, application_id), language)


@router.post(
    "/applications/{application_id}/approval",
    response_model=ApplicationRead,
    responses=APPROVED,
)
async def applications_approve(
    application_id: UUID,
    actor: Director,
    session: Session,
    now: Now,
    language: Speaks,
    once: Once,
) -> Response:
    """Take the applicant into the chapter; `member_id` names the member."""

    async def approve() -> ApplicationRead:
        approved = await applications.approve(session, actor, application_id, now=now)
        return application_read(actor, approved, language)

    return await once(Approval(), approve)


@router.post("/applications/{application_id}/refusal", responses=documented(NotFound, WrongStatus))
async def applications_refuse(
    application_id: UUID, body: Refusal, actor: Director, session: Session, now: Now, language: Speaks
) -> ApplicationRead:
    """Refuse an application, with the reason."""
    to = ApplicationStatus.REFUSED
    ended = await applications.end_application(session, actor, application_id, to, body.reason, now=now)
    return application_read(actor, ended, language)


@router.post("/applications/{application_id}/withdrawal", responses=documented(NotFound, WrongStatus))
async def applications_withdraw(
    application_id: UUID, body: Refusal, actor: Applying, session: Session, now: Now, language: Speaks
) -> ApplicationRead:
    """Withdraw an application for its owner, with the reason."""
    to = ApplicationStatus.WITHDRAWN
    ended = await applications.end_application(session, actor, application_id, to, body.reason, now=now)
    return application_read(actor, ended, language)
