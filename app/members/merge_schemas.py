"""Merges at the edge."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from app.core.schemas import Input, Reason
from app.members.merge_models import MemberMerge


class MergeCreate(Input):
    """Two memberships are one person's."""

    from_id: UUID = Field(description="the member who ends")
    into_id: UUID = Field(description="the member who goes on for both: number, name, phone and chapter are its own")
    reason: Reason


class MergeUndo(Input):
    """Why they are two after all."""

    reason: Reason


class MergeRead(BaseModel):
    """A merge, and whether it was undone."""

    id: UUID
    from_id: UUID
    into_id: UUID
    reason: str
    actor: str
    at: datetime
    points: int = Field(description="points that went along, pending ones among them")
    moved: dict[str, int] = Field(description="how much went along besides, such as `vehicles`")
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None
    points_returned: int | None = Field(description="points that came back: what was left of those that went along")


def merge_read(merge: MemberMerge) -> MergeRead:
    """A merge as all who see it may read it."""
    moved = {name: len(what) for name, what in merge.moved.items()}
    return MergeRead.model_validate(merge.model_dump() | {"moved": moved})
