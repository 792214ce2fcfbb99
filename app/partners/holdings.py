"""What perks keep on a member: vouchers, which lead to nobody once the member's name and phone are gone."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Executable, select
from sqlmodel import col

from app.core.holdings import Holding
from app.partners.models import Partner, Perk, Voucher


class OwnVoucherRow(BaseModel):
    """A voucher as it is told in a member's own data."""

    claimed_at: datetime
    partner: str
    perk: str
    points: int
    value_fen: int
    voucher_status: str
    expires_on: date
    used_on: date | None


def _rows(member_id: UUID) -> Executable:
    return (
        select(
            col(Voucher.claimed_at), col(Partner.name).label("partner"), col(Perk.name).label("perk"),
            col(Voucher.points), col(Voucher.value_fen), col(Voucher.status).label("voucher_status"),
            col(Voucher.expires_on), col(Voucher.used_on),
        )
        .join(Perk, col(Perk.id) == col(Voucher.perk_id))
        .join(Partner, col(Partner.code) == col(Voucher.partner_code))
        .where(col(Voucher.member_id) == member_id)
        .order_by(col(Voucher.id))
    )  # fmt: skip


HOLDINGS = (Holding("vouchers", OwnVoucherRow, _rows),)
