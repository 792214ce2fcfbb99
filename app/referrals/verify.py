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
)
