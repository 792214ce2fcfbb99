"""What schemas at the edge share: strict input, tame text, fields that may be left out."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of text, trimmed, without control characters (PostgreSQL stores no NUL)."""

Name = Annotated[Line, StringConstraints(max_length=100)]
Reason = Annotated[Line, StringConstraints(max_length=500)]


BusinessDate = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2199, 12, 31))]
"""A China date within reason (the far ends of the calendar mean infinity to PostgreSQL's driver)."""


class Input(BaseModel):
    """A request body: unknown fields are faults."""

    model_config = ConfigDict(extra="forbid")


def may_be_left_out() -> Any:
    """A field of a partial update: not nullable, may be missing; read it by `exclude_unset` only."""
    return Field(default_factory=_nothing)


def _nothing() -> None:
    return None
