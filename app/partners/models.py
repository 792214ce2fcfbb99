"""Tables of partners, what they paid ahead, their perks, and the vouchers that carry them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Date, Index, Numeric, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.partners.rules import Category, PerkClaimStatus, VoucherStatus


@audited("agency", personal=("contact",))
class Agency(SQLModel, table=True):
    """A company that finds and manages partners, and is paid from the proceeds."""

    __tablename__ = "agency"

    code: str = text_field(primary_key=True)
    name: str = text_field()
    contact: str | None = text_field(default=None)
    version: int = 1


@audited("partner")
class Partner(SQLModel, table=True):
    """Who gives members perks: national (`dealer_code` null), or found by one chapter for its own members.

    `agency_percent` is the agency's share of what the partner brings. Who pays for points ahead (`is_prepaid`) gives
    none beyond its blocks less `reserve_points`; at `low_points` left a warning is shown.
    """

    __tablename__ = "partner"
    __table_args__ = (
        CheckConstraint(
            "category IN ('hotel', 'restaurant', 'winery', 'beauty', 'insurance', 'travel', 'retail', 'health',"
            " 'education', 'entertainment', 'finance', 'other')",
            name="category",
        ),
        CheckConstraint("valid_until >= valid_from", name="valid"),
        CheckConstraint("(agency_code IS NULL) = (agency_percent IS NULL)", name="agency"),
        CheckConstraint("agency_percent > 0 AND agency_percent <= 100", name="agency_percent"),
        CheckConstraint("reserve_points >= 0 AND low_points >= 0", name="points"),
    )

    code: str = text_field(primary_key=True)
    name: str = text_field()
    name_en: str | None = text_field(default=None)
    category: Category = text_field()
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code")
    place: str | None = text_field(default=None)
    contract_no: str | None = text_field(default=None)
    valid_from: date
    valid_until: date | None = None
    agency_code: str | None = text_field(default=None, foreign_key="agency.code", index=True)
    agency_percent: Decimal | None = Field(default=None, sa_type=Numeric(5, 2))
    is_prepaid: bool = False
    reserve_points: int = Field(default=0, sa_type=BigInteger)
    low_points: int = Field(default=0, sa_type=BigInteger)
    version: int = 1

    def is_valid_on(self, day: date) -> bool:
        """Whether its contract is in force."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


@audited("partner_block")
class PartnerBlock(SQLModel, table=True):
    """Points that a partner has paid for ahead. Written once; `commission_fen` is its agency's share, as of then."""

    __tablename__ = "partner_block"
    __table_args__ = (
        Index("ix_partner_block_partner", "partner_code", "id"),
        CheckConstraint("points > 0 AND amount_fen >= 0 AND commission_fen >= 0", name="amounts"),
    )

    id: UUID = id_field()
    partner_code: str = text_field(foreign_key="partner.code")
    points: int = Field(sa_type=BigInteger)
    amount_fen: int = Field(sa_type=BigInteger)
    agency_code: str | None = text_field(default=None, foreign_key="agency.code")
    commission_fen: int = Field(sa_type=BigInteger)
    reference: str = text_field()
    at: datetime = time_field()
    by: str = text_field()


@audited("perk", untold=("claimed",))
class Perk(SQLModel, table=True):
    """What a partner offers to whom: members of these chapters (null: all) who are in a segment (null: everybody).

    `value_fen` is what one is worth to the member besides its points; `shares` ([{party, percent}], adding to 100) say
    who bears it. `claimed` counts vouchers that are claimed or used, up to `quota`. A voucher is good for `days`, but
    not on days of `blackout`. `hands_over` names what of the member the partner gets with it.
    """

    __tablename__ = "perk"
    __table_args__ = (
        Index("ix_perk_partner", "partner_code", "id"),
        CheckConstraint("valid_until >= valid_from", name="valid"),
        CheckConstraint("claimed >= 0 AND claimed <= quota", name="quota"),
        CheckConstraint("points >= 0 AND value_fen >= 0 AND days > 0", name="amounts"),
    )

    id: UUID = id_field()
    partner_code: str = text_field(foreign_key="partner.code")
    name: str = text_field()
    name_en: str | None = text_field(default=None)
    terms: str | None = text_field(default=None)
    dealer_codes: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    segment_id: UUID | None = None
    quota: int | None = None
    quota_per_member: int | None = None
    valid_from: date
    valid_until: date | None = None
    blackout: list[date] = Field(default_factory=list, sa_type=ARRAY(Date))
    days: int
    points: int = Field(default=0, sa_type=BigInteger)
    value_fen: int = Field(default=0, sa_type=BigInteger)
    shares: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    hands_over: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    is_offered: bool = False
    claimed: int = 0
    version: int = 1


