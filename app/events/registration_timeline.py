"""What registrations tell of a member's timeline: for what it registered, what became of it, and where it came."""

from typing import Any
from uuid import UUID

from sqlalchemy import SelectBase, SQLColumnExpression, func, literal, union_all
from sqlmodel import col

from app.core.actors import Actor, Right
from app.core.timeline import Source, happening
from app.events.models import ClubEvent
from app.events.registration_models import CheckIn, Registration


def _turns(member_id: UUID) -> SelectBase:
    one = Registration

    def turn(kind: SQLColumnExpression[Any], at: SQLColumnExpression[Any], by: SQLColumnExpression[Any]) -> Any:
        told = happening(
            at=at, id=func.concat(col(one.id), ":", kind), kind=kind, by=by,
            facts={"title": col(ClubEvent.title), "party": col(one.party), "reason": col(one.reason)},
        )  # fmt: skip
        of_event = told.join(ClubEvent, col(ClubEvent.id) == col(one.event_id))
        return of_event.where(col(one.member_id) == member_id, at.is_not(None))

    came = turn(literal("attended"), col(CheckIn.at), col(CheckIn.by))
    return union_all(
        turn(literal("registered"), col(one.registered_at), col(one.registered_by)),
        turn(col(one.status), col(one.ended_at), col(one.ended_by)),
        came.join(CheckIn, col(CheckIn.registration_id) == col(one.id)).where(col(CheckIn.undone_at).is_(None)),
    )


def _reader(actor: Actor) -> bool:
    return actor.may(Right.EVENTS_READ) or actor.may(Right.OWN_CARD)


SOURCES = (Source("registration", ("registered", "cancelled", "lapsed", "attended"), _turns, _reader),)
"""The words of each kind are the catalogue's, `timeline.registration.<kind>`."""
