"""Budgets: points that rules may give in a month, a year, or at all; the programme's, a chapter's, or one funder's."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters import queries as chapters
from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor, Reach
from app.core.db import flush_unless, raw
from app.core.editing import edit
from app.core.problems import Forbidden, InvalidPayload, NotFound
from app.earning import limits
from app.earning.awards_models import Budget, BudgetUse
from app.earning.awards_schemas import BudgetCreate, BudgetUpdate
from app.earning.earning_problems import BudgetExists


class Used(NamedTuple):
    """A budget, and what was given of it in the period of a day (points)."""

    budget: Budget
    begins: date
    used: int


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Headquarters sees every budget, others those of the chapters they reach."""
    return dealer_visible_to(actor, col(Budget.dealer_code))


async def page(session: AsyncSession, actor: Actor, *, after: str | None, limit: int, today: date) -> list[Used]:
    """The budgets an actor may see by code, from after one, each with its current period."""
    query = select(Budget).where(visible_to(actor)).order_by(col(Budget.code)).limit(limit)
    if after is not None:
        query = query.where(col(Budget.code) > after)
    return await _used(session, (await session.scalars(query)).all(), today)


async def get(session: AsyncSession, actor: Actor, code: str, *, today: date) -> Used:
    """One budget with its current period.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    return (await _used(session, [await _found(session, actor, code)], today))[0]


async def create(session: AsyncSession, actor: Actor, body: BudgetCreate, *, now: datetime) -> Budget:
    """Set a budget up; who is bound to a chapter does for that chapter alone.

    Raises:
        InvalidPayload: there is no such dealer for the actor.
        BudgetExists: the code is taken.
    """
    dealer_code = body.dealer_code or actor.dealer_code
    if dealer_code is not None or actor.reach is not Reach.ALL:
        await _require_own(session, actor, dealer_code or "")
    made = Budget(**body.model_dump() | {"dealer_code": dealer_code}, created_by=actor.subject, created_at=now)
    session.add(made)
    await flush_unless(session, "pk_budget", BudgetExists)
    return made


async def _require_own(session: AsyncSession, actor: Actor, dealer_code: str) -> None:
    connection = await raw(session)
    known = dealer_code in await chapters.dealer_regions(connection)
    if not known or not await chapters.reaches(connection, actor, dealer_code):
        raise InvalidPayload.at("/dealer_code", "unknown_dealer", value=dealer_code)


async def update(
    session: AsyncSession, actor: Actor, code: str, body: BudgetUpdate, *, version: int, today: date
) -> Used:
    """Change a budget's name or amount. Below what is used already, it is used up and nothing is taken back.

    Raises:
        NotFound, PreconditionFailed.
        Forbidden: it is headquarters' and the actor a chapter's.
    """
    budget = await _found(session, actor, code, locked=True)
    if budget.dealer_code is None and actor.reach is not Reach.ALL:
        raise Forbidden
    edit(budget, body.model_dump(exclude_unset=True), version)
    await session.flush()
    return (await _used(session, [budget], today))[0]


async def _found(session: AsyncSession, actor: Actor, code: str, *, locked: bool = False) -> Budget:
    query = select(Budget).where(col(Budget.code) == code, visible_to(actor))
    found = await session.scalar(query.with_for_update() if locked else query)
    if found is None:
        raise NotFound("budget")
    return found


async def _used(session: AsyncSession, budgets: Sequence[Budget], today: date) -> list[Used]:
    purses = {budget.code: limits.purse(budget.code, budget.period, today) for budget in budgets}
    rows = await session.scalars(select(BudgetUse).where(col(BudgetUse.budget_code).in_(purses)))
    used = {limits.Purse(row.budget_code, row.begins): row.points for row in rows}
    return [Used(one, purses[one.code].begins, used.get(purses[one.code], 0)) for one in budgets]
