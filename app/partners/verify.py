"""What must hold of partners at any moment: quotas, what vouchers cost and who bears it, commission, claims, blocks."""

from app.core.checks import sql_check
from app.partners.claims import LINES

QUOTAS = sql_check(
    "perks-quota",
    "a perk has as many vouchers claimed or used as it says, never more than its quota in all or for one member",
    """
    SELECT format('perk %s: says %s, has %s of %s', p.id, p.claimed, v.live, coalesce(p.quota::text, 'any'))
      FROM perk p
     CROSS JOIN LATERAL (SELECT count(*) AS live FROM voucher WHERE perk_id = p.id AND status IN ('claimed', 'used')) v
     WHERE p.claimed <> v.live OR v.live > p.quota
    """,
)

VOUCHERS_ARE_USED_ONCE = sql_check(
    "vouchers-used",
    "a used voucher was used once, within its days, at its perk's partner",
    """
    SELECT format('voucher %s: used on %s by %s', v.id, v.used_on, v.used_by)
      FROM voucher v JOIN perk p ON p.id = v.perk_id
     WHERE v.partner_code <> p.partner_code
        OR (v.status = 'used' AND (v.used_by IS NULL OR v.used_at IS NULL OR v.used_on > v.expires_on
            OR v.used_on < (v.claimed_at AT TIME ZONE 'Asia/Shanghai')::date))
    UNION ALL
    SELECT format('voucher %s: used %s times in the trail', target_ids[1], count(*))
      FROM audit_event
     WHERE target_kind = 'voucher' AND action = 'changed' AND changes -> 'status' ->> 1 = 'used'
     GROUP BY target_ids[1] HAVING count(*) > 1
    """,
)

SHARES = sql_check(
    "vouchers-shares",
    "what parties bear of a voucher adds to its value",
    """
    SELECT format('voucher %s: value %s fen, shares %s', v.id, v.value_fen, s.fen)
      FROM voucher v
     CROSS JOIN LATERAL (SELECT coalesce(sum(fen), 0) AS fen FROM voucher_share WHERE voucher_id = v.id) s
     WHERE v.value_fen <> s.fen
    """,
)

# the points of who has left stay spent, for there is no wallet to give them back to
VOUCHERS_ARE_POSTINGS = sql_check(
    "vouchers-postings",
    "a voucher's points are redeemed in the ledger, and given back when it was not used",
    """
    SELECT format('voucher %s (%s): %s points, redeemed %s, refunded %s', v.id, v.status, v.points, p.points, r.points)
      FROM voucher v
      LEFT JOIN ledger.posting p ON p.member_id = v.wallet_id AND p.posting_no = v.posting_no AND p.kind = 'redeem'
                                AND p.cause = 'voucher:' || v.id
      LEFT JOIN member m ON m.id = v.wallet_id
     CROSS JOIN LATERAL (
       SELECT coalesce(sum(points), 0) AS points FROM ledger.posting
        WHERE member_id = v.wallet_id AND kind = 'refund' AND resolves = v.posting_no) r
     WHERE v.points > 0
       AND (p.points IS DISTINCT FROM v.points
            OR r.points <> CASE WHEN v.refund_no IS NULL THEN 0 ELSE v.points END
            OR (v.status = 'returned' AND v.refund_no IS NULL)
            OR (v.status IN ('claimed', 'used') AND v.refund_no IS NOT NULL))
    """,
)

PREPAID = sql_check(
    "partners-prepaid",
    "a prepaid partner's budget is its blocks less the reserve, and what is given of it is what its awards gave",
    """
    SELECT format('partner %s: budget %s, blocks %s, reserve %s; given %s, awards %s', p.code, b.points, k.points,
                  p.reserve_points, u.points, a.points)
      FROM partner p
      LEFT JOIN budget b ON b.code = 'partner-' || lower(p.code)
     CROSS JOIN LATERAL (
       SELECT coalesce(sum(points), 0) AS points FROM partner_block WHERE partner_code = p.code) k
     CROSS JOIN LATERAL (
       SELECT coalesce(sum(points), 0) AS points FROM budget_use WHERE budget_code = b.code) u
     CROSS JOIN LATERAL (
       SELECT coalesce(sum(points), 0) AS points FROM award
        WHERE funder = 'partner:' || p.code AND reversed_at IS NULL) a
     WHERE p.is_prepaid
       AND (b.points IS DISTINCT FROM greatest(0, k.points - p.reserve_points) OR u.points <> a.points)
    """,
)

# what a month's statements brought is held against them by settlement
COMMISSIONS = sql_check(
    "partners-commission",
    "commission is an agency's, and at most the block's price or the voucher's value",
    """
    SELECT format('%s %s: %s fen of %s for %s', kind, id, commission_fen, base_fen, coalesce(agency_code, 'nobody'))
      FROM (SELECT 'block' AS kind, id, amount_fen AS base_fen, commission_fen, agency_code FROM partner_block
            UNION ALL
            SELECT 'voucher', id, value_fen, commission_fen, agency_code FROM voucher) earned
     WHERE commission_fen NOT BETWEEN 0 AND base_fen OR (commission_fen > 0 AND agency_code IS NULL)
    """,
)

CLAIMS = sql_check(
    "partners-claims",
    "what was claimed for a month comes out of its vouchers, blocks and commission again",
    f"""
    WITH claimed AS (SELECT max(period) AS last FROM perk_claim), line AS (
      SELECT l.* FROM ({LINES.replace("$1", "'2000-01-01'").replace("$2", "'infinity'")}) l, claimed
       WHERE period <= claimed.last)
    SELECT format('%s %s to %s for %s: claimed %s fen of %s, on record %s of %s', to_char(period, 'YYYY-MM'), payer,
                  payee, partner_code, c.amount_fen, c.count, l.amount_fen, l.count)
      FROM line l FULL JOIN perk_claim c USING (period, payer, payee, basis, partner_code)
     WHERE (l.amount_fen, l.count) IS DISTINCT FROM (c.amount_fen, c.count)
    """,  # noqa: S608 (constants only)
)

CHECKS = (QUOTAS, VOUCHERS_ARE_USED_ONCE, SHARES, VOUCHERS_ARE_POSTINGS, PREPAID, COMMISSIONS, CLAIMS)
