"""Whole phone numbers shown to others: gathered while an answer is made, recorded by the commit before it is sent."""

from contextvars import ContextVar
from typing import NamedTuple

from sqlalchemy import event, insert
from sqlalchemy.orm import Session

from app.audit import service
from app.audit.models import Action, AuditEvent
from app.core.origin import Origin, origin


class _Shown(NamedTuple):
    source: Origin
    ids: dict[str, list[str]]


_shown: ContextVar[_Shown | None] = ContextVar("shown", default=None)


def note(kind: str, target_id: object) -> None:
    """The answer under way shows the whole number of this record."""
    shown = _shown.get()
    if shown is None or shown.source is not origin.get():
        shown = _Shown(origin.get(), {})
        _shown.set(shown)
    shown.ids.setdefault(kind, []).append(str(target_id))


@event.listens_for(Session, "before_commit")
def _record(session: Session) -> None:
    shown = _shown.get()
    # what an earlier request showed and did not commit was not answered
    if shown is None or shown.source is not origin.get() or not shown.ids:
        return
    deeds = [service.event(Action.UNMASKED, kind, ids) for kind, ids in shown.ids.items()]
    shown.ids.clear()
    session.connection().execute(insert(AuditEvent), deeds)
