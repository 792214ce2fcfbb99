"""What must hold of contests, draws and auctions at any moment: prizes are postings, draws can be recomputed."""

from app.core.checks import sql_check

PRIZES_ARE_POSTINGS = sql_check(
    "events-prizes",
    "a prize in points is an earning of its size, and a line's prizes are at most what was granted",
    """
    SELECT format('result %s: %s points, posted %s', r.id, r.points, p.points)
      FROM event_result r
      LEFT JOIN ledger.posting p ON p.member_id = r.wallet_id AND p.posting_no = r.posting_no AND p.kind = 'earn'
     WHERE r.points > 0 AND p.points IS DISTINCT FROM r.points
    UNION ALL
    SELECT format('line %s: prizes of %s points, granted %s', l.id, sum(r.points), l.granted)
      FROM event_result r JOIN event_budget_line l ON l.id = r.line_id
     GROUP BY l.id, l.granted HAVING sum(r.points) > l.granted
    """,
)

DRAWS_RECOMPUTE = sql_check(
    "events-draws",
    "a draw's seed is the one committed to, its order follows from it, and who won stood first",
    """
    SELECT format('draw of event %s: another seed than the one committed to', event_id)
      FROM event_draw WHERE sha256(seed) <> commitment
    UNION ALL
    SELECT format('draw of event %s: not in the order drawn', d.event_id)
      FROM event_draw d
     CROSS JOIN LATERAL (
       SELECT jsonb_agg(e ORDER BY sha256(convert_to(encode(d.seed, 'hex') || E'\\n' || d.public_value || E'\\n' || e,
                                                     'UTF8'))) AS entries
         FROM jsonb_array_elements_text(d.entries) AS e) again
     WHERE d.drawn_at IS NOT NULL AND again.entries <> d.entries
    """,
)

# a hold whose time ran out may wait a moment until it is released
BIDS_ARE_HELD = sql_check(
    "events-auctions",
    "a lot's best bid is held or, once it is sold, spent; and nothing of the others is held",
    """
    SELECT format('bid %s (%s) on a lot that is %s: %s points, held %s, spent %s', b.id, b.status, l.status, b.points,
                  h.points, c.points)
      FROM auction_bid b
      JOIN auction_lot l ON l.id = b.lot_id
      LEFT JOIN ledger.hold h ON h.member_id = b.wallet_id AND h.posting_no = b.hold_no
      LEFT JOIN ledger.posting c ON c.member_id = b.wallet_id AND c.posting_no = b.capture_no AND c.kind = 'capture'
                                AND c.resolves = b.hold_no
     WHERE h.points IS DISTINCT FROM b.points
        OR (h.is_open AND b.status <> 'leading')
        OR coalesce(c.points, 0) <> CASE b.status WHEN 'won' THEN b.points ELSE 0 END
        OR (b.status = 'leading') > (l.status = 'open') OR (b.status = 'won') > (l.status = 'sold')
    UNION ALL
    SELECT format('lot %s: %s is not its best bid', b.lot_id, b.id)
      FROM auction_bid b
     WHERE b.status IN ('leading', 'won')
       AND EXISTS (SELECT FROM auction_bid o WHERE o.lot_id = b.lot_id AND o.points > b.points)
    """,
)

CHECKS = (PRIZES_ARE_POSTINGS, DRAWS_RECOMPUTE, BIDS_ARE_HELD)
