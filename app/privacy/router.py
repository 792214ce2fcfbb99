"""Privacy over HTTP: consent, a member's own data, leaving and being forgotten."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import HTMLResponse

from app.audit.models import Action
from app.audit.service import record
from app.core.actors import Actor, Right
from app.core.clock import china_date
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    Db,
    IfMatch,
    Limit,
    Now,
    Once,
    Requires,
    Session,
    Sms,
    Speaks,
    documented,
    tagged,
    version_of,
)
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed, SmsUnavailable, WrongStatus
from app.members import consent_queries
from app.members.models import Birth
from app.members.problems import (
    ConsentMissing,
    GuardianNeeded,
    MemberMerged,
    NoticeOutdated,
    PhoneTaken,
    TooManyCodes,
)
from app.members.rules import needs_guardian
from app.members.schemas import MemberRead, VehicleRead, member_read
from app.members.service import Profile
from app.privacy import consents, export, phones, queries, service
from app.privacy.phones import Post, Slips
from app.privacy.problems import CodeWrong
from app.privacy.schemas import (
    BirthRead,
    BirthUpdate,
    Closing,
    ConsentCreate,
    ConsentList,
    Correction,
    ErasureCreate,
    ErasureRead,
    Guardian,
    NoticeCreate,
    NoticeList,
    NoticeRead,
    OwnData,
    PhoneCodeCreate,
    PhoneCodeRead,
    ProvisionCreate,
    ProvisionRead,
)

router = APIRouter(tags=["privacy"], responses=GUARDED)


async def _slips(request: Request) -> Slips:
    return Slips(request.app.state.seals)


async def _post(request: Request) -> Post:
    return Post(request.app.state.sms, request.app.state.detached)


SlipsInUse = Annotated[Slips, Depends(_slips)]
PostInUse = Annotated[Post, Depends(_post)]
Anyone = Annotated[Actor, Depends(Requires())]
Officer = Annotated[Actor, Depends(Requires(Right.PRIVACY_WRITE))]
Overseer = Annotated[Actor, Depends(Requires(Right.PRIVACY_WRITE, Right.AUDIT_READ))]
OfficerOrSelf = Annotated[Actor, Depends(Requires(Right.PRIVACY_WRITE, Right.OWN_CARD))]
OverseerOrSelf = Annotated[Actor, Depends(Requires(Right.PRIVACY_WRITE, Right.AUDIT_READ, Right.OWN_CARD))]
ReaderOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, Right.OWN_CARD))]


# --- consent ---


@router.get("/privacy/notices")
async def privacy_notices(_: Anyone, session: Session) -> NoticeList:
    """The text in force for each purpose."""
    current = await consent_queries.in_force(session)
    return NoticeList(items=[NoticeRead(**dict(in_force.notice)) for in_force in current.values()])


@router.post("/privacy/notices", status_code=201, response_model=NoticeRead, responses=documented(KeyConflict))
async def privacy_publish(body: NoticeCreate, actor: Officer, session: Session, now: Now, once: Once) -> Response:
    """Put a new version in force; with `renews`, consents to the earlier ones count no longer."""

    async def publish() -> NoticeRead:
        return NoticeRead(**dict(await consents.publish(session, actor, body, now=now)))

    return await once(body, publish)


@router.get("/members/{member_id}/consents", responses=documented(NotFound))
async def privacy_consents(
    member_id: UUID, actor: ReaderOrSelf, session: Session, now: Now, settings: Config
) -> ConsentList:
    """Where a member stands on each purpose, and whether it may be asked."""
    quiet = timedelta(days=settings.ask_again_days)
    return ConsentList(items=await consents.standing(session, actor, member_id, now=now, quiet=quiet))


@router.post("/members/{member_id}/consents", responses=documented(NotFound, NoticeOutdated, GuardianNeeded))
async def privacy_decide(
    member_id: UUID, body: ConsentCreate, actor: OfficerOrSelf, session: Session, now: Now, settings: Config
) -> ConsentList:
    """Give, refuse or withdraw consent; the same answer again changes nothing."""
    await consents.decide(session, actor, member_id, body, now=now)
    quiet = timedelta(days=settings.ask_again_days)
    return ConsentList(items=await consents.standing(session, actor, member_id, now=now, quiet=quiet))


@router.get("/members/{member_id}/provisions", responses=documented(NotFound))
async def privacy_provisions(
    member_id: UUID, actor: OverseerOrSelf, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[ProvisionRead]:
    """Which partners got what of a member, oldest first."""
    found = await consents.provisions(session, actor, member_id, after=id_after(cursor), limit=limit + 1)
    items = [ProvisionRead(**dict(provision)) for provision in found]
    return Page[ProvisionRead].model_validate(paged(items, limit, lambda read: (str(read.id),)))


@router.post(
    "/members/{member_id}/provisions",
    status_code=201,
    response_model=ProvisionRead,
    responses=documented(NotFound, ConsentMissing, KeyConflict),
)
async def privacy_provide(
    member_id: UUID, body: ProvisionCreate, actor: Officer, session: Session, now: Now, once: Once
) -> Response:
    """Record that a member's data goes to a partner, which needs the member's separate consent."""

    async def provide() -> ProvisionRead:
        return ProvisionRead(**dict(await consents.provide(session, actor, member_id, body, now=now)))

    return await once(body, provide)


# --- age ---


@router.get("/members/{member_id}/birth", responses=documented(NotFound))
async def privacy_birth(member_id: UUID, actor: OverseerOrSelf, session: Session, now: Now) -> BirthRead:
    """When a member was born, and who stands for it."""
    return _birth(await service.birth(session, actor, member_id), now)


@router.put("/members/{member_id}/birth", responses=documented(NotFound, GuardianNeeded))
async def privacy_set_birth(
    member_id: UUID, body: BirthUpdate, actor: OfficerOrSelf, session: Session, now: Now
) -> BirthRead:
    """Note when a member was born; a guardian of one under 14 is noted by headquarters."""
    return _birth(await service.set_birth(session, actor, member_id, body, now=now), now)


def _birth(birth: Birth, now: Now) -> BirthRead:
    guardian = None
    if birth.guardian_name is not None and birth.guardian_relation is not None:
        guardian = Guardian(name=birth.guardian_name, relation=birth.guardian_relation)
    return BirthRead(
        born_on=birth.born_on, guardian=guardian, needs_guardian=needs_guardian(birth.born_on, china_date(now))
    )


# --- a member's own data ---


@router.get("/members/{member_id}/own-data", responses=documented(NotFound))
async def privacy_export(
    member_id: UUID, actor: OfficerOrSelf, session: Session, now: Now, response: Response
) -> OwnData:
    """All that is kept on a member, to take away."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Disposition"] = 'attachment; filename="own-data.json"'
    await record(session, Action.EXPORTED, "member", [member_id])
    return await export.own_data(session, actor, member_id, now=now)


