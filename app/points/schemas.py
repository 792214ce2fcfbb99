"""A member's points at the edge."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from app.points.ledger import Kind


class ExpiryRead(BaseModel):
    """Points whose last spendable day is `expires_on`."""

    expires_on: date
    points: int
    is_extendable: bool = Field(description="at the earliest: each earning of the member moves the day on")


class WalletRead(BaseModel):
    """A member's points as of today (China)."""

    available: int = Field(description="spendable now")
    pending: int = Field(description="granted, not yet spendable")
    held: int = Field(description="set aside for a purchase under way")
    owed: int = Field(description="to be repaid by the next earnings")
    next_expiries: list[ExpiryRead] = Field(description="the soonest three")


class HistoryEntry(BaseModel):
    """A posting in a member's history, with the balances (points) it left."""

    posting_no: int
    kind: Kind
    points: int
    cause: str
    place: str
    reason: str | None
    booked_on: date
    period: date
    posted_at: datetime
    resolves: int | None = Field(description="the posting this one ends, reverses or refunds")
    available: int
    pending: int
    held: int
    owed: int


class LineRead(BaseModel):
    """One move of points: `from_bucket` loses, `to_bucket` gains. Members are not told the funder."""

    lot_no: int | None
    from_bucket: str
    to_bucket: str
    funder: str | None
    points: int


class HistoryDetail(HistoryEntry):
    """A posting with its lines."""

    lines: list[LineRead]
