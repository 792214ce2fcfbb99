"""Tables of events that somebody wins: results, draws with their committed seed, lots of an auction and their bids."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.events.contest_rules import BidStatus, Entrants, LotStatus


@audited("event_result")
class EventResult(SQLModel, table=True):
    """A member's place in a contest or a draw, and the prize; written once.

    A prize in points is taken from a budget line (`line_id`), whose payer funds it; it was posted to `wallet_id` as
    `posting_no`.
    """

    __tablename__ = "event_result"
    __table_args__ = (
        CheckConstraint("rank > 0", name="rank"),
        CheckConstraint("points >= 0 AND (points > 0) = (line_id IS NOT NULL)", name="points"),
        CheckConstraint("(wallet_id IS NULL) = (posting_no IS NULL)", name="posting"),
        UniqueConstraint("event_id", "member_id"),
        Index("ix_event_result_member_id", "member_id"),
    )

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id")
    member_id: UUID = Field(foreign_key="member.id")
    rank: int
    prize: str | None = text_field(default=None)
    points: int
    line_id: UUID | None = Field(default=None, foreign_key="event_budget_line.id")
    wallet_id: UUID | None = None
    posting_no: int | None = Field(default=None, sa_type=BigInteger)
    by: str = text_field()
    at: datetime = time_field()


@audited("event_draw", secret=("seed", "commitment"))
class EventDraw(SQLModel, table=True):
    """A draw: its seed is made beforehand and only its hash told (`commitment`), until it is drawn.

    `prizes` are `contest_schemas.Prize`s. `public_value` is something nobody here could know when the seed was made;
    `entries` are who took part, in the order drawn.
    """

    __tablename__ = "event_draw"
    __table_args__ = (
        CheckConstraint("entrants IN ('registered', 'attended')", name="entrants"),
        CheckConstraint(
            "(drawn_at IS NULL) = (entries IS NULL) AND (drawn_at IS NULL) = (public_value IS NULL)", name="drawn"
        ),
    )

    event_id: UUID = Field(foreign_key="club_event.id", primary_key=True)
    seed: bytes = Field(sa_type=LargeBinary)
    commitment: bytes = Field(sa_type=LargeBinary)
    entrants: Entrants = text_field()
    prizes: list[dict[str, Any]] = Field(sa_type=JSONB)
    prepared_by: str = text_field()
    prepared_at: datetime = time_field()
    public_value: str | None = text_field(default=None)
    entries: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    drawn_by: str | None = text_field(default=None)
    drawn_at: datetime | None = time_field(default=None)


@audited("auction_lot")
class AuctionLot(SQLModel, table=True):
    """Something that who bids most points for it gets; bids are taken until `closes_at`."""

    __tablename__ = "auction_lot"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'sold', 'unsold', 'cancelled')", name="status"),
        CheckConstraint("start_points > 0 AND step_points > 0", name="points"),
        Index("ix_auction_lot_due", "closes_at", postgresql_where=text("status = 'open'")),
    )

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id", index=True)
    name: str = text_field()
    start_points: int
    step_points: int
    closes_at: datetime = time_field()
    status: LotStatus = text_field(default=LotStatus.OPEN)


class AuctionBid(SQLModel, table=True):
    """A member's bid on a lot, held in the ledger while it leads; `capture_no` is the posting that spent it.

    `wallet_id` is the member whose points they were, whoever it is after a merge.
    """

    __tablename__ = "auction_bid"
    __table_args__ = (
        CheckConstraint("status IN ('leading', 'outbid', 'won', 'released')", name="status"),
        CheckConstraint("(status = 'won') = (capture_no IS NOT NULL)", name="won"),
        CheckConstraint("points > 0", name="points"),
        Index("ix_auction_bid_lot", "lot_id", "id"),
        Index("ix_auction_bid_member_id", "member_id"),
        Index("ix_auction_bid_wallet", "wallet_id"),
        Index("uq_auction_bid_best", "lot_id", unique=True, postgresql_where=text("status IN ('leading', 'won')")),
    )

    id: UUID = id_field()
    lot_id: UUID = Field(foreign_key="auction_lot.id")
    member_id: UUID = Field(foreign_key="member.id")
    wallet_id: UUID
    points: int
    at: datetime = time_field()
    hold_no: int = Field(sa_type=BigInteger)
    status: BidStatus = text_field(default=BidStatus.LEADING)
    capture_no: int | None = Field(default=None, sa_type=BigInteger)