@router.get(
    "/members/{member_id}/own-data/page",
    response_class=HTMLResponse,
    responses=documented(NotFound),
)
async def privacy_page(
    member_id: UUID, actor: OfficerOrSelf, session: Session, now: Now, language: Speaks
) -> HTMLResponse:
    """The same to read, in the language of Accept-Language."""
    await record(session, Action.EXPORTED, "member", [member_id])
    page = export.page(await export.own_data(session, actor, member_id, now=now), language)
    return HTMLResponse(page, headers={"Cache-Control": "no-store", "Content-Language": language.value})


@router.post(
    "/members/{member_id}/phone-codes",
    status_code=202,
    responses=documented(NotFound, TooManyCodes, SmsUnavailable),
)
async def privacy_phone_code(
    member_id: UUID, body: PhoneCodeCreate, actor: OfficerOrSelf, db: Db, session: Session, slips: SlipsInUse, sms: Sms,
    now: Now,
) -> PhoneCodeRead:  # fmt: skip
    """Have a code sent to a member's new number: one a minute, five an hour, ten a day by member and by number.

    A member who did not sign in within ten minutes gets another one at the number it has.
    """
    sent = await phones.send_code(db, session, slips, sms, actor, member_id, body.phone, now)
    return PhoneCodeRead(valid_until=sent.valid_until, to_old_too=sent.to_old_too)


@router.patch(
    "/members/{member_id}/own-data", responses=documented(NotFound, PreconditionFailed, PhoneTaken, CodeWrong)
)
async def privacy_correct(
    member_id: UUID, body: Correction, if_match: IfMatch, actor: OfficerOrSelf, db: Db, session: Session,
    slips: SlipsInUse, post: PostInUse, now: Now, response: Response,
) -> MemberRead:  # fmt: skip
    """Set right what the member says is wrong; with a new phone number all other sessions end."""
    corrected = await service.correct(
        db, session, slips, post, actor, member_id, body, version=version_of(if_match), now=now
    )
    return tagged(response, _member(actor, corrected))


@router.post("/members/{member_id}/closing", responses=documented(NotFound, WrongStatus))
async def privacy_close(member_id: UUID, body: Closing, actor: OfficerOrSelf, session: Session, now: Now) -> MemberRead:
    """End a membership at its member's wish."""
    return _member(actor, await service.close(session, actor, member_id, body.reason, now=now))


def _member(actor: Actor, profile: Profile) -> MemberRead:
    return member_read(actor, profile.member, [VehicleRead(**vehicle._asdict()) for vehicle in profile.vehicles])


@router.get("/members/{member_id}/erasure", responses=documented(NotFound))
async def privacy_erasure(member_id: UUID, actor: OverseerOrSelf, session: Session) -> ErasureRead:
    """An erasure on its way; once done, the member is nobody's to see."""
    return ErasureRead(**dict(await service.erasure(session, actor, member_id)))


@router.put("/members/{member_id}/erasure", responses=documented(NotFound, WrongStatus, MemberMerged))
async def privacy_erase(
    member_id: UUID, body: ErasureCreate, actor: OfficerOrSelf, session: Session, now: Now, settings: Config
) -> ErasureRead:
    """Have a member's data removed after the days the settings say; the membership ends at once."""
    wait = timedelta(days=settings.erasure_days)
    asked = await service.ask_erasure(session, actor, member_id, body.reason, now=now, wait=wait)
    return ErasureRead(**dict(asked))


@router.delete("/members/{member_id}/erasure", responses=documented(NotFound))
async def privacy_keep(member_id: UUID, actor: Officer, session: Session) -> MemberRead:
    """Keep a member's data after all, as long as it is there; the membership stays ended."""
    return _member(actor, await service.withdraw_erasure(session, actor, member_id))


@router.get("/privacy/erasures")
async def privacy_erasures(
    _: Overseer,
    session: Session,
    done: Annotated[bool | None, Query(description="only those done, or only those on their way")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ErasureRead]:
    """Erasures on their way and done, by pseudonym."""
    found = await queries.erasures(session, done=done, after=id_after(cursor), limit=limit + 1)
    items = [ErasureRead(**dict(erasure)) for erasure in found]
    return Page[ErasureRead].model_validate(paged(items, limit, lambda read: (str(read.member_id),)))
