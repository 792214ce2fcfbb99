"""What events tell of a member's timeline: what it was told."""

from uuid import UUID

from sqlalchemy import SelectBase
from sqlmodel import col

from app.core.actors import Actor, Right
from app.core.timeline import Source, happening
from app.events.models import ClubEvent, EventNotice
from app.events.rules import NoticeKind


def _notices(member_id: UUID) -> SelectBase:
    notice = EventNotice
    facts = {"title": col(ClubEvent.title), "reason": col(notice.reason)}
    told = happening(at=col(notice.at), id=col(notice.id), kind=col(notice.kind), facts=facts)
    return told.join(ClubEvent, col(ClubEvent.id) == col(notice.event_id)).where(col(notice.member_id) == member_id)


def _reader(actor: Actor) -> bool:
    return actor.may(Right.EVENTS_READ) or actor.may(Right.OWN_CARD)


SOURCES = (Source("event_notice", tuple(NoticeKind), _notices, _reader),)
