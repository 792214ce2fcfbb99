"""Fees of events in points: spent where the event is held when a party is seated, given back when it is cancelled."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import HEADQUARTERS
from app.core.clock import china_date
from app.core.db import raw
from app.events.models import ClubEvent
from app.events.registration_models import NewRegistration, Registration
from app.points import ledger
from app.points.confirmation import Confirm
from app.points.ledger import Request
from app.points.problems import WalletClosed

_Charged = Registration | NewRegistration


async def charge(
    session: AsyncSession, event: ClubEvent, registration: _Charged, confirm: Confirm, *, by: str, now: datetime
) -> None:
    """Spend the points that a party's seats cost, if any.

    Raises:
        InsufficientPoints, ConfirmationRequired, ConfirmationWrong, ConfirmationLocked, WalletClosed.
    """
    if registration.fee_points == 0:
        return
    posting = await ledger.redeem(
        await raw(session), registration.member_id, registration.fee_points, place=event.dealer_code or HEADQUARTERS,
        cause=_cause(registration), request=_request(registration, by, "fee", now), confirm=confirm.needed,
        code=confirm.code,
    )  # fmt: skip
    registration.wallet_id, registration.fee_posting_no = registration.member_id, posting.posting_no


async def give_back(
    session: AsyncSession, registration: Registration, reason: str, grace: timedelta, *, by: str, now: datetime
) -> None:
    """Give a party's points back to their lots. Who has left the club has no wallet to give them to."""
    if registration.wallet_id is None or registration.fee_posting_no is None:
        return
    try:
        posting = await ledger.refund(
            await raw(session), registration.wallet_id, registration.fee_posting_no, None,
            grace_until=china_date(now) + grace, cause=_cause(registration), reason=reason,
            request=_request(registration, by, "refund", now),
        )  # fmt: skip
    except WalletClosed:
        return
    registration.fee_refund_no = posting.posting_no


def _cause(registration: _Charged) -> str:
    return f"event_fee:{registration.id}"


def _request(registration: _Charged, by: str, step: str, now: datetime) -> Request:
    # each size of a party pays once, and gets it back once
    return Request(by, f"registration:{registration.id}:{step}:{registration.version}", now)
