"""Tables of repair orders and their imports."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from app.core.models import id_field, text_field, time_field


class RepairOrder(SQLModel, table=True):
    """A closed workshop order as the dealer's system sent it; (dealer_code, order_no) names the document.

    A corrected order, after its earning was reversed, is the next revision. `points` are what it earned by itself;
    `rule_no` is the version of the one rule that gave them from nothing but this row (else the awards tell).
    """

    __tablename__ = "repair_order"
    __table_args__ = (
        CheckConstraint("kind IN ('maintenance', 'repair')", name="kind"),
        CheckConstraint(
            "labour_fen >= 0 AND parts_fen >= 0 AND paid_fen BETWEEN 0 AND labour_fen + parts_fen",
            name="amounts",
        ),
        Index("ix_repair_order_visits", "member_id", "business_date"),
        Index(
            "ix_repair_order_corrections", "dealer_code", "order_no", "revision", postgresql_where=text("revision > 1")
        ),
    )

    dealer_code: str = text_field(primary_key=True)
    order_no: str = text_field(primary_key=True)
    revision: int = Field(primary_key=True)
    vin: str = text_field()
    member_id: UUID | None = None
    closed_at: datetime = time_field()
    business_date: date
    kind: str = text_field()
    labour_fen: int = Field(sa_type=BigInteger)
    parts_fen: int = Field(sa_type=BigInteger)
    paid_fen: int = Field(sa_type=BigInteger)
    points: int = Field(sa_type=BigInteger)
    rule_no: int | None = None
    received_at: datetime = time_field()
    cancelled_at: datetime | None = time_field(default=None)


class ImportJob(SQLModel, table=True):
    """An upload on its way into the books; counts rise as it goes (read = posted + already_known + refused);
    `line` is the last one dealt with, where a job goes on after a crash."""

    __tablename__ = "import_job"
    __table_args__ = (CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="status"),)

    id: UUID = id_field()
    owner: str = text_field(index=True)
    dealer_code: str | None = text_field(default=None)
    only_dealers: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    """Whose orders may be in the file; None: everybody's."""
    kind: str = text_field(default="orders")
    format: str = text_field()
    dry_run: bool = False
    status: str = text_field(default="queued")
    fault: str | None = text_field(default=None)
    bytes: int = Field(sa_type=BigInteger)
    line: int = Field(default=0, sa_type=BigInteger)
    read: int = 0
    posted: int = 0
    already_known: int = 0
    refused: int = 0
    points: int = Field(default=0, sa_type=BigInteger)
    parked: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = time_field()
    finished_at: datetime | None = time_field(default=None)


class ImportChunk(SQLModel, table=True):
    """A piece of an upload, kept until its job is done."""

    __tablename__ = "import_chunk"

    job_id: UUID = Field(primary_key=True, foreign_key="import_job.id")
    seq: int = Field(primary_key=True)
    content: bytes = Field(sa_type=LargeBinary)


class ImportRejection(SQLModel, table=True):
    """A refused row: its line in the file, why, and the row as it came."""

    __tablename__ = "import_rejection"

    job_id: UUID = Field(primary_key=True, foreign_key="import_job.id")
    line: int = Field(primary_key=True, sa_type=BigInteger)
    reason: str = text_field()
    row: str = text_field()
