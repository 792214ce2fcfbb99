"""The table of saved segments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field


# a filter may name a person or a car
@audited("segment", personal=("filter",), untold=("updated_at",))
class Segment(SQLModel, table=True):
    """Members chosen by a filter, saved under a name, by a chapter (`dealer_code`) or headquarters (null).

    The filter is kept as it was written, and chooses anew each time it is asked.
    """

    __tablename__ = "segment"
    __table_args__ = (UniqueConstraint("dealer_code", "name", postgresql_nulls_not_distinct=True),)

    id: UUID = id_field()
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    name: str = text_field()
    filter: dict[str, Any] = Field(sa_type=JSONB)
    created_by: str = text_field()
    created_at: datetime = time_field()
    updated_at: datetime = time_field()
    version: int = 1
