"""Filters and segments at the edge."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from app.chapters.schemas import DealerCode
from app.core.catalogue import Language
from app.core.filter_schemas import FilterTree
from app.core.filters import Kind, Op
from app.core.schemas import Input, Name, may_be_left_out
from app.members.consent_rules import Use
from app.members.schemas import MemberRead


class ChoiceRead(BaseModel):
    """One of a field's values."""

    value: str
    label: str


class FieldRead(BaseModel):
    """A field that the caller may filter by."""

    name: str
    kind: Kind
    label: str
    operators: list[Op]
    choices: list[ChoiceRead]


class FieldList(BaseModel):
    """All of them."""

    items: list[FieldRead]


class SegmentCreate(Input):
    """A filter to be saved."""

    name: Name
    filter: FilterTree
    dealer_code: DealerCode | None = Field(
        default=None, description="the chapter whose segment it is; dealer staff may leave it out, null is headquarters"
    )


class SegmentUpdate(Input):
    """What may change on a segment."""

    name: Name = may_be_left_out()
    filter: FilterTree = may_be_left_out()


class SegmentRead(BaseModel):
    """A saved segment. `explanation` says the filter in each language; null when the caller may not see a field of it,
    or a field is gone."""

    id: UUID
    dealer_code: str | None
    name: str
    filter: dict[str, Any]
    explanation: dict[Language, str] | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    version: int


class Preview(Input):
    """A filter to be tried."""

    filter: FilterTree
    use: Use | None = Field(default=None, description="only those who may be chosen for it, by their consent")


class PreviewRead(BaseModel):
    """Whom a filter chooses: how many, and the first page."""

    count: int
    explanation: dict[Language, str]
    items: list[MemberRead]
    next_cursor: str | None
