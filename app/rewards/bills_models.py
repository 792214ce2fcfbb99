"""Table of points redeemed plainly on a bill of which headquarters lets points pay no more than a share."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from app.core.models import text_field


class BillPayment(SQLModel, table=True):
    """A redemption or hold in the ledger, the repair order it pays, and what a point was worth on it (fen).

    `bill_fen` is the whole bill as the counter named it. How many points stand, the ledger says.
    """

    __tablename__ = "bill_payment"
    __table_args__ = (
        Index("ix_bill_payment_bill", "dealer_code", "order_no"),
        CheckConstraint("bill_fen > 0 AND fen_per_point > 0", name="amounts"),
    )

    wallet_id: UUID = Field(primary_key=True)
    posting_no: int = Field(primary_key=True, sa_type=BigInteger)
    dealer_code: str = text_field(foreign_key="dealer.code")
    order_no: str = text_field()
    bill_fen: int = Field(sa_type=BigInteger)
    fen_per_point: int
