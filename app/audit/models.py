"""The table of deeds."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from app.core.models import id_field, text_field, time_field


class Action(StrEnum):
    """What was done, or asked for and refused."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    REFUSED = "refused"
    UNMASKED = "unmasked"
    LOOKED_UP = "looked-up"
    EXPORTED = "exported"
    IMPORTED = "imported"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    TOKEN_ISSUED = "token-issued"  # noqa: S105 (a deed's name)
    KEY_ROTATED = "key-rotated"


class AuditEvent(SQLModel, table=True):
    """One deed. The database refuses to change or remove it.

    `changes` are {field: [before, after]}; null in place of the pair: the field is personal or secret, and its
    values are not kept here. `outcome` is "done", or the type of the problem that refused it.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_at", "at", "id"),
        Index("ix_audit_event_actor", "actor", "at", "id"),
        Index("ix_audit_event_action", "action", "at", "id"),
        Index("ix_audit_event_target_ids", "target_ids", postgresql_using="gin"),
    )

    id: UUID = id_field()
    at: datetime = time_field()
    actor: str | None = text_field(default=None)
    role: str | None = text_field(default=None)
    reach: str | None = text_field(default=None)
    request_id: str | None = text_field(default=None)
    address: str | None = text_field(default=None)
    operation: str | None = text_field(default=None)
    action: Action = text_field()
    target_kind: str | None = text_field(default=None)
    target_ids: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    changes: dict[str, list[Any] | None] = Field(default_factory=dict, sa_type=JSONB)
    outcome: str = text_field(default="done")
