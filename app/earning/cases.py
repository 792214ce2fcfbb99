"""What rules could not give by themselves waits for a person: nothing is lost, each decision has its reason."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.core.db import raw, unrestricted
from app.core.problems import NotFound, WrongStatus
from app.earning import awards, engine, limits
from app.earning import book as books
from app.earning.awards_models import CaseKind, CaseStatus, EarningCase
from app.earning.book import Book
from app.earning.earning_problems import StillFails
from app.earning.engine import Considered, Rule, Verdict
from app.earning.triggers import Trigger
from app.points.ledger import Request


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Everyone sees the cases of the dealers it reaches; headquarters those that happened at none, too."""
    return dealer_visible_to(actor, col(EarningCase.dealer_code))


async def page(
    session: AsyncSession, actor: Actor, *, status: CaseStatus | None, kind: CaseKind | None, after: UUID | None,
    limit: int,
) -> Sequence[EarningCase]:  # fmt: skip
    """Cases an actor may see, oldest first, from after an id; None does not filter."""
    query = select(EarningCase).where(visible_to(actor)).order_by(col(EarningCase.id)).limit(limit)
    if status is not None:
        query = query.where(col(EarningCase.status) == status)
    if kind is not None:
        query = query.where(col(EarningCase.kind) == kind)
    if after is not None:
        query = query.where(col(EarningCase.id) > after)
    return (await session.scalars(query)).all()


async def get(session: AsyncSession, actor: Actor, case_id: UUID, *, open_only: bool = False) -> EarningCase:
    """One case; `open_only` locked for a decision.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
        WrongStatus: it is decided.
    """
    query = select(EarningCase).where(col(EarningCase.id) == case_id, visible_to(actor))
    found = await session.scalar(query.with_for_update() if open_only else query)
    if found is None:
        raise NotFound("earning case")
    if open_only and found.status != CaseStatus.OPEN:
        raise WrongStatus(current=found.status, allowed=(CaseStatus.OPEN,))
    return found


async def refuse(session: AsyncSession, actor: Actor, case_id: UUID, reason: str, *, now: datetime) -> EarningCase:
    """Give nothing, and say why.

    Raises:
        NotFound, WrongStatus: as `get`.
    """
    case = await get(session, actor, case_id, open_only=True)
    return await _decided(session, case, CaseStatus.REFUSED, actor, reason, now)


async def approve(session: AsyncSession, actor: Actor, case_id: UUID, reason: str, *, now: datetime) -> EarningCase:
    """Give what the case waits with. What failed is tried again under the newest version of its rule.

    Budgets and caps are judged anew; what was held for review is given within them, too.

    Raises:
        NotFound, WrongStatus: as `get`.
        StillFails: the rule fails still, gives nothing, or its budget is still used up.
        WalletClosed: the member has left.
    """
    case = await get(session, actor, case_id, open_only=True)
    await unrestricted(session)
    connection = await raw(session)
    event, one = await _again(connection, case)
    ((event, (one,)),) = await limits.within_limits(connection, [(event, [one])])
    if not one.gives:
        raise StillFails(reason=one.reason or one.verdict)
    lots = awards.lots_of(event, [one], await _next_part(connection, event))
    await awards.post(connection, lots, Request(actor.subject, f"case:{case.id}", now), case.id)
    case.points, case.status_points = one.points, one.status_points
    return await _decided(session, case, CaseStatus.APPROVED, actor, reason, now)


async def _again(connection: asyncpg.Connection, case: EarningCase) -> tuple[engine.Event, Considered]:
    book = await books.book(connection)
    member_id = await connection.fetchval("SELECT coalesce(merged_into, id) FROM member WHERE id = $1", case.member_id)
    event = engine.Event(
        Trigger(case.trigger), case.document, member_id, case.dealer_code, case.booked_on, case.values, case.attempt
    )
    rule = book.version(case.rule_no)
    if case.kind != CaseKind.PARKED:
        return event, Considered(rule, Verdict.GIVES, case.points, case.status_points)
    return await books.tried(connection, event, _newest(book, rule))


def _newest(book: Book, rule: Rule) -> Rule:
    return max((one for one in book.rules if one.rule_id == rule.rule_id), key=lambda one: one.no)


_NEXT_PART = """
SELECT 1 + greatest(
  coalesce((SELECT max(part) FROM award WHERE document = $1 AND attempt = $2), 0),
  (SELECT count(*) FROM ledger.lot WHERE document = $1 AND is_live))"""


async def _next_part(connection: asyncpg.Connection, event: engine.Event) -> int:
    # an order that one simple rule answered has its lot, but no award
    part: int = await connection.fetchval(_NEXT_PART, event.document, event.attempt)
    return part


async def _decided(
    session: AsyncSession, case: EarningCase, status: CaseStatus, actor: Actor, reason: str, now: datetime
) -> EarningCase:
    case.status, case.decided_at, case.decided_by, case.decision = status, now, actor.subject, reason
    await session.flush()
    return case
