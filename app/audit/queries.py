"""Reads of the trail."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.audit.models import Action, AuditEvent

Position = tuple[datetime, UUID]
"""Where in the list: a deed's time and id."""


class Wanted(NamedTuple):
    """Which deeds; None does not filter. `since` is included, `until` is not."""

    actor: str | None = None
    action: Action | None = None
    target_kind: str | None = None
    target_id: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def events(session: AsyncSession, wanted: Wanted, *, before: Position | None, limit: int) -> Sequence[AuditEvent]:
    """The deeds that match, newest first, from before a position."""
    query = select(AuditEvent).where(*_conditions(wanted))
    if before is not None:
        query = query.where(tuple_(col(AuditEvent.at), col(AuditEvent.id)) < before)
    newest_first = query.order_by(col(AuditEvent.at).desc(), col(AuditEvent.id).desc())
    return (await session.scalars(newest_first.limit(limit))).all()


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    for name in ("actor", "action", "target_kind", "outcome"):
        if (value := getattr(wanted, name)) is not None:
            yield getattr(AuditEvent, name) == value
    if wanted.target_id is not None:
        yield col(AuditEvent.target_ids).contains([wanted.target_id])
    if wanted.since is not None:
        yield col(AuditEvent.at) >= wanted.since
    if wanted.until is not None:
        yield col(AuditEvent.at) < wanted.until
