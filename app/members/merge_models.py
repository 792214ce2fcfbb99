"""The table of merges."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field


@audited("merge", personal=("moved",))
class MemberMerge(SQLModel, table=True):
    """Two memberships of one person became one: `into_id` goes on for `from_id`, until that is undone.

    `moved` is what each mover took along, by the mover's name. `points` went along; of them `points_returned`, what
    was left, came back. The trail has the reasons as they were given.
    """

    __tablename__ = "member_merge"
    __table_args__ = (
        Index("uq_member_merge_standing", "from_id", unique=True, postgresql_where=text("undone_at IS NULL")),
        CheckConstraint("from_id <> into_id", name="two"),
        CheckConstraint(
            "(undone_at IS NULL) = (undone_by IS NULL) AND (undone_at IS NULL) = (undone_reason IS NULL)"
            " AND (undone_at IS NULL) = (points_returned IS NULL)",
            name="undone",
        ),
    )

    id: UUID = id_field()
    from_id: UUID = Field(foreign_key="member.id", index=True)
    into_id: UUID = Field(foreign_key="member.id", index=True)
    reason: str = text_field()
    actor: str = text_field()
    at: datetime = time_field()
    points: int = Field(sa_type=BigInteger)
    moved: dict[str, list[Any]] = Field(default_factory=dict, sa_type=JSONB)
    undone_at: datetime | None = time_field(default=None)
    undone_by: str | None = text_field(default=None)
    undone_reason: str | None = text_field(default=None)
    points_returned: int | None = Field(default=None, sa_type=BigInteger)
