"""Check-in at the edge."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.core.schemas import Input, Line, Reason
from app.events.schemas import Moment

MOST_SCANS = 2_000
Nonce = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{8,64}$"), Field(description="new for each scan")]
Device = Annotated[Line, StringConstraints(max_length=60)]
Ticket = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class Scan(Input):
    """Who came: by the ticket's code, the number of the member's card, or chosen from the list."""

    nonce: Nonce
    ticket: Ticket | None = None
    member_no: Annotated[str, StringConstraints(pattern=r"^[0-9]{10}$")] | None = None
    registration_id: UUID | None = None

    @model_validator(mode="after")
    def _by_one(self) -> Self:
        if sum(one is not None for one in (self.ticket, self.member_no, self.registration_id)) != 1:
            raise PydanticCustomError("one_of_three", "one of ticket, member_no and registration_id")
        return self


class CheckInCreate(Scan):
    """A scan now."""

    device: Device | None = None


class OfflineScan(Scan):
    """A scan that was made without a network."""

    at: Moment


class UploadCreate(Input):
    """What a scanner did by a list: `token` is the list's."""

    token: Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")]
    device: Device
    scans: Annotated[list[OfflineScan], Field(min_length=1, max_length=MOST_SCANS)]


class CheckInRead(BaseModel):
    """The first scan of a registration that counts. `is_first`: this request made it, or a retry of it did."""

    id: UUID
    registration_id: UUID
    member_id: UUID
    party: int
    is_first: bool
    at: datetime
    by: str
    device: str | None
    points: int | None


class UndoCreate(Input):
    """Why a check-in was a mistake."""

    reason: Reason


class ScanOutcome(StrEnum):
    """What became of an uploaded scan; all but the first two are for a person to look at."""

    CHECKED_IN = "checked_in"
    REPEATED = "repeated"
    ALREADY = "already"
    REFUSED = "refused"


class ScanRead(BaseModel):
    """What became of one scan. `already`: another scan counts, made `first_at` by `first_by`; `problem`: a type."""

    nonce: str
    outcome: ScanOutcome
    registration_id: UUID | None = None
    first_at: datetime | None = None
    first_by: str | None = None
    problem: str | None = None


class UploadRead(BaseModel):
    """What became of each scan, in the order sent."""

    items: list[ScanRead]


class ListEntry(BaseModel):
    """A seated party; a scanner knows its ticket by the SHA-256 of the code."""

    registration_id: UUID
    ticket_sha256: str
    member_no: str
    name: str | None
    party: int
    checked_in_at: datetime | None


class OfflineList(BaseModel):
    """Whom to expect, for scanners without a network; `token` seals it and goes with the upload."""

    event_id: UUID
    issued_at: datetime
    token: str
    entries: list[ListEntry]


class TicketRead(BaseModel):
    """A member's ticket: the QR code says `code`."""

    event_id: UUID
    registration_id: UUID
    party: int
    code: str
