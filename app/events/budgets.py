"""What may be spent on events in a year, what is promised of it, and what was spent.

A dealer's own money and what headquarters grants its chapter are two budgets; headquarters' own events have a third
kind. What partners pay is nobody's budget here. A line counts in the year of its event.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters import queries as network
from app.chapters import service as chapters
from app.core.actors import HEADQUARTERS, Actor
from app.core.clock import china_date
from app.core.db import new_id
from app.core.problems import PreconditionFailed
from app.events.budget_schemas import EventBudgetSet
from app.events.models import ChapterBudget, ClubEvent, EventBudgetLine
from app.events.problems import BudgetYearOver
from app.events.rules import LIVE, SPENT, EventStatus, LineKind, Purse, own_dealer

Key = tuple[str | None, Purse]
"""Whose budget (None: headquarters') of which money."""


class Used(NamedTuple):
    """What events take of a budget: asked for, promised, and spent; fen and points."""

    asked_fen: int = 0
    asked_points: int = 0
    promised_fen: int = 0
    promised_points: int = 0
    spent_fen: int = 0
    spent_points: int = 0


class Figures(NamedTuple):
    """A budget and what is used of it; version 0 while nothing is set. What is left can be below 0."""

    budget: ChapterBudget
    used: Used

    @property
    def left_fen(self) -> int:
        """Fen neither promised nor spent."""
        return self.budget.money_fen - self.used.promised_fen - self.used.spent_fen

    @property
    def left_points(self) -> int:
        """Points neither promised nor spent."""
        return self.budget.points - self.used.promised_points - self.used.spent_points


def key_of(event: ClubEvent, payer: str) -> Key | None:
    """The budget a line draws on; None for a partner's."""
    if dealer := own_dealer(payer):
        return dealer, Purse.OWN
    return (event.dealer_code, Purse.HQ) if payer == "hq" else None


async def figures(session: AsyncSession, actor: Actor, year: int, *, dealer_code: str | None) -> list[Figures]:
    """The budgets of a year that an actor may see, and what is used of them; headquarters' own first."""
    query = select(ChapterBudget).where(col(ChapterBudget.year) == year)
    query = query.where(network.dealer_visible_to(actor, col(ChapterBudget.dealer_code)))
    if dealer_code is not None:
        query = query.where(col(ChapterBudget.dealer_code) == dealer_code)
    found = (await session.scalars(query)).all()
    used = await _used(session, year)
    told = [Figures(budget, used.get((budget.dealer_code, budget.purse), Used())) for budget in found]
    return sorted(told, key=lambda one: (one.budget.dealer_code or "", one.budget.purse))


async def locked(session: AsyncSession, year: int, key: Key) -> Figures:
    """A budget that nobody else draws on until commit, and what is used of it; of nothing, when none was set."""
    dealer_code, purse = key
    found = await _locked_row(session, year, key)
    nothing = ChapterBudget(dealer_code=dealer_code, year=year, purse=purse, money_fen=0, points=0, version=0)
    return Figures(found or nothing, (await _used(session, year)).get(key, Used()))


async def _locked_row(session: AsyncSession, year: int, key: Key) -> ChapterBudget | None:
    dealer_code, purse = key
    query = select(ChapterBudget).where(
        col(ChapterBudget.dealer_code).is_not_distinct_from(dealer_code),
        col(ChapterBudget.year) == year,
        col(ChapterBudget.purse) == purse,
    )
    query = query.with_for_update().execution_options(populate_existing=True)
    found: ChapterBudget | None = await session.scalar(query)
    return found


async def set_budget(
    session: AsyncSession, actor: Actor, place: str, purse: Purse, year: int, body: EventBudgetSet, *, version: int,
    now: datetime,
) -> Figures:  # fmt: skip
    """Set what may be spent in a year; version 0 while nothing is set. `place`: a dealer, or headquarters.

    Raises:
        NotFound: there is no such chapter, or it is not the actor's.
        PreconditionFailed: somebody else has set it meanwhile.
        BudgetYearOver: the year is over.
    """
    if place != HEADQUARTERS:
        await chapters.chapter(session, actor, place)
    if year < china_date(now).year:
        raise BudgetYearOver(year=year)
    dealer_code = None if place == HEADQUARTERS else place
    # two who set it first are told apart
    nothing = {"dealer_code": dealer_code, "year": year, "purse": purse, "money_fen": 0, "points": 0, "version": 0}
    await session.execute(insert(ChapterBudget).values(id=new_id(), **nothing).on_conflict_do_nothing())
    found = await locked(session, year, (dealer_code, purse))
    if found.budget.version != version:
        raise PreconditionFailed
    found.budget.money_fen, found.budget.points = body.money_fen, body.points
    found.budget.version += 1
    await session.flush()
    return found


async def _used(session: AsyncSession, year: int) -> Mapping[Key, Used]:
    line, event = EventBudgetLine, ClubEvent
    is_own = col(line.payer).startswith("dealer:")
    dealer = case((is_own, func.split_part(col(line.payer), ":", 2)), else_=col(event.dealer_code))
    purse = case((is_own, Purse.OWN.value), else_=Purse.HQ.value)
    query = (
        select(dealer, purse, *_sums())
        .join(event, col(event.id) == col(line.event_id))
        .where(col(event.year) == year, col(line.payer).not_like("partner:%"))
        .group_by(dealer, purse)
    )
    rows = await session.execute(query)
    return {(code, Purse(whose)): Used(*map(int, sums)) for code, whose, *sums in rows}


def _sums() -> Sequence[ColumnElement[int]]:
    line, status = EventBudgetLine, col(ClubEvent.status)
    asked = (col(line.planned), (status == EventStatus.PROPOSED) & col(line.granted).is_(None))
    promised = (col(line.granted), status.in_(sorted(LIVE)))
    # of an event that was called off, what it came to all the same
    spent = (col(line.actual), status.in_(sorted(SPENT | {EventStatus.CANCELLED})))
    return [
        func.coalesce(func.sum(amount).filter(counts, col(line.kind) == kind), 0)
        for amount, counts in (asked, promised, spent)
        for kind in (LineKind.MONEY, LineKind.POINTS)
    ]
