"""Budgets, earnings that wait for a person, and why an earning gave what it gave."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from app.core.actors import Actor, Right, Role
from app.core.clock import china_date
from app.core.db import raw, unrestricted
from app.core.http import (
    GUARDED,
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
)  # fmt: skip
from app.core.paging import Page, decode_cursor, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed, WrongStatus
from app.earning import budgets, cases
from app.earning.awards_models import CaseKind, CaseStatus, EarningCase
from app.earning.awards_schemas import BudgetCreate, BudgetRead, BudgetUpdate, CaseRead, Decision, WhyRead
from app.earning.budgets import Used
from app.earning.earning_problems import BudgetExists, StillFails
from app.earning.why import why
from app.members.visibility import visible_member
from app.points.problems import DocumentConflict, FutureDate, WalletClosed

router = APIRouter(tags=["rules"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.RULES_READ))]
Author = Annotated[Actor, Depends(Requires(Right.RULES_WRITE))]
Decider = Annotated[Actor, Depends(Requires(Right.POINTS_CORRECT))]
PointsReader = Annotated[Actor, Depends(Requires(Right.POINTS_READ, Right.OWN_CARD))]
BudgetCode = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{1,39}$", examples=["spring-2026"])]


@router.get("/points/budgets")
async def budgets_list(
    actor: Reader, session: Session, now: Now, limit: Limit = 50, cursor: Cursor = None
) -> Page[BudgetRead]:
    """Budgets by code, with what is used of the current period."""
    after = str(decode_cursor(cursor, str)[0]) if cursor else None
    found = await budgets.page(session, actor, after=after, limit=limit + 1, today=china_date(now))
    items = [_budget(one) for one in found]
    return Page[BudgetRead].model_validate(paged(items, limit, lambda budget: (budget.code,)))


@router.post(
    "/points/budgets", status_code=201, response_model=BudgetRead, responses=documented(BudgetExists, KeyConflict)
)
async def budgets_create(body: BudgetCreate, actor: Author, session: Session, now: Now, once: Once) -> Response:
    """Set up a budget for rules to draw on."""

    async def create() -> BudgetRead:
        made = await budgets.create(session, actor, body, now=now)
        return _budget(await budgets.get(session, actor, made.code, today=china_date(now)))

    return await once(body, create)


@router.get("/points/budgets/{budget_code}", responses=documented(NotFound))
async def budgets_get(
    budget_code: BudgetCode, actor: Reader, session: Session, now: Now, response: Response
) -> BudgetRead:
    """One budget."""
    return _tagged(response, await budgets.get(session, actor, budget_code, today=china_date(now)))


@router.patch("/points/budgets/{budget_code}", responses=documented(NotFound, PreconditionFailed))
async def budgets_update(
    budget_code: BudgetCode, body: BudgetUpdate, if_match: IfMatch, actor: Author, session: Session, now: Now,
    response: Response,
) -> BudgetRead:  # fmt: skip
    """Change a budget's name or amount."""
    version, today = version_of(if_match), china_date(now)
    return _tagged(response, await budgets.update(session, actor, budget_code, body, version=version, today=today))


def _tagged(response: Response, used: Used) -> BudgetRead:
    response.headers["ETag"] = etag(used.budget.version)
    return _budget(used)


def _budget(used: Used) -> BudgetRead:
    return BudgetRead.model_validate(dict(used.budget) | {"begins": used.begins, "used": used.used})


# --- cases ---


@router.get("/points/cases")
async def cases_list(
    actor: Reader, session: Session, status: Annotated[CaseStatus | None, Query()] = None,
    kind: Annotated[CaseKind | None, Query()] = None, limit: Limit = 50, cursor: Cursor = None,
) -> Page[CaseRead]:  # fmt: skip
    """Earnings that rules could not give by themselves, oldest first."""
    found = await cases.page(session, actor, status=status, kind=kind, after=id_after(cursor), limit=limit + 1)
    items = [_case(one) for one in found]
    return Page[CaseRead].model_validate(paged(items, limit, lambda case: (str(case.id),)))


@router.get("/points/cases/{case_id}", responses=documented(NotFound))
async def cases_get(case_id: UUID, actor: Reader, session: Session) -> CaseRead:
    """One case."""
    return _case(await cases.get(session, actor, case_id))


DECIDED = documented(NotFound, WrongStatus)


@router.post(
    "/points/cases/{case_id}/approval",
    responses=documented(NotFound, WrongStatus, StillFails, WalletClosed, FutureDate, DocumentConflict),
)
async def cases_approve(case_id: UUID, body: Decision, actor: Decider, session: Session, now: Now) -> CaseRead:
    """Give what the case waits with; what failed is tried again under its rule's newest version."""
    return _case(await cases.approve(session, actor, case_id, body.reason, now=now))


@router.post("/points/cases/{case_id}/refusal", responses=DECIDED)
async def cases_refuse(case_id: UUID, body: Decision, actor: Decider, session: Session, now: Now) -> CaseRead:
    """Give nothing, and say why."""
    return _case(await cases.refuse(session, actor, case_id, body.reason, now=now))


def _case(case: EarningCase) -> CaseRead:
    return CaseRead.model_validate(case, from_attributes=True)


# --- why ---


@router.get("/members/{member_id}/postings/{posting_no}/why", responses=documented(NotFound))
async def members_posting_why(
    member_id: UUID, posting_no: Annotated[int, Path(ge=1, lt=1 << 63)], actor: PointsReader, session: Session
) -> WhyRead:
    """Why an earning gave so many points."""
    await visible_member(session, actor, member_id)
    await unrestricted(session)
    told = await why(await raw(session), member_id, posting_no)
    inside = actor.role is not Role.MEMBER
    d = told.definition
    return WhyRead(
        **told._asdict() | {"funder": told.funder if inside else None},
        condition=d.condition if inside else None, amount=d.amount if inside else None, factor_percent=d.factor_percent,
    )  # fmt: skip
