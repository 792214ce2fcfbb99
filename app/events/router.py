"""Events over HTTP: planning, approval, and each step of their life."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

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
    etag,
    version_of,
)
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed, WrongStatus
from app.events import approvals, life, queries, service
from app.events.models import ClubEvent
from app.events.problems import (
    BeyondLimit,
    BudgetExceeded,
    EventInThePast,
    EventNotBegun,
    NothingToApprove,
    RegistrationOver,
)
from app.events.rules import EventKind, EventStatus
from app.events.schemas import (
    ApprovalRead,
    Awaited,
    DecisionCreate,
    EventDraft,
    EventLineRead,
    EventRead,
    EventReason,
    EventStepList,
    EventStepRead,
    EventSummary,
    EventUpdate,
)
from app.events.service import Shown

router = APIRouter(tags=["events"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.EVENTS_READ))]
Planner = Annotated[Actor, Depends(Requires(Right.EVENTS_WRITE))]
Approver = Annotated[Actor, Depends(Requires(Right.EVENTS_APPROVE))]

STEP = documented(NotFound, WrongStatus)


@router.post("/events", status_code=201, response_model=EventRead, responses=documented(NotFound, KeyConflict))
async def events_create(body: EventDraft, actor: Planner, session: Session, now: Now, once: Once) -> Response:
    """Begin to plan an event: a draft, until it is proposed."""

    async def create() -> EventRead:
        return _read(await service.create(session, actor, body, now=now))

    return await once(body, create)


@router.get("/events")
async def events_list(
    actor: Reader,
    session: Session,
    status: EventStatus | None = None,
    kind: EventKind | None = None,
    dealer_code: Annotated[str | None, Query(max_length=16)] = None,
    year: Annotated[int | None, Query(ge=2000, le=2199, description="in which it begins, in China")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[EventSummary]:
    """The events one may see, oldest entry first: one's chapters', and headquarters' published ones."""
    found = await queries.events(
        session, actor, status=status, kind=kind, dealer_code=dealer_code, year=year, after=id_after(cursor),
        limit=limit + 1,
    )  # fmt: skip
    items = [EventSummary.model_validate(event, from_attributes=True) for event in found]
    return Page[EventSummary].model_validate(paged(items, limit, lambda event: (str(event.id),)))


@router.get("/events/{event_id}", responses=documented(NotFound))
async def events_get(event_id: UUID, actor: Reader, session: Session, response: Response) -> EventRead:
    """One event, with its budget, what was said to it, and whose word is awaited."""
    found = await service.shown(session, await life.event_of(session, actor, event_id))
    return _tagged(response, found)


@router.patch("/events/{event_id}", responses=documented(NotFound, PreconditionFailed, WrongStatus))
async def events_update(
    event_id: UUID, body: EventUpdate, if_match: IfMatch, actor: Planner, session: Session, now: Now,
    response: Response,
) -> EventRead:  # fmt: skip
    """Change a draft, or what was returned; once it is approved, place and times only, and everyone is told."""
    version = version_of(if_match)
    return _tagged(response, await service.update(session, actor, event_id, body, version=version, now=now))


@router.get("/events/{event_id}/steps", responses=documented(NotFound))
async def events_steps(event_id: UUID, actor: Reader, session: Session) -> EventStepList:
    """An event's life so far: each step with who took it, when and why."""
    await life.event_of(session, actor, event_id)
    found = await queries.steps(session, event_id)
    return EventStepList(items=[EventStepRead.model_validate(step, from_attributes=True) for step in found])


@router.post("/events/{event_id}/proposal", responses=documented(NotFound, WrongStatus, EventInThePast))
async def events_propose(
    event_id: UUID, actor: Planner, session: Session, now: Now, response: Response
) -> EventRead:  # fmt: skip
    """Ask for approval; after a return, anew."""
    return _tagged(response, await service.propose(session, actor, event_id, now=now))


@router.post(
    "/events/{event_id}/decisions",
    responses=documented(NotFound, WrongStatus, NothingToApprove, BudgetExceeded, BeyondLimit),
)
async def events_decide(
    event_id: UUID, body: DecisionCreate, actor: Approver, session: Session, now: Now, settings: Config,
    response: Response,
) -> EventRead:  # fmt: skip
    """Approve, return or refuse one's part of a proposal; with the last part it is approved.

    The dealer's general manager decides on the dealer's own money, headquarters, or the region within its limit, on
    the rest.
    """
    return _tagged(response, await approvals.decide(session, actor, event_id, body, settings=settings, now=now))


@router.post("/events/{event_id}/publication", responses=documented(NotFound, WrongStatus, RegistrationOver))
async def events_publish(
    event_id: UUID, actor: Planner, session: Session, now: Now, response: Response
) -> EventRead:  # fmt: skip
    """Let members and neighbours see an approved event; its registration opens at its time."""
    return await _moved(response, session, await life.publish(session, actor, event_id, now=now))


@router.post("/events/{event_id}/opening", responses=documented(NotFound, WrongStatus, RegistrationOver))
async def events_open(
    event_id: UUID, actor: Planner, session: Session, now: Now, response: Response
) -> EventRead:  # fmt: skip
    """Open the registration now, or once more before it is over."""
    return await _moved(response, session, await life.open_registration(session, actor, event_id, now=now))


@router.post("/events/{event_id}/closing", responses=STEP)
async def events_close(
    event_id: UUID, actor: Planner, session: Session, now: Now, response: Response
) -> EventRead:  # fmt: skip
    """Close the registration now."""
    return await _moved(response, session, await life.close_registration(session, actor, event_id, now=now))


@router.post("/events/{event_id}/holding", responses=documented(NotFound, WrongStatus, EventNotBegun))
async def events_hold(
    event_id: UUID, actor: Planner, session: Session, now: Now, response: Response
) -> EventRead:  # fmt: skip
    """Say that an event takes place, or took place."""
    return await _moved(response, session, await life.hold(session, actor, event_id, now=now))


@router.post("/events/{event_id}/cancellation", responses=STEP)
async def events_cancel(
    event_id: UUID, body: EventReason, actor: Planner, session: Session, now: Now, response: Response
) -> EventRead:  # fmt: skip
    """Call an event off, wherever it stands, unless it took place; everyone is told, and fees in points go back."""
    return await _moved(response, session, await life.cancel(session, actor, event_id, body.reason, now=now))


async def _moved(response: Response, session: Session, event: ClubEvent) -> EventRead:
    return _tagged(response, await service.shown(session, event))


def _tagged(response: Response, shown: Shown) -> EventRead:
    response.headers["ETag"] = etag(shown.event.version)
    return _read(shown)


def _read(shown: Shown) -> EventRead:
    lines = [EventLineRead.model_validate(line, from_attributes=True) for line in shown.lines]
    said = [ApprovalRead.model_validate(approval, from_attributes=True) for approval in shown.approvals]
    awaited = [Awaited(part=part, dealer_code=dealer) for part, dealer in shown.awaits]
    beside = {"supporters": shown.supporters, "lines": lines, "approvals": said, "awaits": awaited}
    return EventRead.model_validate(dict(shown.event) | beside)
