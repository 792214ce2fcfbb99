"""What members said of events, on their timeline; that they were invited or won is among what they were told."""

from typing import Any
from uuid import UUID

from sqlalchemy import SelectBase, func, literal, union_all
from sqlmodel import col

from app.core.actors import Actor, Right
from app.core.timeline import Source, happening
from app.events.gathering_models import Invitation, SurveyAnswer
from app.events.gathering_rules import Answer
from app.events.models import ClubEvent


def _said(member_id: UUID) -> SelectBase:
    facts: dict[str, Any] = {"title": col(ClubEvent.title)}
    answered = happening(
        at=col(Invitation.answered_at), id=func.concat(col(Invitation.event_id), ":answer"),
        kind=col(Invitation.answer), facts=facts,
    )  # fmt: skip
    answered = answered.join(ClubEvent, col(ClubEvent.id) == col(Invitation.event_id))
    judged = happening(
        at=col(SurveyAnswer.answered_at), id=func.concat(col(SurveyAnswer.event_id), ":survey"),
        kind=literal("judged"), facts=facts | {"score": col(SurveyAnswer.score)},
    )  # fmt: skip
    judged = judged.join(ClubEvent, col(ClubEvent.id) == col(SurveyAnswer.event_id))
    return union_all(
        answered.where(col(Invitation.member_id) == member_id, col(Invitation.answer).is_not(None)),
        judged.where(col(SurveyAnswer.member_id) == member_id),
    )


def _reader(actor: Actor) -> bool:
    return actor.may(Right.EVENTS_READ) or actor.may(Right.OWN_CARD)


SOURCES = (Source("event_answer", (*Answer, "judged"), _said, _reader),)
