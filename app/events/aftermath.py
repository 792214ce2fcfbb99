"""What an event came to: who came and what it cost, and a summary written from that, to be edited."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text as text_of
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.catalogue import Language, text, yuan
from app.core.clock import CHINA
from app.core.db import unrestricted
from app.events import comparison, invitations, queries, surveys
from app.events.attendance import Attendance, attendance
from app.events.comparison import Comparison
from app.events.gathering_rules import Mean, per_head
from app.events.gathering_schemas import DraftRead, InvitationSummary, OutcomeRead, SurveyFigures
from app.events.models import ClubEvent, EventBudgetLine
from app.events.rules import LineKind


class Findings(NamedTuple):
    """All that the data tell of an event."""

    event: ClubEvent
    outcome: OutcomeRead
    invited: InvitationSummary
    survey: SurveyFigures
    comparison: Comparison


async def outcome(session: AsyncSession, actor: Actor, event_id: UUID) -> OutcomeRead:
    """Who came, and what it cost.

    Raises:
        NotFound, Forbidden.
    """
    event = await invitations.run_by(session, actor, event_id)
    return await _outcome(session, event)


async def _outcome(session: AsyncSession, event: ClubEvent) -> OutcomeRead:
    came: Attendance = await attendance(session, event.id)
    lines = [line for line in await queries.lines(session, event.id) if line.kind == LineKind.MONEY]
    is_reported = any(line.actual is not None for line in lines)
    cost = sum(map(_cost, lines))
    return OutcomeRead(
        **came._asdict(), no_shows=came.registered - came.attended, cost_fen=cost, is_reported=is_reported,
        cost_per_person_fen=per_head(cost, came.persons), points_awarded=await _points(session, event.id),
    )  # fmt: skip


_POINTS = text_of("""
SELECT coalesce(sum(points), 0)::bigint FROM (
  SELECT points FROM award
   WHERE reversed_at IS NULL AND document IN (
     SELECT 'event_attended:' || id FROM registration WHERE event_id = :event
     UNION ALL SELECT 'event_survey:' || event_id || ':' || member_id FROM survey_answer WHERE event_id = :event)
  UNION ALL SELECT points FROM event_result WHERE event_id = :event) given""")


async def _points(session: AsyncSession, event_id: UUID) -> int:
    """Points that members have of an event; from then on the session reads those of all chapters' members."""
    await unrestricted(session)
    return int(await session.scalar(_POINTS, {"event": event_id}) or 0)


def _cost(line: EventBudgetLine) -> int:
    return (line.granted or 0) if line.actual is None else line.actual


async def findings(session: AsyncSession, actor: Actor, event_id: UUID, *, now: datetime) -> Findings:
    """All that the data tell of an event.

    Raises:
        NotFound, Forbidden.
    """
    event = await invitations.run_by(session, actor, event_id)
    invited, survey = await invitations.summed(session, event_id), await surveys.figures(session, event_id)
    compared = await comparison.compare(session, actor, event_id, now=now)
    return Findings(event, await _outcome(session, event), invited, survey, compared)


async def draft(session: AsyncSession, actor: Actor, event_id: UUID, *, language: Language, now: datetime) -> DraftRead:
    """A report's summary in words, from the data; paragraphs of which there are no data are left out.

    Raises:
        NotFound, Forbidden.
    """
    found = await findings(session, actor, event_id, now=now)
    return DraftRead(guests=found.outcome.persons, summary=in_words(found, language))


def in_words(found: Findings, language: Language) -> str:
    """What the data tell, a paragraph a matter."""
    said = [text(language, "event_draft.course", _course(found))]
    if found.invited.invited:
        said.append(text(language, "event_draft.invited", dict(found.invited)))
    if found.outcome.cost_per_person_fen is not None:
        said.append(text(language, "event_draft.cost", _cost_words(found)))
    if found.survey.answers:
        said.append(text(language, "event_draft.survey", dict(found.survey)))
    if found.comparison.came.members:
        said.append(text(language, "event_draft.comparison", _comparison_words(found.comparison)))
    return "\n".join(said)


def _course(found: Findings) -> dict[str, object]:
    event = found.event
    on = f"{event.starts_at.astimezone(CHINA):%Y-%m-%d}"
    return dict(found.outcome) | {"title": event.title, "place": event.place, "on": on}


def _cost_words(found: Findings) -> dict[str, object]:
    assert found.outcome.cost_per_person_fen is not None
    return {"cost": yuan(found.outcome.cost_fen), "each": yuan(found.outcome.cost_per_person_fen)}


def _comparison_words(found: Comparison) -> dict[str, object]:
    return {
        "days": comparison.DAYS, "until": found.until, "members": found.came.members,
        "came": percent(found.came), "absent": percent(found.absent),
    }  # fmt: skip


def percent(group: Mean) -> str:
    """How many in a hundred came to the workshop."""
    return f"{100 * group.visitors / group.members:.0f} %" if group.members else "-"
