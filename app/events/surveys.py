"""What those who came thought of an event: 0 to 10, and a comment; points for it by the earning rules."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.clock import china_date
from app.core.db import raw, unrestricted
from app.core.problems import NotFound
from app.earning import awards
from app.earning.triggers import Trigger
from app.events import attendance
from app.events.gathering_models import SurveyAnswer
from app.events.gathering_problems import SurveyClosed
from app.events.gathering_schemas import SurveyComment, SurveyFigures, SurveyGive
from app.events.models import ClubEvent
from app.events.rules import EventStatus
from app.points.ledger import Request

ASKING = frozenset({EventStatus.HELD, EventStatus.REPORTED, EventStatus.SETTLED})
_LATEST = 100


class Given(NamedTuple):
    """An answer, and the points it gave."""

    answer: SurveyAnswer
    points: int


async def give(
    session: AsyncSession, actor_subject: str, member_id: UUID, event_id: UUID, body: SurveyGive, *, days: int,
    now: datetime,
) -> Given:  # fmt: skip
    """Answer, or change one's answer, up to so many days after the event; points are for the first time.

    Raises:
        NotFound: the member did not come.
        SurveyClosed: it was not held yet, or is too long ago.
    """
    event = await session.get(ClubEvent, event_id)
    if event is None or not await attendance.has_come(session, event_id, member_id):
        raise NotFound("survey")
    closes_at = event.ends_at + timedelta(days=days)
    if event.status not in ASKING or now > closes_at:
        raise SurveyClosed(closes_at=closes_at)
    found = await session.get(SurveyAnswer, (event_id, member_id))
    if found is not None:
        found.score, found.comment, found.answered_at = body.score, body.comment, now
        await session.flush()
        return Given(found, 0)
    made = SurveyAnswer(event_id=event_id, member_id=member_id, answered_at=now, **body.model_dump())
    session.add(made)
    await session.flush()
    return Given(made, await _award(session, event, made, actor_subject, now))


async def _award(session: AsyncSession, event: ClubEvent, answer: SurveyAnswer, by: str, now: datetime) -> int:
    # rules look at the member's chapter and history, beyond what a member reads
    await unrestricted(session)
    document = f"event_survey:{event.id}:{answer.member_id}"
    fields = {"survey": "club_event", "answers": 1 + bool(answer.comment), "score": answer.score}
    told = awards.Event(
        Trigger.SURVEY_ANSWERED, document, answer.member_id, event.dealer_code, china_date(now), fields
    )  # fmt: skip
    return (await awards.award(await raw(session), told, Request(by, document, now))).points


async def of_member(session: AsyncSession, member_id: UUID, event_id: UUID) -> SurveyAnswer:
    """What a member said.

    Raises:
        NotFound: nothing yet.
    """
    found = await session.get(SurveyAnswer, (event_id, member_id))
    if found is None:
        raise NotFound("survey")
    return found


async def figures(session: AsyncSession, event_id: UUID) -> SurveyFigures:
    """What those who came thought, and their latest comments without their names."""
    query = select(col(SurveyAnswer.score), func.count()).where(col(SurveyAnswer.event_id) == event_id)
    counts = dict((await session.execute(query.group_by(col(SurveyAnswer.score)))).all())
    by_score = [counts.get(score, 0) for score in range(11)]
    return SurveyFigures(
        asked=(await attendance.attendance(session, event_id)).attended, answers=sum(by_score), by_score=by_score,
        mean=mean(by_score), balance=balance(by_score), comments=await _comments(session, event_id),
    )  # fmt: skip


def mean(by_score: Sequence[int]) -> float | None:
    """The mean score, to a hundredth; None without an answer."""
    answers = sum(by_score)
    return round(sum(score * count for score, count in enumerate(by_score)) / answers, 2) if answers else None


def balance(by_score: Sequence[int]) -> int | None:
    """Promoters (9, 10) less detractors (0 to 6), in percent of all; None without an answer."""
    answers = sum(by_score)
    return round(100 * (sum(by_score[9:]) - sum(by_score[:7])) / answers) if answers else None


async def _comments(session: AsyncSession, event_id: UUID) -> list[SurveyComment]:
    query = (
        select(SurveyAnswer)
        .where(col(SurveyAnswer.event_id) == event_id, col(SurveyAnswer.comment).is_not(None))
        .order_by(col(SurveyAnswer.answered_at).desc(), col(SurveyAnswer.member_id))
        .limit(_LATEST)
    )
    return [
        SurveyComment(score=one.score, comment=one.comment or "", on=china_date(one.answered_at))
        for one in await session.scalars(query)
    ]
