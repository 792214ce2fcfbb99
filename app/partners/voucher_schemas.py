"""Vouchers at the edge: as their members see them, as staff do, and as a partner's till does."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from app.core.schemas import BusinessDate, Input, Line
from app.partners.perk_schemas import Handed
from app.partners.rules import Usability, VoucherStatus

VoucherCode = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^[0-9A-Za-z]{4}-[0-9A-Za-z]{4}-[0-9A-Za-z]{4}$"),
    Field(examples=["7Q2M-9KXD-R4TC"]),
]


class VoucherClaim(Input):
    """The perk that a member wants."""

    perk_id: UUID


class VoucherReturn(Input):
    """Giving a voucher back needs no words."""


class VoucherRead(BaseModel):
    """A voucher as staff of the member's chapter see it."""

    id: UUID
    perk_id: UUID
    perk: str
    partner_code: str
    member_id: UUID
    dealer_code: str | None
    status: VoucherStatus
    points: int
    value_fen: int
    claimed_at: datetime
    expires_on: date
    used_on: date | None
    ended_at: datetime | None


class OwnVoucher(VoucherRead):
    """A voucher as its member sees it, with the code to show."""

    code: str


class VoucherCheck(Input):
    """The code that somebody shows at a partner's till."""

    code: VoucherCode


class VoucherUse(VoucherCheck):
    """The perk was given for this code, today."""


class VoucherSeen(BaseModel):
    """What a partner's till sees of a voucher. Of the member, only what the member agreed to hand over."""

    voucher_id: UUID
    perk: str
    terms: str | None
    state: Usability
    expires_on: date
    used_on: date | None
    member: dict[Handed, str] = Field(description="empty unless the perk needs it and the member agreed")


class OfflineVoucher(BaseModel):
    """A voucher for a till without a connection: it knows a code only by its digest."""

    digest: str = Field(description="SHA-256 of the code as it is written, hexadecimal")
    perk_id: UUID
    first_day: date
    expires_on: date


class OfflinePerk(BaseModel):
    """What the vouchers of the list are good for, and when they are not."""

    id: UUID
    name: str
    terms: str | None
    blackout: list[date]


class OfflineList(BaseModel):
    """What a till needs to judge vouchers for some days by itself; `token` seals it and goes with the report."""

    made_at: datetime
    good_until: date = Field(description="the last day on which a till may work by it")
    token: str
    perks: list[OfflinePerk]
    vouchers: list[OfflineVoucher]


class OfflineUse(Input):
    """A use that a till noted while it was offline."""

    code: VoucherCode
    used_on: BusinessDate
    note: Annotated[Line, Field(max_length=100)] | None = Field(default=None, description="comes back in the answer")


class OfflineUses(Input):
    """What a till noted while it was offline; `token` is of the list that it worked by."""

    token: Annotated[str, StringConstraints(max_length=1_000)]
    uses: Annotated[list[OfflineUse], Field(min_length=1, max_length=1_000)]


class OfflineOutcome(BaseModel):
    """What became of one line: `state` is `good` for what is on record now, else why it is a conflict."""

    code: str
    state: str = Field(
        description="good, or used, returned, expired, too_early, blacked_out, unknown, in_the_future, list_over"
    )
    used_on: date | None = Field(description="of what is on record")
    note: str | None


class OfflineOutcomes(BaseModel):
    """What became of each line, in their order."""

    items: list[OfflineOutcome]
    conflicts: int
