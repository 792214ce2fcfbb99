"""Check-in over HTTP: at the door, and by lists for scanners without a network."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Now, Requires, Session, documented
from app.core.problems import KeyConflict, NotFound, WrongStatus
from app.events import check_in, tickets
from app.events import check_in_queries as queries
from app.events.check_in import Scanned, Seen
from app.events.check_in_schemas import (
    CheckInCreate,
    CheckInRead,
    ListEntry,
    OfflineList,
    UndoCreate,
    UploadCreate,
    UploadRead,
)
from app.events.registration_problems import CheckInNotOpen, NotSeated, TicketOfOtherEvent
from app.events.registration_router import SealsInUse
from app.identity.lists import list_token, require_list
from app.identity.problems import ListNotOurs

router = APIRouter(tags=["check-in"], responses=GUARDED)

Host = Annotated[Actor, Depends(Requires(Right.EVENTS_WRITE))]


@router.post(
    "/events/{event_id}/check-ins", status_code=201,
    responses=documented(NotFound, WrongStatus, CheckInNotOpen, NotSeated, TicketOfOtherEvent, KeyConflict),
)  # fmt: skip
async def check_ins_create(
    event_id: UUID, body: CheckInCreate, actor: Host, session: Session, seals: SealsInUse, now: Now
) -> CheckInRead:
    """A party came, by its ticket, its card or the list; a second scan is told when and by whom the first was made."""
    event = await check_in.served(session, actor, event_id)
    seen = Seen(now, actor.subject, body.device, now)
    return _read(await check_in.check_in(session, seals, event, body, seen))


@router.post("/events/{event_id}/check-ins/{check_in_id}/undoing", responses=documented(NotFound, WrongStatus))
async def check_ins_undo(
    event_id: UUID, check_in_id: UUID, body: UndoCreate, actor: Host, session: Session, now: Now
) -> CheckInRead:
    """Take a mistaken check-in back, with the points it gave; the party can be checked in anew."""
    event = await check_in.served(session, actor, event_id)
    return _read(await check_in.undo(session, actor, event, check_in_id, body.reason, now=now))


@router.get("/events/{event_id}/check-in-list", responses=documented(NotFound))
async def check_ins_offline_list(
    event_id: UUID, actor: Host, session: Session, seals: SealsInUse, now: Now
) -> OfflineList:  # fmt: skip
    """Whom to expect, for scanners without a network. It names people: it is for the door, and for the day."""
    await check_in.served(session, actor, event_id)
    entries = [
        ListEntry(
            registration_id=one.id, ticket_sha256=tickets.digest_of(tickets.ticket(seals, event_id, one.id)),
            member_no=member_no, name=name, party=one.party, checked_in_at=came.at if came else None,
        )
        for one, member_no, name, came in await queries.expected(session, event_id)
    ]  # fmt: skip
    said = [entry.model_dump(mode="json") for entry in entries]
    token = list_token(seals, f"event:{event_id}", actor.subject, now, said)
    return OfflineList(event_id=event_id, issued_at=now, token=token, entries=entries)


@router.post("/events/{event_id}/check-in-uploads", responses=documented(NotFound, ListNotOurs))
async def check_ins_upload(
    event_id: UUID, body: UploadCreate, actor: Host, session: Session, seals: SealsInUse, now: Now
) -> UploadRead:
    """What a scanner did without a network; sent twice, it is done once, and conflicts are told scan by scan."""
    event = await check_in.served(session, actor, event_id, lock=True)
    require_list(seals, body.token, f"event:{event_id}")
    scans = await check_in.upload(session, actor, seals, event, body.device, body.scans, now=now)
    return UploadRead(items=scans)


def _read(scanned: Scanned) -> CheckInRead:
    made, registration = scanned.check_in, scanned.registration
    return CheckInRead(
        **made.model_dump(include={"id", "registration_id", "at", "by", "device"}), member_id=registration.member_id,
        party=registration.party, is_first=scanned.is_first, points=scanned.points,
    )  # fmt: skip
