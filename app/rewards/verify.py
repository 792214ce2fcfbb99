"""What must hold of rewards at any moment: their stock, their codes, and what the ledger says of their orders."""

from app.core.checks import sql_check

STOCK_IS_MOVEMENTS = sql_check(
    "rewards-stock",
    "a reward's stock is the sum of its movements, and reserved + issued are what its orders say",
    """
    SELECT format('reward %s: stock %s reserved %s issued %s, movements %s orders %s %s', r.id, r.stock, r.reserved,
                  r.issued, m.stock, o.reserved, o.issued)
      FROM reward r
     CROSS JOIN LATERAL (SELECT coalesce(sum(change), 0) AS stock FROM reward_movement WHERE reward_id = r.id) m
     CROSS JOIN LATERAL (
       SELECT coalesce(sum(quantity) FILTER (WHERE status = 'held'), 0) AS reserved,
              coalesce(sum(quantity) FILTER (WHERE status IN ('confirmed', 'shipped', 'delivered')
                                                OR (status = 'returned' AND NOT is_restocked)), 0) AS issued
         FROM reward_order WHERE reward_id = r.id) o
     WHERE coalesce(r.stock, 0) <> m.stock OR r.reserved <> o.reserved OR r.issued <> o.issued
    """,
)

# one that is cancelled while it is held may be captured and refunded at that moment
CODES_ARE_GIVEN_ONCE = sql_check(
    "rewards-codes",
    "an order that gave codes gave as many as it ordered, of its own reward, and a pool holds all that are left",
    """
    SELECT format('order %s: %s ordered, %s codes', o.id, o.quantity, c.codes)
      FROM reward_order o JOIN reward r ON r.id = o.reward_id
     CROSS JOIN LATERAL (SELECT count(*) AS codes FROM reward_code WHERE order_id = o.id AND reward_id = r.id) c
     WHERE r.codes IS NOT NULL
       AND c.codes <> CASE WHEN o.confirmed_at IS NULL OR o.confirmed_at = o.ended_at THEN 0 ELSE o.quantity END
    UNION ALL
    SELECT format('reward %s: %s free codes, stock %s issued %s', r.id, c.free, r.stock, r.issued)
      FROM reward r
     CROSS JOIN LATERAL (SELECT count(*) AS free FROM reward_code WHERE reward_id = r.id AND order_id IS NULL) c
     WHERE r.codes = 'pool' AND c.free <> r.stock - r.issued
    UNION ALL
    SELECT format('code %s: of another reward than its order', c.id)
      FROM reward_code c JOIN reward_order o ON o.id = c.order_id WHERE o.reward_id <> c.reward_id
    """,
)

# a lapsed order's hold may wait for the ledger to release it: a moment, or until a wallet that was closed is open again
ORDERS_ARE_POSTINGS = sql_check(
    "rewards-postings",
    "an order's hold, its capture and its refund are in the ledger for the order's points, and no hold outlives it",
    """
    SELECT format('order %s (%s): %s points, held %s captured %s refunded %s', o.id, o.status, o.points, h.points,
                  c.points, f.points)
      FROM reward_order o
      LEFT JOIN ledger.hold h ON h.member_id = o.wallet_id AND h.posting_no = o.hold_no
      LEFT JOIN ledger.posting c ON c.member_id = o.wallet_id AND c.posting_no = o.capture_no AND c.kind = 'capture'
                                AND c.resolves = o.hold_no
     CROSS JOIN LATERAL (
       SELECT coalesce(sum(points), 0) AS points FROM ledger.posting
        WHERE member_id = o.wallet_id AND kind = 'refund' AND resolves = o.capture_no) f
     WHERE h.points IS DISTINCT FROM o.points
        OR (h.is_open AND o.status NOT IN ('held', 'lapsed'))
        OR coalesce(c.points, 0) <> CASE WHEN o.confirmed_at IS NULL THEN 0 ELSE o.points END
        OR h.captured <> coalesce(c.points, 0)
        OR f.points <> CASE WHEN o.ended_at IS NULL OR o.confirmed_at IS NULL THEN 0 ELSE o.points END
    """,
)

BILLS_ARE_PAID_BY_POSTINGS = sql_check(
    "rewards-bills",
    "what counts as paid on a bill is a redemption or hold in the ledger, for this repair order of this dealer",
    """
    SELECT format('bill %s of %s: posting %s of %s', b.order_no, b.dealer_code, b.posting_no, b.wallet_id)
      FROM bill_payment b
      LEFT JOIN ledger.posting p ON p.member_id = b.wallet_id AND p.posting_no = b.posting_no
     WHERE p.kind IS NULL OR p.kind NOT IN ('redeem', 'hold')
        OR p.cause <> format('repair_order:%s:%s', b.dealer_code, b.order_no)
    """,
)

CHECKS = (STOCK_IS_MOVEMENTS, CODES_ARE_GIVEN_ONCE, ORDERS_ARE_POSTINGS, BILLS_ARE_PAID_BY_POSTINGS)
