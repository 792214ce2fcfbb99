"""Events that members find, over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Cursor, Limit, Now, Requires, Session, documented
from app.core.paging import Page, id_after, paged
from app.core.problems import NotFound
from app.events import finding
from app.events.finding_schemas import FoundEvent, FoundEventDetails

router = APIRouter(tags=["events"], responses=GUARDED)

Member = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]


@router.get("/members/me/events")
async def my_coming_events_list(
    actor: Member, session: Session, now: Now, limit: Limit = 50, cursor: Cursor = None
) -> Page[FoundEvent]:
    """The events I may come to, the next first: open ones nearby, headquarters', and those I am invited to."""
    assert actor.member_id is not None
    found = await finding.coming(session, actor.member_id, after=id_after(cursor), limit=limit + 1, now=now)
    items = [FoundEvent.model_validate(dict(one.event) | one._asdict()) for one in found]
    return Page[FoundEvent].model_validate(paged(items, limit, lambda one: (str(one.id),)))


@router.get("/members/me/events/{event_id}", responses=documented(NotFound))
async def my_coming_events_get(event_id: UUID, actor: Member, session: Session) -> FoundEventDetails:
    """What there is to know of an event: what is asked of who registers, and how the seats stand."""
    assert actor.member_id is not None
    found, seats = await finding.one(session, actor.member_id, event_id)
    free = max(0, found.event.capacity - seats.seated - seats.offered)
    beside = {"free_seats": free, "waiting_parties": seats.waiting_parties}
    return FoundEventDetails.model_validate(dict(found.event) | found._asdict() | beside)
