"""The trail over HTTP, to read and to search; it is written by what happens."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import TypeAdapter

from app.audit import queries
from app.audit.models import Action, AuditEvent
from app.audit.queries import Position, Wanted
from app.audit.schemas import AuditEventRead
from app.core.actors import Actor, Right
from app.core.http import GUARDED, Cursor, Limit, Requires, Session
from app.core.paging import Page, decode_cursor, paged
from app.core.problems import InvalidPayload
from app.core.schemas import Moment

router = APIRouter(tags=["audit"], responses=GUARDED)

Auditor = Annotated[Actor, Depends(Requires(Right.AUDIT_READ))]
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
Filter = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")]


@router.get("/audit-events", response_model=Page[AuditEventRead])
async def audit_events_list(
    _: Auditor,
    session: Session,
    actor: Filter = None,
    action: Action | None = None,
    target_kind: Filter = None,
    target_id: Filter = None,
    outcome: Filter = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, object]:
    """Deeds and refusals, newest first; `since` is included, `until` is not."""
    wanted = Wanted(actor, action, target_kind, target_id, outcome, since, until)
    found = await queries.events(session, wanted, before=_before(cursor), limit=limit + 1)
    return paged(found, limit, _position)


def _position(deed: AuditEvent) -> tuple[str, str]:
    return deed.at.isoformat(), str(deed.id)


def _before(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    at, last = decode_cursor(cursor, str, str)
    try:
        return _MOMENT.validate_python(str(at)), UUID(str(last))
    except ValueError:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid") from None
