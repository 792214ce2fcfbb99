"""Column kinds shared by the tables, and the tables of remembered answers and of counters."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, LargeBinary, Text
from sqlmodel import Field, SQLModel

from app.core.db import new_id
from app.core.vault import Sealed

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING


def text_field(**options: Any) -> Any:
    """A text column (PostgreSQL's unlimited text; lengths are checked at the edge)."""
    return Field(sa_type=Text, **options)


def time_field(**options: Any) -> Any:
    """A moment, with time zone."""
    return Field(sa_type=DateTime(timezone=True), **options)


def id_field() -> Any:
    """A UUIDv7 primary key."""
    return Field(default_factory=new_id, primary_key=True)


class IdempotencyRecord(SQLModel, table=True):
    """The first answer to a caller's key, for writes that are not postings (the ledger keeps its own).

    Sealed: it may show personal data, or a secret that is shown once.
    """

    __tablename__ = "idempotency_record"

    caller: str = text_field(primary_key=True)
    key: str = text_field(primary_key=True)
    request_hash: bytes = Field(sa_type=LargeBinary)
    status: int
    body: str = Field(sa_type=Sealed)
    created_at: datetime = time_field(index=True)


class Tally(SQLModel, table=True):
    """How often something happened since the first time of its span; see `tallies`."""

    __tablename__ = "tally"
    __table_args__ = (CheckConstraint("count >= 0", name="count"),)

    key: bytes = Field(sa_type=LargeBinary, primary_key=True)
    count: int
    ends_at: datetime = time_field(index=True)
