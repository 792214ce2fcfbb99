"""What became of an uploaded file of members, at the edge."""

from pydantic import BaseModel, Field

from app.core.catalogue import Language
from app.core.tabular import Report
from app.members.imports import Taken


class RowFault(BaseModel):
    """One fault of one row."""

    line: int = Field(description="the row's number in the file; the header is line 1")
    column: str | None = Field(description="null: the row as a whole")
    value: str = Field(description="as it was sent")
    code: str = Field(examples=["phone_format"])
    fault: str = Field(description="what is wrong")
    right: str = Field(description="what would be right")


class MemberImportRead(Report):
    """read = posted + already_known + refused; of a dry run what they would be. Every fault of every refused row."""

    dry_run: bool
    faults: list[RowFault]


def import_read(taken: Taken, language: Language, *, dry_run: bool) -> MemberImportRead:
    """What became of a file, in a language."""
    faults = [
        RowFault(
            line=refused.row.line, column=fault.column or None, value=fault.value[:1_000], code=fault.code,
            fault=fault.said(language), right=fault.right(language),
        )
        for refused in taken.refused
        for fault in refused.faults
    ]  # fmt: skip
    return MemberImportRead(**taken.report.model_dump(), dry_run=dry_run, faults=faults)
