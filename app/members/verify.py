"""What must hold between members and where they were."""

from app.core.checks import sql_check

CHECKS = (
    sql_check(
        "merged-members",
        "a member was merged into another just if its wallet was, and a merge says so that stands",
        """
        SELECT m.id::text FROM member m
          LEFT JOIN ledger.member_balance b ON b.member_id = m.id
          LEFT JOIN member_merge g ON g.from_id = m.id AND g.undone_at IS NULL
         WHERE m.merged_into IS DISTINCT FROM b.merged_into OR (m.merged_into IS NULL) <> (g.id IS NULL)
            OR m.merged_into IN (SELECT id FROM member WHERE merged_into IS NOT NULL)
         ORDER BY m.id
        """,
    ),
    sql_check(
        "models-agree",
        "an ownership repeats its vehicle's model",
        """
        SELECT o.vin FROM ownership o JOIN vehicle v ON v.vin = o.vin
         WHERE o.model IS DISTINCT FROM v.model ORDER BY o.vin
        """,
    ),
    sql_check(
        "members-have-places",
        "every member was somewhere on each day since joining, and is where the last place says",
        """
        WITH stretch AS (
          SELECT member_id, since, until, dealer_code,
                 lead(since) OVER (PARTITION BY member_id ORDER BY since) AS next
            FROM member_place
        ), told AS (
          SELECT member_id, min(since) AS first, bool_and(until IS NOT DISTINCT FROM next) AS whole,
                 count(*) FILTER (WHERE until IS NULL) AS open, min(dealer_code) FILTER (WHERE until IS NULL) AS place
            FROM stretch GROUP BY member_id
        )
        SELECT m.id::text FROM member m LEFT JOIN told t ON t.member_id = m.id
         WHERE t.member_id IS NULL OR NOT t.whole OR t.open <> 1 OR t.first <> m.joined_on
            OR t.place IS DISTINCT FROM m.dealer_code
         ORDER BY m.id
        """,
    ),
    sql_check(
        "closed-chapters-are-empty",
        "nobody is with a chapter that was closed, or waits to join it",
        """
        SELECT format('%s: member %s', c.dealer_code, m.id) FROM chapter c JOIN member m USING (dealer_code)
         WHERE c.closed_on IS NOT NULL AND m.erased_at IS NULL
        UNION ALL
        SELECT format('%s: application %s', c.dealer_code, a.id) FROM chapter c JOIN application a USING (dealer_code)
         WHERE c.closed_on IS NOT NULL AND a.status = 'open'
        UNION ALL
        SELECT format('%s: transfer %s', c.dealer_code, t.id)
          FROM chapter c JOIN transfer t ON c.dealer_code IN (t.from_dealer_code, t.to_dealer_code)
         WHERE c.closed_on IS NOT NULL AND t.status IN ('asked', 'accepted')
        ORDER BY 1
        """,
    ),
)
