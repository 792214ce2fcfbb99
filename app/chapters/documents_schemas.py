"""Documents at the edge."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from app.core.schemas import Input, Name, Reason, may_be_left_out


class DocumentCreate(Input):
    """A document; chapters see it with its first version."""

    title: Name
    summary: Reason | None = None


class DocumentUpdate(Input):
    """What may change of a document; what is left out stays."""

    title: Name = may_be_left_out()
    summary: Reason | None = None
    is_published: bool = may_be_left_out()


class DocumentRead(BaseModel):
    """A document; `latest` is the number of its newest version, 0 while there is none."""

    id: UUID
    title: str
    summary: str | None
    is_published: bool
    latest: int
    version: int


class DocumentVersionRead(BaseModel):
    """One version of a document; `size` in bytes."""

    number: int
    media_type: str
    size: int
    uploaded_by: str
    uploaded_at: datetime


class DocumentVersionList(BaseModel):
    """All versions, newest first."""

    items: list[DocumentVersionRead]


class ReadingRead(BaseModel):
    """Somebody downloaded a version; `place` is the reader's dealer, or HQ."""

    id: UUID
    number: int
    reader: str
    place: str
    at: datetime
