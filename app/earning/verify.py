"""What must hold between rules, awards, their limits and the ledger, re-derived from what is on record."""

from app.core.checks import sql_check

CHECKS = (
    sql_check(
        "awards-posted",
        "every award has its posting of as many points and its lot of the same funder, live unless it was reversed",
        """
        SELECT format('%s attempt %s part %s: %s points of %s, posted %s of %s, reversed %s, lot live %s', a.document,
                      a.attempt, a.part, a.points, a.funder, p.points, l.funder, a.reversed_at IS NOT NULL,
                      l.is_live)
          FROM award a
          LEFT JOIN ledger.posting p ON p.member_id = a.member_id AND p.kind = 'earn'
                                    AND p.request_key = md5(a.cause || '#' || a.attempt)::uuid
          LEFT JOIN ledger.lot l ON l.member_id = p.member_id AND l.posting_no = p.posting_no AND l.document = p.cause
         WHERE a.points > 0 AND (p.points, l.funder, p.place, p.booked_on, l.is_live)
               IS DISTINCT FROM (a.points, a.funder, a.place, a.booked_on, a.reversed_at IS NULL)
         ORDER BY 1
        """,
    ),
    sql_check(
        "awards-in-force",
        "every award and every order names a version of a rule that was published and holds for its day",
        """
        SELECT format('%s: version %s', given.document, given.rule_no)
          FROM (SELECT document, rule_no FROM award
                UNION ALL
                SELECT 'repair_order:' || dealer_code || ':' || order_no, rule_no FROM repair_order
                 WHERE rule_no IS NOT NULL) given
          LEFT JOIN rule_version v ON v.no = given.rule_no
         WHERE v.no IS NULL OR v.status = 'draft'
         ORDER BY 1
        """,
    ),
    sql_check(
        "caps-used",
        "what the caps of a rule count for a member is the sum of its awards that stand",
        """
        WITH spans (span, cap) AS (VALUES ('day', 'per_member_day'), ('month', 'per_member_month'),
                                          ('year', 'per_member_year')),
        given AS (
          SELECT v.rule_id, a.member_id, s.span, date_trunc(s.span, a.booked_on)::date AS begins,
                 sum(a.points) AS points
            FROM award a JOIN rule_version v ON v.no = a.rule_no CROSS JOIN spans s
           WHERE a.reversed_at IS NULL AND v.definition #>> ARRAY['caps', s.cap] IS NOT NULL
           GROUP BY 1, 2, 3, 4)
        SELECT format('rule %s member %s %s of %s: counted %s, awards %s', rule_id, member_id, span, begins,
                      coalesce(u.points, 0), coalesce(g.points, 0))
          FROM rule_use u FULL JOIN given g USING (rule_id, member_id, span, begins)
         WHERE coalesce(u.points, 0) <> coalesce(g.points, 0)
         ORDER BY 1
        """,
    ),
    sql_check(
        "budgets-used",
        "what is used of a budget in a period is the sum of the awards that stand and drew on it",
        """
        WITH given AS (
          SELECT b.code AS budget_code, sum(a.points) AS points,
                 CASE b.period WHEN 'whole' THEN DATE '2000-01-01'
                               ELSE date_trunc(b.period, a.booked_on)::date END AS begins
            FROM award a JOIN rule_version v ON v.no = a.rule_no
            JOIN budget b ON v.definition -> 'budgets' ? b.code
           WHERE a.reversed_at IS NULL AND (b.funder IS NULL OR b.funder = a.funder)
           GROUP BY b.code, 3)
        SELECT format('budget %s from %s: counted %s, awards %s', budget_code, begins, coalesce(u.points, 0),
                      coalesce(g.points, 0))
          FROM budget_use u FULL JOIN given g USING (budget_code, begins)
         WHERE coalesce(u.points, 0) <> coalesce(g.points, 0)
         ORDER BY 1
        """,
    ),
    sql_check(
        "cases-decided",
        "a case was approved if and only if there are awards of it",
        """
        SELECT format('case %s is %s, awards of it: %s', c.id, c.status, count(a.*))
          FROM earning_case c LEFT JOIN award a ON a.case_id = c.id
         GROUP BY c.id, c.status HAVING (c.status = 'approved') <> (count(a.*) > 0)
         ORDER BY 1
        """,
    ),
    sql_check(
        "tiers-held",
        "each step of a member's tier begins where the one before ended, and the last leads to what the member holds",
        """
        WITH steps AS (
          SELECT member_id, no, from_tier, to_tier, lag(to_tier) OVER w AS before, lead(no) OVER w IS NULL AS is_last
            FROM tier_change WINDOW w AS (PARTITION BY member_id ORDER BY no))
        SELECT format('member %s: step %s from %s to %s, before it %s, held %s', coalesce(s.member_id, h.member_id),
                      s.no, s.from_tier, s.to_tier, s.before, h.tier_code)
          FROM steps s FULL JOIN member_tier h ON h.member_id = s.member_id AND s.is_last
         WHERE s.before IS DISTINCT FROM s.from_tier
            OR ((s.is_last OR s.no IS NULL) AND s.to_tier IS DISTINCT FROM h.tier_code)
         ORDER BY 1
        """,
    ),
)
"""`repair_order.rule_no` is judged with the awards: orders that one simple rule answered have no row of their own."""
