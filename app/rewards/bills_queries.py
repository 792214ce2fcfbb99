"""The SQL of what points pay of a repair order: its lock, and plain redemptions beside orders of rewards."""

from typing import NamedTuple
from uuid import UUID

from app.core.db import Connection

_NOTE = """
INSERT INTO bill_payment (wallet_id, posting_no, dealer_code, order_no, bill_fen, fen_per_point)
VALUES ($1, $2, $3, $4, $5, $6)
"""

# what was given back of a redemption, or of a hold's capture, it pays no more; nor does a hold that was released
_PLAINLY_PAID = """
SELECT coalesce(sum(b.fen_per_point * (
         CASE WHEN h.is_open THEN h.points ELSE coalesce(h.captured, p.points) END - given_back.points)), 0)::bigint
  FROM bill_payment b
  JOIN ledger.posting p ON p.member_id = b.wallet_id AND p.posting_no = b.posting_no
  LEFT JOIN ledger.hold h ON h.member_id = b.wallet_id AND h.posting_no = b.posting_no
  LEFT JOIN ledger.posting c ON c.member_id = b.wallet_id AND c.resolves = b.posting_no AND c.kind = 'capture'
 CROSS JOIN LATERAL (
   SELECT coalesce(sum(r.points), 0) AS points FROM ledger.posting r
    WHERE r.member_id = b.wallet_id AND r.kind = 'refund'
      AND r.resolves = coalesce(c.posting_no, b.posting_no)) given_back
 WHERE b.dealer_code = $1 AND b.order_no = $2
"""

_ORDERS_PAID = """
SELECT coalesce(sum(bill_fen - money_fen) FILTER (WHERE reward_id = $3), 0)::bigint,
       coalesce(sum(bill_fen - money_fen), 0)::bigint
  FROM reward_order WHERE dealer_code = $1 AND order_no = $2 AND status NOT IN ('cancelled', 'lapsed', 'returned')
"""


class PaidAlready(NamedTuple):
    """What points pay of a repair order already, in fen: by one reward, and in all."""

    by_reward_fen: int
    in_all_fen: int


async def lock_bill(connection: Connection, dealer_code: str, order_no: str) -> None:
    """Until commit nobody else spends points on a repair order, or takes an order that pays it a step further."""
    document = f"reward:{dealer_code}:{order_no}"
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", document)


async def note(
    connection: Connection, wallet_id: UUID, posting_no: int, dealer_code: str, order_no: str, bill_fen: int,
    fen_per_point: int,
) -> None:  # fmt: skip
    """Put a redemption or hold on a bill's record."""
    await connection.execute(_NOTE, wallet_id, posting_no, dealer_code, order_no, bill_fen, fen_per_point)


async def paid_of(
    connection: Connection, dealer_code: str, order_no: str, reward_id: UUID | None = None, *, plainly: bool = True
) -> PaidAlready:
    """What points pay of a repair order, which is locked; the connection reads all chapters.

    Args:
        plainly: count points redeemed plainly, too.
    """
    plainly_fen: int = await connection.fetchval(_PLAINLY_PAID, dealer_code, order_no) if plainly else 0
    row = await connection.fetchrow(_ORDERS_PAID, dealer_code, order_no, reward_id)
    assert row is not None
    by_reward_fen, by_orders_fen = row
    return PaidAlready(by_reward_fen, by_orders_fen + plainly_fen)
