"""The SQL of incentives: what is rewarded and whom it is owed to, and lists with their lines."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor, Reach
from app.earning.awards import Event
from app.earning.triggers import Trigger
from app.referrals.incentives_models import IncentiveLine, IncentiveList, IncentiveRule, ListStatus
from app.referrals.incentives_rules import Joining
from app.referrals.incentives_schemas import PayeeSum

_SCHEME = 7_320_000_033
"""One list of incentives is drawn up or approved at a time."""


class Occurrence(NamedTuple):
    """An event and the member of staff to whom it is owed; None: nobody is known."""

    event: Event
    staff: str | None


# who enrolled them, if that was one of the dealer's staff, else who delivered the car; a membership that was merged
# into another was no recruit
_ENROLMENTS = """
SELECT m.id::text, m.id, first.dealer_code, m.joined_on, jsonb_build_object('source', m.source)::text,
       coalesce(entered.username, delivered.consultant)
  FROM member m
 CROSS JOIN LATERAL (SELECT dealer_code FROM member_place p WHERE p.member_id = m.id ORDER BY since LIMIT 1) first
  LEFT JOIN LATERAL (
    SELECT actor FROM member_status_change s WHERE s.member_id = m.id ORDER BY at, id LIMIT 1) began ON true
  LEFT JOIN LATERAL (
    SELECT a.username FROM account a JOIN account_grant g ON g.account_id = a.id
     WHERE a.username = began.actor AND g.dealer_code = first.dealer_code LIMIT 1) entered ON true
  LEFT JOIN LATERAL (
    SELECT consultant FROM delivery d
     WHERE d.member_id = m.id AND d.dealer_code = first.dealer_code AND d.consultant IS NOT NULL
     ORDER BY abs(d.delivered_on - m.joined_on), d.vin LIMIT 1) delivered ON true
 WHERE m.joined_on BETWEEN $1 AND $2 AND m.merged_into IS NULL
   AND ($3::text IS NULL OR first.dealer_code = $3) AND first.dealer_code IS NOT NULL
"""
_SUCCESSES = """
SELECT r.id::text, r.referrer_id, r.dealer_code, r.delivered_on,
       jsonb_build_object(
         'party', 'referrer', 'model', coalesce(d.model, ''), 'is_repurchase', r.is_repurchase,
         'successes', (SELECT count(*) FROM referral s WHERE s.referrer_id = r.referrer_id AND s.status = 'delivered'
                          AND (s.delivered_on, s.id) <= (r.delivered_on, r.id)))::text,
       r.consultant
  FROM referral r JOIN chapter USING (dealer_code) LEFT JOIN delivery d ON d.vin = r.vin
 WHERE r.status = 'delivered' AND r.delivered_on BETWEEN $1 AND $2 AND ($3::text IS NULL OR r.dealer_code = $3)
"""
_SOURCES = {Trigger.ENROLMENT: _ENROLMENTS, Trigger.REFERRAL_SUCCESS: _SUCCESSES}


async def occurrences(
    connection: asyncpg.Connection, trigger: Trigger, first: date, last: date, dealer_code: str | None
) -> list[Occurrence]:
    """What stands of a trigger's events from one day to another, at a dealer or anywhere (None)."""
    rows = await connection.fetch(_SOURCES[trigger], first, last, dealer_code)
    return [
        Occurrence(Event(trigger, f"{trigger}:{key}", member_id, dealer, on, orjson.loads(fields)), staff)
        for key, member_id, dealer, on, fields, staff in rows
    ]


# as the report of recruitment counts a month: by its end
_JOINING = """
SELECT CASE WHEN $3::text IS NULL THEN dealer_code ELSE consultant END, date_trunc('month', delivered_on)::date,
       count(*), count(*) FILTER (
         WHERE matched_on < date_trunc('month', delivered_on) + interval '1 month')
  FROM delivery
 WHERE owner_kind = 'individual' AND delivered_on BETWEEN $1 AND $2
   AND ($3::text IS NULL OR (dealer_code = $3 AND consultant IS NOT NULL))
 GROUP BY 1, 2
"""


async def joining(
    connection: asyncpg.Connection, first: date, last: date, dealer_code: str | None
) -> dict[tuple[str, date], Joining]:
    """By payee and month: each dealer's cars, or (at a dealer) each consultant's, and those whose owner joined."""
    rows = await connection.fetch(_JOINING, first, last, dealer_code)
    return {(payee, month): Joining(delivered, joined) for payee, month, delivered, joined in rows}


class Listed(NamedTuple):
    """What approved lists have of one document by one rule for one payee."""

    document: str
    rule_id: UUID
    payee: str
    dealer_code: str
    member_id: UUID
    happened_on: date
    fen: int


_LISTED = """
SELECT l.document, l.rule_id, l.payee, min(l.dealer_code), (array_agg(l.member_id))[1], min(l.happened_on),
       sum(l.fen)::bigint
  FROM incentive_line l JOIN incentive_list s ON s.id = l.list_id
 WHERE s.status <> 'draft' AND s.dealer_code IS NOT DISTINCT FROM $1
   AND (l.document = ANY ($2::text[]) OR l.happened_on BETWEEN $3 AND $4)
 GROUP BY 1, 2, 3 HAVING sum(l.fen) <> 0 ORDER BY 1, 2, 3
"""


async def listed(
    connection: asyncpg.Connection, dealer_code: str | None, documents: Sequence[str], first: date, last: date
) -> list[Listed]:
    """What is on a scheme's approved lists of these documents, and of all that happened in a span of days."""
    return [Listed(*row) for row in await connection.fetch(_LISTED, dealer_code, documents, first, last)]


