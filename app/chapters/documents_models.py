"""Tables of the documents (policies) that headquarters gives to the chapters."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field


@audited("document")
class Document(SQLModel, table=True):
    """A document for all chapters; `latest` is the number of its newest version, 0 while there is none."""

    __tablename__ = "document"
    __table_args__ = (CheckConstraint("latest >= 0", name="latest"),)

    id: UUID = id_field()
    title: str = text_field()
    summary: str | None = text_field(default=None)
    is_published: bool = True
    latest: int = 0
    version: int = 1


@audited("document_version", secret=("content", "sha256"))
class DocumentVersion(SQLModel, table=True):
    """One version of a document, written once."""

    __tablename__ = "document_version"
    __table_args__ = (CheckConstraint("number > 0", name="number"),)

    document_id: UUID = Field(foreign_key="document.id", primary_key=True)
    number: int = Field(primary_key=True)
    media_type: str = text_field()
    size: int
    sha256: bytes = Field(sa_type=LargeBinary)
    content: bytes = Field(sa_type=LargeBinary)
    uploaded_by: str = text_field()
    uploaded_at: datetime = time_field()


class DocumentReading(SQLModel, table=True):
    """Somebody downloaded a version; `place` is the reader's dealer, or HQ."""

    __tablename__ = "document_reading"
    __table_args__ = (
        Index("ix_document_reading_document", "document_id", "id"),
        ForeignKeyConstraint(
            ["document_id", "number"], ["document_version.document_id", "document_version.number"],
            name="fk_document_reading_version",
        ),
    )  # fmt: skip

    id: UUID = id_field()
    document_id: UUID
    number: int
    reader: str = text_field()
    place: str = text_field()
    at: datetime = time_field()