@audited("voucher", secret=("code",))
class Voucher(SQLModel, table=True):
    """One use of a perk by a member, known by its code.

    `wallet_id` is whose points were spent: the member's, but for one that came with a merge. As of the claim,
    `dealer_code` is the member's chapter, `value_fen` what it is worth, `commission_fen` the agency's share of that.
    `used_on` is the day at the partner's till; `used_at` comes after it when a till that was offline reports it
    (`used_offline`).
    """

    __tablename__ = "voucher"
    __table_args__ = (
        Index("ix_voucher_code", "code", unique=True),
        Index("ix_voucher_member", "member_id", "id"),
        Index("ix_voucher_perk", "perk_id", "member_id"),
        Index("ix_voucher_partner", "partner_code", "status", "expires_on"),
        Index("ix_voucher_dealer", "dealer_code", "id"),
        CheckConstraint("status IN ('claimed', 'used', 'returned', 'expired')", name="status"),
        CheckConstraint("(status = 'used') = (used_on IS NOT NULL)", name="used"),
        CheckConstraint("(status IN ('returned', 'expired')) = (ended_at IS NOT NULL)", name="ended"),
        CheckConstraint("(points > 0) = (posting_no IS NOT NULL)", name="points"),
    )

    id: UUID = id_field()
    perk_id: UUID = Field(foreign_key="perk.id")
    partner_code: str = text_field(foreign_key="partner.code")
    member_id: UUID = Field(foreign_key="member.id")
    wallet_id: UUID
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code")
    code: str = text_field()
    status: VoucherStatus = text_field(default=VoucherStatus.CLAIMED)
    points: int = Field(default=0, sa_type=BigInteger)
    posting_no: int | None = Field(default=None, sa_type=BigInteger)
    refund_no: int | None = Field(default=None, sa_type=BigInteger)
    value_fen: int = Field(default=0, sa_type=BigInteger)
    agency_code: str | None = text_field(default=None, foreign_key="agency.code")
    commission_fen: int = Field(default=0, sa_type=BigInteger)
    claimed_at: datetime = time_field()
    expires_on: date
    used_on: date | None = None
    used_at: datetime | None = time_field(default=None)
    used_by: str | None = text_field(default=None)
    used_offline: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    ended_at: datetime | None = time_field(default=None)


class VoucherShare(SQLModel, table=True):
    """What a party bears of a voucher's value, by the perk's percentages as of the claim; named as in the ledger."""

    __tablename__ = "voucher_share"
    __table_args__ = (CheckConstraint("fen > 0", name="fen"),)

    voucher_id: UUID = Field(primary_key=True, foreign_key="voucher.id")
    party: str = text_field(primary_key=True)
    fen: int = Field(sa_type=BigInteger)


class StatementCommission(SQLModel, table=True):
    """An agency's share of what points came to on its partner's statement, fixed at the month's close.

    `charge_fen` is for points that the partner funded and pays for afterwards; refunds are taken off.
    """

    __tablename__ = "statement_commission"

    partner_code: str = text_field(primary_key=True, foreign_key="partner.code")
    period: date = Field(primary_key=True)
    agency_code: str = text_field(foreign_key="agency.code")
    charge_fen: int = Field(sa_type=BigInteger)
    commission_fen: int = Field(sa_type=BigInteger)
    at: datetime = time_field()
    agency_percent: Decimal | None = Field(default=None, sa_type=Numeric(5, 2))


@audited("perk-claim", personal=("reason", "answer"))
class PerkClaim(SQLModel, table=True):
    """A line of a month's claims, written with the month's close; only its status moves, and what comes with it.

    What a party owes another for the vouchers used of a partner, or for an agency's commission on it; parties are
    named as in the ledger, or `agency:CODE`. A later dispute replaces `reason` and `answer`, which the trail keeps.
    """

    __tablename__ = "perk_claim"
    __table_args__ = (
        UniqueConstraint("period", "payer", "payee", "basis", "partner_code"),
        CheckConstraint("basis IN ('vouchers', 'commission')", name="basis"),
        CheckConstraint("status IN ('claimed', 'approved', 'disputed', 'withdrawn', 'paid')", name="status"),
        CheckConstraint("(status IN ('approved', 'paid')) = (approved_at IS NOT NULL)", name="approved"),
        CheckConstraint("status <> 'disputed' OR (reason IS NOT NULL AND answer IS NULL)", name="disputed"),
        CheckConstraint(
            "(status = 'paid') = (paid_on IS NOT NULL) AND (paid_on IS NULL) = (payment_reference IS NULL)", name="paid"
        ),
    )

    id: UUID = id_field()
    period: date
    payer: str = text_field()
    payee: str = text_field()
    basis: str = text_field()
    partner_code: str = text_field(foreign_key="partner.code")
    count: int
    amount_fen: int = Field(sa_type=BigInteger)
    status: PerkClaimStatus = text_field(default=PerkClaimStatus.CLAIMED)
    claimed_at: datetime = time_field()
    approved_at: datetime | None = time_field(default=None)
    approved_by: str | None = text_field(default=None)
    reason: str | None = text_field(default=None)
    disputed_by: str | None = text_field(default=None)
    answer: str | None = text_field(default=None)
    answered_by: str | None = text_field(default=None)
    paid_on: date | None = None
    payment_reference: str | None = text_field(default=None)
    version: int = 1