async def one_at_a_time(session: AsyncSession) -> None:
    """Until commit nobody else draws up or approves a list."""
    await session.execute(select(func.pg_advisory_xact_lock(_SCHEME)))


# --- rules ---


def _theirs(actor: Actor, dealer_code: Any) -> ColumnElement[bool]:
    own = dealer_visible_to(actor, dealer_code)
    return or_(dealer_code.is_(None), own) if actor.reach in (Reach.DEALER, Reach.REGION) else own


async def rule(session: AsyncSession, actor: Actor, rule_id: UUID, *, locked: bool = False) -> IncentiveRule | None:
    """One rule, if the actor may see it: its chapters', and headquarters'; `locked` for change."""
    query = select(IncentiveRule).where(
        col(IncentiveRule.id) == rule_id, _theirs(actor, col(IncentiveRule.dealer_code))
    )
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def rules(
    session: AsyncSession, actor: Actor, *, after: UUID | None, limit: int
) -> Sequence[IncentiveRule]:  # fmt: skip
    """The rules an actor may see, oldest first, from after an id."""
    query = select(IncentiveRule).where(_theirs(actor, col(IncentiveRule.dealer_code)))
    if after is not None:
        query = query.where(col(IncentiveRule.id) > after)
    return (await session.scalars(query.order_by(col(IncentiveRule.id)).limit(limit))).all()


async def of_scheme(session: AsyncSession, dealer_code: str | None, first: date, last: date) -> Sequence[IncentiveRule]:
    """A scheme's rules that hold on some day of a span, in a stable order."""
    query = select(IncentiveRule).where(
        col(IncentiveRule.dealer_code).is_not_distinct_from(dealer_code),
        col(IncentiveRule.valid_from) <= last,
        or_(col(IncentiveRule.valid_until).is_(None), col(IncentiveRule.valid_until) >= first),
    )
    return (await session.scalars(query.order_by(col(IncentiveRule.code)))).all()


# --- lists ---


def _shown(actor: Actor) -> ColumnElement[bool]:
    if actor.reach is Reach.ALL:
        return dealer_visible_to(actor, col(IncentiveList.dealer_code))
    own = dealer_visible_to(actor, col(IncentiveList.dealer_code))
    approved = (col(IncentiveList.dealer_code).is_(None)) & (col(IncentiveList.status) != ListStatus.DRAFT)
    return or_(own, approved)


async def one(session: AsyncSession, actor: Actor, list_id: UUID, *, locked: bool = False) -> IncentiveList | None:
    """One list, if the actor may see it: its chapters', and headquarters' approved ones; `locked` for change."""
    query = select(IncentiveList).where(col(IncentiveList.id) == list_id, _shown(actor))
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def of_month(session: AsyncSession, dealer_code: str | None, month: date) -> IncentiveList | None:
    """A scheme's list of a month, for change."""
    query = select(IncentiveList).where(
        col(IncentiveList.month) == month, col(IncentiveList.dealer_code).is_not_distinct_from(dealer_code)
    )
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))


async def page(
    session: AsyncSession,
    actor: Actor,
    *,
    month: date | None,
    status: ListStatus | None,
    after: UUID | None,
    limit: int,
) -> Sequence[IncentiveList]:
    """The lists an actor may see, oldest first, from after an id; None does not filter."""
    query = select(IncentiveList).where(_shown(actor)).order_by(col(IncentiveList.id)).limit(limit)
    if month is not None:
        query = query.where(col(IncentiveList.month) == month)
    if status is not None:
        query = query.where(col(IncentiveList.status) == status)
    if after is not None:
        query = query.where(col(IncentiveList.id) > after)
    return (await session.scalars(query)).all()


def _seen(actor: Actor) -> ColumnElement[bool]:
    return dealer_visible_to(actor, col(IncentiveLine.dealer_code))


async def payees(session: AsyncSession, actor: Actor, list_id: UUID) -> list[PayeeSum]:
    """What each payee of a list gets, as far as an actor sees its lines; most first."""
    total = func.sum(col(IncentiveLine.fen))
    query = (
        select(col(IncentiveLine.payee), func.count(), total)
        .where(col(IncentiveLine.list_id) == list_id, _seen(actor))
        .group_by(col(IncentiveLine.payee))
        .order_by(total.desc(), col(IncentiveLine.payee))
    )
    return [PayeeSum(payee=payee, lines=lines, fen=fen) for payee, lines, fen in await session.execute(query)]


async def totals_fen(session: AsyncSession, actor: Actor, list_ids: Sequence[UUID]) -> dict[UUID, int]:
    """What lists come to, as far as an actor sees their lines; a list without any is not in it."""
    query = (
        select(col(IncentiveLine.list_id), func.sum(col(IncentiveLine.fen)))
        .where(col(IncentiveLine.list_id).in_(list_ids), _seen(actor))
        .group_by(col(IncentiveLine.list_id))
    )
    return {list_id: int(fen) for list_id, fen in await session.execute(query)}


async def lines(
    session: AsyncSession, actor: Actor, list_id: UUID, *, after: int, limit: int | None
) -> list[tuple[IncentiveLine, str]]:
    """A list's lines that an actor sees, each with its rule's code, from after a number; None: all."""
    query = (
        select(IncentiveLine, col(IncentiveRule.code))
        .join(IncentiveRule, col(IncentiveRule.id) == col(IncentiveLine.rule_id))
        .where(col(IncentiveLine.list_id) == list_id, _seen(actor), col(IncentiveLine.line_no) > after)
        .order_by(col(IncentiveLine.line_no))
        .limit(limit)
    )
    return [(line, code) for line, code in await session.execute(query)]
