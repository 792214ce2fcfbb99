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
          SELECT cause, count(*) AS documents, sum(points) AS points
            FROM ledger.posting WHERE kind = 'earn' AND cause LIKE 'repair\\_order:%' GROUP BY cause
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
)
