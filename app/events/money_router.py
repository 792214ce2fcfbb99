"""Events' money and reports over HTTP, and what members are told about events."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from app.core.actors import Actor, Right
from app.core.http import (
    GUARDED,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Requires,
    Session,
    Speaks,
    documented,
    etag,
    version_of,
)
from app.core.paging import Page, id_after, paged
from app.core.problems import NotFound, PreconditionFailed, WrongStatus
from app.events import budgets, notices, reports
from app.events.budget_schemas import EventBudgetList, EventBudgetRead, EventBudgetSet
from app.events.budgets import Figures
from app.events.problems import BudgetYearOver
from app.events.reports import CameTo, Reported
from app.events.rules import Purse
from app.events.schemas import (
    CostsCreate,
    CostsRead,
    EventNoticeRead,
    EventReason,
    PartyCost,
    ReportCreate,
    ReportRead,
    Year,
)

router = APIRouter(tags=["events"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.EVENTS_READ))]
Planner = Annotated[Actor, Depends(Requires(Right.EVENTS_WRITE))]
Settler = Annotated[Actor, Depends(Requires(Right.EVENTS_SETTLE))]
Owner = Annotated[Actor, Depends(Requires(Right.EVENT_MONEY_OWN))]
Granter = Annotated[Actor, Depends(Requires(Right.EVENT_MONEY_GRANT))]
Member = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
Code = Annotated[str, Path(pattern=r"^[A-Z0-9]{2,16}$", description="dealer code", examples=["BJ001"])]
Place = Annotated[str, Path(pattern=r"^[A-Z0-9]{2,16}$", description="dealer code, or HQ", examples=["BJ001", "HQ"])]
BudgetYear = Annotated[Year, Path(description="in which events begin, in China", examples=[2026])]

SET = documented(NotFound, PreconditionFailed, BudgetYearOver)


@router.get("/event-budgets/{year}")
async def event_budgets_list(
    year: BudgetYear, actor: Reader, session: Session, dealer_code: Annotated[str | None, Query(max_length=16)] = None
) -> EventBudgetList:
    """The budgets of a year that one may see: what was set, asked for, promised and spent, and what is left."""
    found = await budgets.figures(session, actor, year, dealer_code=dealer_code)
    return EventBudgetList(items=[_budget(one) for one in found])


@router.put("/event-budgets/{year}/granted/{place}", responses=SET)
async def event_budgets_grant(
    year: BudgetYear, place: Place, body: EventBudgetSet, if_match: IfMatch, actor: Granter, session: Session, now: Now,
    response: Response,
) -> EventBudgetRead:  # fmt: skip
    """Set what headquarters grants a chapter's events, or spends on its own; the first time with ETag "0"."""
    found = await budgets.set_budget(
        session, actor, place, Purse.HQ, year, body, version=version_of(if_match), now=now
    )  # fmt: skip
    return _tagged(response, found)


@router.put("/event-budgets/{year}/own/{code}", responses=SET)
async def event_budgets_own(
    year: BudgetYear, code: Code, body: EventBudgetSet, if_match: IfMatch, actor: Owner, session: Session, now: Now,
    response: Response,
) -> EventBudgetRead:  # fmt: skip
    """Set what a dealer spends of its own money; the first time with ETag "0"."""
    found = await budgets.set_budget(
        session, actor, code, Purse.OWN, year, body, version=version_of(if_match), now=now
    )  # fmt: skip
    return _tagged(response, found)


# --- after the event ---


@router.get("/events/{event_id}/report", responses=documented(NotFound))
async def event_reports_get(event_id: UUID, actor: Reader, session: Session) -> ReportRead:
    """How an event was, and what it came to."""
    return _report(await reports.report(session, actor, event_id))


@router.post("/events/{event_id}/report", status_code=201, responses=documented(NotFound, WrongStatus))
async def event_reports_file(
    event_id: UUID, body: ReportCreate, actor: Planner, session: Session, now: Now
) -> ReportRead:  # fmt: skip
    """Report on an event that was held; one that was sent back is reported on anew."""
    return _report(await reports.file(session, actor, event_id, body, now=now))


@router.post("/events/{event_id}/report/return", status_code=204, responses=documented(NotFound, WrongStatus))
async def event_reports_return(
    event_id: UUID, body: EventReason, actor: Settler, session: Session, now: Now
) -> None:  # fmt: skip
    """Send a report back, and say why."""
    await reports.send_back(session, actor, event_id, body.reason, now=now)


@router.post("/events/{event_id}/settlement", responses=documented(NotFound, WrongStatus))
async def event_reports_settle(event_id: UUID, actor: Settler, session: Session, now: Now) -> ReportRead:
    """Accept a report: the event is over, and `due_fen` is what headquarters owes the chapter."""
    return _report(await reports.settle(session, actor, event_id, now=now))


@router.post("/events/{event_id}/cancellation/costs", status_code=201, responses=documented(NotFound, WrongStatus))
async def event_costs_note(event_id: UUID, body: CostsCreate, actor: Planner, session: Session) -> CostsRead:
    """Note what a cancelled event came to all the same, such as a deposit; it counts as spent."""
    return CostsRead(**_came_to(await reports.note_costs(session, actor, event_id, body)))


# --- what members are told ---


@router.get("/members/me/event-notices")
async def event_notices_list(
    actor: Member,
    session: Session,
    language: Speaks,
    unread: bool = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[EventNoticeRead]:
    """What I was told about events, newest first."""
    assert actor.member_id is not None
    found = await notices.of_member(session, actor.member_id, unread=unread, after=id_after(cursor), limit=limit + 1)
    items = [notices.told(notice, event, language) for notice, event in found]
    return Page[EventNoticeRead].model_validate(paged(items, limit, lambda notice: (str(notice.id),)))


@router.post("/members/me/event-notices/{notice_id}/reading", status_code=204, responses=documented(NotFound))
async def event_notices_read(notice_id: UUID, actor: Member, session: Session, now: Now) -> None:
    """Note that I have read it."""
    assert actor.member_id is not None
    await notices.read(session, actor.member_id, notice_id, now=now)


def _tagged(response: Response, found: Figures) -> EventBudgetRead:
    response.headers["ETag"] = etag(found.budget.version)
    return _budget(found)


def _budget(found: Figures) -> EventBudgetRead:
    left = {"left_fen": found.left_fen, "left_points": found.left_points}
    return EventBudgetRead.model_validate(dict(found.budget) | found.used._asdict() | left)


def _report(found: Reported) -> ReportRead:
    return ReportRead.model_validate(dict(found.report) | _came_to(found.came_to))


def _came_to(found: CameTo) -> dict[str, Any]:
    return {"costs": [PartyCost(**cost._asdict()) for cost in found.costs], "due_fen": found.due_fen}
