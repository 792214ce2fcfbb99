"""What schemas at the edge share: strict input, tame text, fields that may be left out."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticKnownError

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of text, trimmed, without control characters (PostgreSQL stores no NUL)."""

Name = Annotated[Line, StringConstraints(max_length=100)]
Reason = Annotated[Line, StringConstraints(max_length=500)]


BusinessDate = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2199, 12, 31))]
"""A China date within reason (the far ends of the calendar mean infinity to PostgreSQL's driver)."""

Moment = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2199, 12, 31, tzinfo=UTC))]
"""A time with offset within reason (the far ends of the calendar have no offset to UTC)."""


PartnerCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_-]{2,32}$"), Field(examples=["HOTEL-01"])]
"""A partner's or an agency's code; where it is read, its form alone is checked."""


MONTH_PATTERN = r"^2[0-9]{3}-(0[1-9]|1[0-2])$"


def _month(value: Any) -> Any:
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(MONTH_PATTERN, value):
        raise PydanticKnownError("string_pattern_mismatch", {"pattern": MONTH_PATTERN})
    return date.fromisoformat(f"{value}-01")


Month = Annotated[
    date,
    BeforeValidator(_month),
    PlainSerializer(lambda month: f"{month:%Y-%m}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": MONTH_PATTERN, "examples": ["2026-10"]}),
]
"""A month (a settlement period, say): inside, its first day."""


class Input(BaseModel):
    """A request body: unknown fields are faults."""

    model_config = ConfigDict(extra="forbid")


def may_be_left_out() -> Any:
    """A field of a partial update: not nullable, may be missing; read it by `exclude_unset` only."""
    return Field(default_factory=_nothing)


def _nothing() -> None:
    return None
