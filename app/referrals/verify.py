"""What must hold between referrals, deliveries and the ledger, re-derived from all three."""

from app.core.checks import sql_check

CHECKS = (
    sql_check(
        "referrals-delivered",
        "every referral success names a car that was delivered while it was valid, by the same dealer on the same day",
        """
        SELECT r.id::text FROM referral r LEFT JOIN delivery d ON d.vin = r.vin
         WHERE r.status = 'delivered'
           AND (d.vin IS NULL OR d.dealer_code <> r.dealer_code OR d.delivered_on <> r.delivered_on
                OR r.delivered_on < r.registered_on)
         ORDER BY 1
        """,
    ),
    sql_check(
        "referrals-taken-back",
        "what is no success has no live earning",
        """
        SELECT DISTINCT l.document FROM ledger.lot l
          JOIN referral r ON r.id::text = split_part(l.document, ':', 2)
         WHERE split_part(split_part(l.document, ':', 1), '.', 1) = 'referral' AND l.is_live
           AND r.status <> 'delivered'
         ORDER BY 1
        """,
    ),
    sql_check(
        "incentives-listed",
        "lists of incentives have their own scheme's rules and payees, whole numbers of lines, and lines of their time",
        """
        SELECT format('list %s line %s', l.list_id, l.line_no)
          FROM (SELECT *, row_number() OVER (PARTITION BY list_id ORDER BY line_no) AS place FROM incentive_line) l
          JOIN incentive_list s ON s.id = l.list_id
          JOIN incentive_rule r ON r.id = l.rule_id
         WHERE l.place <> l.line_no OR r.dealer_code IS DISTINCT FROM s.dealer_code
            OR l.dealer_code <> coalesce(s.dealer_code, l.payee)
            OR split_part(l.document, ':', 1) <> r.trigger
            OR CASE l.kind WHEN 'earned' THEN date_trunc('month', l.happened_on)::date <> s.month
                           WHEN 'late' THEN l.happened_on >= s.month ELSE false END
         ORDER BY 1
        """,
    ),
    sql_check(
        "incentives-paid-once",
        "by approved lists nothing is paid twice for one event by one rule, and no more taken back than was paid",
        """
        SELECT format('list %s line %s', l.list_id, l.line_no) FROM (
          SELECT i.*, sum(i.fen) OVER (
                   PARTITION BY s.dealer_code, i.document, i.rule_id, i.payee
                   ORDER BY s.approved_at, s.month, i.line_no) AS so_far
            FROM incentive_line i JOIN incentive_list s ON s.id = i.list_id AND s.status <> 'draft') l
         WHERE l.so_far < 0 OR (l.kind IN ('earned', 'late') AND l.so_far <> l.fen)
         ORDER BY 1
        """,
    ),
)
