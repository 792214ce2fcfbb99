"""Events of the past: by chapter, kind, class or year; and those in one member's life with the club."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, SQLColumnExpression, and_, cast, func, literal, or_, select, true
from sqlalchemy import Text as SqlText
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor
from app.events import attendance
from app.events.attendance import SCANNED, SEATED
from app.events.contest_models import EventResult
from app.events.gathering_models import Invitation, SurveyAnswer
from app.events.models import ClubEvent, EventBudgetLine
from app.events.queries import visible_to
from app.events.registration_models import Registration
from app.events.rules import EventKind, EventStatus, LineKind

PAST = (EventStatus.HELD, EventStatus.REPORTED, EventStatus.SETTLED)


class GroupBy(StrEnum):
    """What the past is grouped by."""

    CHAPTER = "chapter"
    KIND = "kind"
    CLASS = "class"
    YEAR = "year"


_KEYS: dict[GroupBy, SQLColumnExpression[Any]] = {
    GroupBy.CHAPTER: col(ClubEvent.dealer_code), GroupBy.KIND: col(ClubEvent.kind),
    GroupBy.CLASS: col(ClubEvent.event_class), GroupBy.YEAR: cast(col(ClubEvent.year), SqlText),
}  # fmt: skip


async def grouped(
    session: AsyncSession, actor: Actor, by: GroupBy, *, year: int | None, dealer_code: str | None,
    kind: EventKind | None,
) -> Sequence[Row[Any]]:  # fmt: skip
    """The figures of the events that were held, of those the actor may see; None does not filter."""
    seats, answers, costs = _seats().lateral(), _answers().lateral(), _costs().lateral()
    key = _KEYS[by]
    wanted = ((ClubEvent.year, year), (ClubEvent.dealer_code, dealer_code), (ClubEvent.kind, kind))
    query: Any = (
        select(
            key.label("key"), func.count().label("events"), _sum(seats.c.registered), _sum(seats.c.attended),
            _sum(seats.c.persons), _sum(costs.c.cost_fen), _sum(answers.c.survey_answers),
            (func.sum(answers.c.score) / func.nullif(func.sum(answers.c.survey_answers), 0)).label("mean_score"),
        )
        .select_from(ClubEvent)
        .join(seats, true()).join(answers, true()).join(costs, true())
        .where(visible_to(actor), col(ClubEvent.status).in_(PAST))
        .where(*(col(column) == value for column, value in wanted if value is not None))
        .group_by(key).order_by(key.nulls_first())
    )  # fmt: skip
    rows: Sequence[Row[Any]] = (await session.execute(query)).all()
    return rows


def _sum(column: ColumnElement[int]) -> ColumnElement[Any]:
    return func.sum(column).label(column.key)


def _seats() -> Any:
    party = func.coalesce(func.sum(col(Registration.party)).filter(SCANNED), 0)
    columns = (
        func.count().label("registered"), func.count().filter(SCANNED).label("attended"), party.label("persons")
    )  # fmt: skip
    return select(*columns).where(col(Registration.event_id) == col(ClubEvent.id), SEATED).correlate(ClubEvent)


def _answers() -> Any:
    columns = (func.count().label("survey_answers"), func.coalesce(func.sum(col(SurveyAnswer.score)), 0).label("score"))
    return select(*columns).where(col(SurveyAnswer.event_id) == col(ClubEvent.id)).correlate(ClubEvent)


def _costs() -> Any:
    line = EventBudgetLine
    cost = func.coalesce(func.sum(func.coalesce(col(line.actual), col(line.granted))), 0)
    of_event = select(cost.label("cost_fen")).where(col(line.event_id) == col(ClubEvent.id))
    return of_event.where(col(line.kind) == LineKind.MONEY).correlate(ClubEvent)


async def of_member(session: AsyncSession, member_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """The events a member was invited or registered to, the latest planned first."""
    event, survey, result, invitation = ClubEvent, SurveyAnswer, EventResult, Invitation
    whose = literal(member_id)
    registered = select(col(Registration.event_id)).where(col(Registration.member_id) == member_id)
    query: Any = (
        select(
            col(event.id).label("event_id"), col(event.title), col(event.kind), col(event.dealer_code),
            col(event.starts_at), col(event.status), col(invitation.member_id).is_not(None).label("was_invited"),
            col(invitation.answer), col(survey.score), col(result.rank),
            attendance.has_seat(col(event.id), whose).label("is_registered"),
            attendance.came(col(event.id), whose).label("came"),
        )
        .select_from(event)
        .outerjoin(
            invitation,
            and_(
                col(invitation.event_id) == col(event.id), col(invitation.member_id) == member_id,
                ~col(invitation.is_control),
            ),
        )
        .outerjoin(survey, and_(col(survey.event_id) == col(event.id), col(survey.member_id) == member_id))
        .outerjoin(result, and_(col(result.event_id) == col(event.id), col(result.member_id) == member_id))
        .where(or_(col(invitation.member_id).is_not(None), col(event.id).in_(registered)))
    )  # fmt: skip
    if after is not None:
        query = query.where(col(event.id) < after)
    rows: Sequence[Row[Any]] = (await session.execute(query.order_by(col(event.id).desc()).limit(limit))).all()
    return rows
