"""What must hold between repair orders and the ledger, re-derived from both."""

from app.core.checks import sql_check

CHECKS = (
    sql_check(
        "orders-posted-once",
        "every accepted repair order that earns has exactly its posting, and every such posting its order",
        """
        WITH ordered AS (
          SELECT 'repair_order:' || dealer_code || ':' || order_no AS cause,
                 count(*) AS documents, sum(points) AS points
            FROM repair_order WHERE points > 0 GROUP BY dealer_code, order_no
        ), posted AS (
          -- an order's further lots are called repair_order.2, .3 …; what a person approved later is not its own
          SELECT regexp_replace(p.cause, '^repair_order\\.\\d+:', 'repair_order:') AS cause,
                 count(DISTINCT coalesce(a.attempt::text, p.request_key::text)) AS documents, sum(p.points) AS points
            FROM ledger.posting p
            LEFT JOIN award a ON a.member_id = p.member_id AND a.cause = p.cause
                             AND p.request_key = md5(a.cause || '#' || a.attempt)::uuid
           WHERE p.kind = 'earn' AND p.cause ~ '^repair_order(\\.\\d+)?:' AND a.case_id IS NULL GROUP BY 1
        )
        SELECT format('%s: %s orders of %s points, %s postings of %s points', cause, coalesce(o.documents, 0),
                      coalesce(o.points, 0), coalesce(p.documents, 0), coalesce(p.points, 0))
          FROM ordered o FULL JOIN posted p USING (cause)
         WHERE o.documents IS DISTINCT FROM p.documents OR o.points IS DISTINCT FROM p.points
         ORDER BY cause
        """,
    ),
    sql_check(
        "orders-cancelled-reversed",
        "a cancelled repair order has no live earning, unless a corrected revision earned anew",
        """
        WITH newest AS (
          SELECT DISTINCT ON (dealer_code, order_no)
                 'repair_order:' || dealer_code || ':' || order_no AS cause, cancelled_at
            FROM repair_order ORDER BY dealer_code, order_no, revision DESC
        )
        SELECT cause FROM newest JOIN ledger.lot l ON l.document = cause AND l.is_live
         WHERE cancelled_at IS NOT NULL ORDER BY cause
        """,
    ),
    sql_check(
        "sales-cancelled-reversed",
        "a cancelled sale has no live earning",
        """
        SELECT l.document FROM ledger.lot l JOIN cancelled_delivery c ON c.id::text = split_part(l.document, ':', 2)
         WHERE l.is_live AND split_part(split_part(l.document, ':', 1), '.', 1)
                             IN ('vehicle_delivered', 'repurchase', 'trade_in')
         ORDER BY 1
        """,
    ),
)
