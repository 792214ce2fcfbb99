"""Recruitment over HTTP: misses, plans, who recruits, and how old applications are."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlmodel import col

from app.chapters.schemas import DealerCode
from app.core.actors import Actor, Right
from app.core.clock import china_date, month_of
from app.core.db import unrestricted
from app.core.http import (
    GUARDED,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Requires,
    Session,
    documented,
    tagged,
    version_of,
)
from app.core.paging import Page, decode_cursor, paged
from app.core.problems import InvalidPayload, NotFound, PreconditionFailed
from app.core.schemas import Month
from app.members.problems import NoChapter
from app.visits import deliveries_queries, recruitment
from app.visits import recruitment_queries as queries
from app.visits.deliveries_models import Delivery, RecruitmentPlan
from app.visits.deliveries_queries import Position
from app.visits.deliveries_rules import rate
from app.visits.deliveries_schemas import DeliveryRead, delivery_read
from app.visits.problems import MonthOver
from app.visits.recruitment_queries import Ages, Planned
from app.visits.recruitment_schemas import ApplicationsAge, ConsultantRead, PlanProgress, PlanRead, PlanSet

router = APIRouter(prefix="/recruitment", tags=["recruitment"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.RECRUITMENT_READ))]
Planner = Annotated[Actor, Depends(Requires(Right.RECRUITMENT_PLAN))]
OfDealer = Annotated[DealerCode | None, Query()]
OfMonth = Annotated[Month | None, Query(description="without it, this month in China")]
InMonth = Annotated[Month, Path()]
AtDealer = Annotated[str, Path(pattern=r"^[A-Z0-9]{2,16}$", examples=["BJ001"])]


# --- misses ---


@router.get("/misses")
async def recruitment_misses(
    actor: Reader,
    session: Session,
    dealer_code: OfDealer = None,
    consultant: Annotated[str | None, Query(max_length=100)] = None,
    closed: Annotated[bool, Query(description="those closed with a reason, instead of those open")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryRead]:
    """Individual owners' cars without a membership, oldest delivery first; sales consultants see their own."""
    conditions = [deliveries_queries.is_miss(closed=closed)]
    if dealer_code is not None:
        conditions.append(col(Delivery.dealer_code) == dealer_code)
    if consultant is not None:
        conditions.append(col(Delivery.consultant) == consultant)
    rows = await deliveries_queries.page(session, actor, *conditions, after=seen_from(cursor), limit=limit + 1)
    page = paged(rows, limit, position)
    return Page[DeliveryRead].model_validate(page | {"items": [delivery_read(actor, row) for row in rows[:limit]]})


def position(delivery: Delivery) -> tuple[str, str]:
    """A delivery's place in a list by day, for a cursor."""
    return delivery.delivered_on.isoformat(), str(delivery.id)


def seen_from(cursor: str | None) -> Position | None:
    """The place in the cursor of a list by day; None at the start.

    Raises:
        InvalidPayload: it is not a cursor of this list.
    """
    if cursor is None:
        return None
    day, last = decode_cursor(cursor, str, str)
    try:
        return Position(date.fromisoformat(str(day)), UUID(str(last)))
    except ValueError:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid") from None


# --- plans ---


