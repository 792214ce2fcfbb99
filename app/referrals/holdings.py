"""What referrals keep on members: those they made, and the leads they were."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Executable, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.clock import china_date
from app.core.holdings import Holding
from app.referrals.models import Referral
from app.referrals.rules import ReferralStatus


class Referred(BaseModel):
    """A referral as its referrer has it; who the buyer is, is the buyer's own."""

    registered_on: date
    dealer_code: str
    status: ReferralStatus
    delivered_on: date | None


def _rows(member_id: UUID) -> Executable:
    columns = (Referral.registered_on, Referral.dealer_code, Referral.status, Referral.delivered_on)
    made = select(*map(col, columns)).where(col(Referral.referrer_id) == member_id)
    return made.order_by(col(Referral.id))


# who is erased is no longer a lead either; what a referral came to stays a figure
_FORGET = """
WITH lead AS (
  UPDATE referral
     SET buyer_name = NULL, phone = NULL, phone_index = NULL, buyer_id = NULL, answer = NULL, due_on = NULL,
         status = CASE WHEN status IN ('asked', 'appealed', 'open', 'following', 'ordered') THEN 'withdrawn'
                       ELSE status END,
         ended_on = coalesce(ended_on, :today)
   WHERE buyer_id = :member OR phone_index = (SELECT phone_index FROM member WHERE id = :member)
  RETURNING id
)
UPDATE referral_step SET note = NULL WHERE referral_id IN (SELECT id FROM lead)
"""


async def _erase(session: AsyncSession, member_id: UUID, now: datetime) -> None:
    await session.execute(text(_FORGET), {"member": member_id, "today": china_date(now)})


HOLDINGS = (Holding("referrals", Referred, _rows, _erase),)
