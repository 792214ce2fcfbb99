"""Headquarters' share of a bill: what points may pay of a repair order in all, whichever way they come.

Locks, always in this order: the repair order, and last the wallet (in the ledger).
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self

from app.core.db import Connection, Database
from app.core.problems import InvalidPayload
from app.points.ledger import Posting
from app.points.problems import ConfirmationWrong
from app.rewards import bills_queries as queries
from app.rewards.problems import PointsChoice
from app.rewards.schemas import RedemptionCreate
from app.settings import Settings


class BillShare(NamedTuple):
    """The percentage of a whole bill that points may pay, and what a point redeemed plainly is worth on it, in fen."""

    percent: int
    fen_per_point: int

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """As headquarters set it; None: points may pay whatever the counter accepts."""
        if settings.bill_share_percent is None:
            return None
        return cls(settings.bill_share_percent, settings.bill_fen_per_point)

    def fen(self, bill_fen: int) -> int:
        """The share of a bill, both in fen, rounded down."""
        return bill_fen * self.percent // 100


async def pay(
    db: Database, share: BillShare, place: str, order: RedemptionCreate,
    post: Callable[[Connection], Awaitable[Posting]], *, dry_run: bool,
) -> Posting:  # fmt: skip
    """Redeem or hold points (`post`) for a repair order as long as all that points pay of it stays within the share.

    The ledger comes first, so that a retry gets the first answer; what the share refuses is undone whole, the member's
    code with it.

    Raises:
        InvalidPayload: the bill's amount is missing.
        PointsChoice: points would pay more of the bill than the share.
        ConfirmationWrong: the ledger has counted it, which stays. Otherwise what `post` raises.
    """
    async with db.transaction(undo=dry_run) as connection:
        await queries.lock_bill(connection, place, order.order_no)
        before = await queries.paid_of(connection, place, order.order_no)
        try:
            posting = await post(connection)
        except ConfirmationWrong as error:
            wrong = error
        else:
            if not posting.replayed:
                if order.bill_fen is None:
                    raise InvalidPayload.at("/bill_fen", "missing")
                _require_within(share, order.bill_fen, before.in_all_fen, posting.points)
                await queries.note(
                    connection, posting.member_id, posting.posting_no, place, order.order_no, order.bill_fen,
                    share.fen_per_point,
                )  # fmt: skip
            return posting
    raise wrong


def _require_within(share: BillShare, bill_fen: int, before_fen: int, points: int) -> None:
    most = max(0, share.fen(bill_fen) - before_fen) // share.fen_per_point
    if points > most:
        raise PointsChoice(least=min(1, most), most=most)