@router.get("/plan")
async def recruitment_plan(
    actor: Reader, session: Session, now: Now, month: OfMonth = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[PlanProgress]:
    """The chapters' plans of a month and how far they are, by code."""
    month = month or month_of(china_date(now))
    after = str(decode_cursor(cursor, str)[0]) if cursor else ""
    rows = await queries.plans(session, actor, month, after=after, limit=limit + 1)
    page = paged(rows, limit, lambda row: (row.dealer_code,))
    shown = rows[:limit]
    dealers = [row.dealer_code for row in shown]
    delivered = await queries.delivered(session, dealers, month)
    # who joined here may be another chapter's by now
    await unrestricted(session)
    recruits = await queries.recruits(session, dealers, month)
    items = [
        _progress(row, month, recruits.get(row.dealer_code, {}), delivered.get(row.dealer_code, (0, 0)))
        for row in shown
    ]
    return Page[PlanProgress].model_validate(page | {"items": items})


def _progress(row: Planned, month: date, by_source: dict[Any, int], cars: tuple[int, int]) -> PlanProgress:
    delivered, joined = cars
    return PlanProgress(
        **_read(row.dealer_code, month, row.plan).model_dump() | {"month": month},
        recruited=sum(by_source.values()),
        by_source=by_source,
        delivered=delivered,
        joined=joined,
        joining_rate=rate(joined, delivered),
    )


@router.get("/plan/{period}/{dealer_code}", responses=documented(NotFound, NoChapter))
async def recruitment_plan_get(
    period: InMonth, dealer_code: AtDealer, actor: Reader, session: Session, response: Response
) -> PlanRead:
    """A chapter's plan of a month; version 0 while there is none."""
    plan = await recruitment.plan(session, actor, dealer_code, period)
    return tagged(response, _read(dealer_code, period, plan))


@router.put("/plan/{period}/{dealer_code}", responses=documented(NotFound, NoChapter, MonthOver, PreconditionFailed))
async def recruitment_plan_set(
    period: InMonth,
    dealer_code: AtDealer,
    body: PlanSet,
    if_match: IfMatch,
    actor: Planner,
    session: Session,
    now: Now,
    response: Response,
) -> PlanRead:
    """Set how many members a chapter means to recruit in a month that has not ended; the first time with ETag "0"."""
    plan = await recruitment.set_plan(
        session, actor, dealer_code, period, body.target, version=version_of(if_match), now=now
    )
    return tagged(response, _read(dealer_code, period, plan))


def _read(dealer_code: str, month: date, plan: RecruitmentPlan | None) -> PlanRead:
    target, version = (plan.target, plan.version) if plan else (None, 0)
    return PlanRead(dealer_code=dealer_code, month=month, target=target, version=version)


# --- who recruits, who waits ---


@router.get("/consultants")
async def recruitment_consultants(
    actor: Reader,
    session: Session,
    now: Now,
    month: OfMonth = None,
    dealer_code: OfDealer = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ConsultantRead]:
    """Sales consultants ranked by how many of the cars they delivered in a month came with a membership by now."""
    skip = int(decode_cursor(cursor, int)[0]) if cursor else 0
    if skip < 0:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid")
    month = month or month_of(china_date(now))
    rows = await queries.consultants(session, actor, month, dealer_code=dealer_code, skip=skip, limit=limit + 1)
    items = [ConsultantRead(**row._asdict(), joining_rate=rate(row.joined, row.delivered) or 0.0) for row in rows]
    return Page[ConsultantRead].model_validate(paged(items, limit, lambda _: (skip + limit,)))


@router.get("/applications-age")
async def recruitment_applications_age(
    actor: Reader, session: Session, now: Now, limit: Limit = 50, cursor: Cursor = None
) -> Page[ApplicationsAge]:
    """The chapters with open applications, by code, and how long those have waited."""
    after = str(decode_cursor(cursor, str)[0]) if cursor else ""
    rows = await queries.open_applications(session, actor, now, after=after, limit=limit + 1)
    items = [_age(row, now) for row in rows]
    return Page[ApplicationsAge].model_validate(paged(items, limit, lambda item: (item.dealer_code,)))


def _age(row: Ages, now: datetime) -> ApplicationsAge:
    oldest_on = china_date(row.oldest_at)
    return ApplicationsAge(
        dealer_code=row.dealer_code,
        open=row.open,
        oldest_on=oldest_on,
        oldest_days=(china_date(now) - oldest_on).days,
        up_to_3_days=row.within_3,
        up_to_7_days=row.within_7 - row.within_3,
        up_to_30_days=row.within_30 - row.within_7,
        over_30_days=row.open - row.within_30,
    )
