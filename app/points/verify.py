"""What must hold in the ledger at any moment, each re-derived from the movements in one set-based pass.

The rules are domain.md's ("Points, exactly"); the buckets are those in the header of ledger.sql. That
nothing was posted to a sealed month is read off its seal, which would not recompute: clocks are the callers'.
"""

from app.core.checks import Check, sql_check

BALANCES_ARE_LOTS = sql_check(
    "balances-lots",
    "a member's available, pending and held points are the sums of the lots'",
    """
    SELECT format('member %s: balance %s available %s pending %s held, lots %s %s %s', member_id,
                  b.available, b.pending, b.held, l.available, l.pending, l.held)
      FROM ledger.member_balance b
      FULL JOIN (SELECT member_id, sum(available) AS available, sum(pending) AS pending, sum(held) AS held
                   FROM ledger.lot GROUP BY member_id) l USING (member_id)
     WHERE b.available IS DISTINCT FROM coalesce(l.available, 0)
        OR b.pending IS DISTINCT FROM coalesce(l.pending, 0)
        OR b.held IS DISTINCT FROM coalesce(l.held, 0)
    """,
)

BALANCES_ARE_MOVEMENTS = sql_check(
    "balances-movements",
    "a member's balances are the fold of the member's movements",
    """
    SELECT format('member %s: balance %s available %s pending %s held %s owed, movements %s %s %s %s',
                  member_id, b.available, b.pending, b.held, b.owed, m.available, m.pending, m.held, m.owed)
      FROM ledger.member_balance b
      FULL JOIN (SELECT member_id,
                        coalesce(sum(points) FILTER (WHERE account = 'available'), 0) AS available,
                        coalesce(sum(points) FILTER (WHERE account = 'pending'), 0) AS pending,
                        coalesce(sum(points) FILTER (WHERE account = 'held'), 0) AS held,
                        coalesce(sum(-points) FILTER (WHERE account = 'owed'), 0) AS owed
                   FROM ledger.entry GROUP BY member_id) m USING (member_id)
     WHERE b.available IS DISTINCT FROM coalesce(m.available, 0)
        OR b.pending IS DISTINCT FROM coalesce(m.pending, 0)
        OR b.held IS DISTINCT FROM coalesce(m.held, 0)
        OR b.owed IS DISTINCT FROM coalesce(m.owed, 0)
    """,
)

OWED_IS_DEBTS = sql_check(
    "owed-debts",
    "what a member owes is the sum of what is left of the debts",
    """
    SELECT format('member %s: owes %s, debts %s', member_id, b.owed, d.owed)
      FROM ledger.member_balance b
      FULL JOIN (SELECT member_id, sum(incurred - repaid - written_off - carried) AS owed
                   FROM ledger.debt GROUP BY member_id) d USING (member_id)
     WHERE b.owed IS DISTINCT FROM coalesce(d.owed, 0)
    """,
)

# a repayment's movement names the funder repaid as its place, not which of that funder's debts it met
DEBTS_ARE_MOVEMENTS = sql_check(
    "debts-movements",
    "debts are incurred, repaid and written off as the movements say, and never over-repaid",
    """
    SELECT format('member %s posting %s: debt %s, movements %s',
                  member_id, posting_no, d.incurred, m.incurred)
      FROM ledger.debt d
      FULL JOIN (SELECT member_id, posting_no, funder, sum(points) AS incurred
                   FROM ledger.movement WHERE from_bucket = 'owed' GROUP BY member_id, posting_no, funder) m
           USING (member_id, posting_no, funder)
     WHERE d.incurred IS DISTINCT FROM m.incurred OR d.incurred < d.repaid + d.written_off + d.carried
        OR least(d.repaid, d.written_off, d.carried) < 0
    UNION ALL
    SELECT format('member %s funder %s: debts %s repaid %s written off %s carried, movements %s %s %s',
                  member_id, funder, d.repaid, d.written_off, d.carried, m.repaid, m.written_off, m.carried)
      FROM (SELECT member_id, funder, sum(repaid) AS repaid, sum(written_off) AS written_off, sum(carried) AS carried
              FROM ledger.debt GROUP BY member_id, funder) d
      FULL JOIN (SELECT member_id, CASE from_bucket WHEN 'available' THEN place ELSE funder END AS funder,
                        coalesce(sum(points) FILTER (WHERE from_bucket = 'available'), 0) AS repaid,
                        coalesce(sum(points) FILTER (WHERE from_bucket = 'reversed'), 0) AS written_off,
                        coalesce(sum(points) FILTER (WHERE from_bucket = 'carried'), 0) AS carried
                   FROM ledger.movement WHERE to_bucket = 'owed' GROUP BY 1, 2) m USING (member_id, funder)
     WHERE d.repaid IS DISTINCT FROM coalesce(m.repaid, 0)
        OR d.written_off IS DISTINCT FROM coalesce(m.written_off, 0)
        OR d.carried IS DISTINCT FROM coalesce(m.carried, 0)
    """,
)

# incurring and writing off touch no part of a lot; grouping by funder names a movement with another's
LOTS_ARE_MOVEMENTS = sql_check(
    "lots-movements",
    "each part of a lot is the fold of the movements that name the lot",
    """
    SELECT format('member %s lot %s: granted, pending, available, held, spent, expired, reversed, repaid,'
                  ' carried %s, movements %s', member_id, lot_no, l.parts, m.parts)
      FROM (SELECT member_id, lot_no, funder,
                   ARRAY[granted, pending, available, held, spent, expired, reversed, repaid,
                         carried]::bigint[] AS parts
              FROM ledger.lot) l
      FULL JOIN (SELECT member_id, lot_no, funder, ARRAY[
                          sum(points * (from_bucket IN ('issued', 'carried'))::int),
                          sum(points * ((to_bucket = 'pending')::int - (from_bucket = 'pending')::int)),
                          sum(points * ((to_bucket = 'available')::int - (from_bucket = 'available')::int)),
                          sum(points * ((to_bucket = 'held')::int - (from_bucket = 'held')::int)),
                          sum(points * ((to_bucket = 'spent')::int - (from_bucket = 'spent')::int)),
                          sum(points * (to_bucket = 'expired')::int),
                          sum(points * (to_bucket = 'reversed' AND from_bucket <> 'owed')::int),
                          sum(points * (to_bucket = 'owed')::int),
                          sum(points * (to_bucket = 'carried')::int)]::bigint[] AS parts
                   FROM ledger.movement WHERE lot_no IS NOT NULL GROUP BY member_id, lot_no, funder) m
           USING (member_id, lot_no, funder)
     WHERE l.parts IS DISTINCT FROM m.parts
    """,
)

LOTS_ARE_KEPT = sql_check(
    "lots-kept",
    "no wallet overlooks the day on which a lot matures or lapses",
    """
    SELECT format('member %s: due on %s, a lot on %s', member_id, b.due_on, l.due_on)
      FROM ledger.member_balance b
      JOIN (SELECT member_id, min(CASE WHEN pending > 0 THEN spendable_from ELSE expires_on + 1 END) AS due_on
              FROM ledger.lot WHERE pending + available > 0 GROUP BY member_id) l USING (member_id)
     WHERE b.due_on > l.due_on
    """,
)

VERSIONS_ARE_DENSE = sql_check(
    "versions",
    "a member's postings and lots are numbered from one without a gap",
    """
    SELECT format('member %s: version %s, postings %s up to %s; %s lots, found %s up to %s', member_id,
                  b.version, p.number, p.last, b.lots, l.number, l.last)
      FROM ledger.member_balance b
      FULL JOIN (SELECT member_id, count(*) AS number, max(posting_no) AS last, min(posting_no) AS first
                   FROM ledger.posting GROUP BY member_id) p USING (member_id)
      FULL JOIN (SELECT member_id, count(*) AS number, max(lot_no) AS last, min(lot_no) AS first
                   FROM ledger.lot GROUP BY member_id) l USING (member_id)
     WHERE b.version IS DISTINCT FROM coalesce(p.number, 0) OR p.last <> p.number OR p.first <> 1
        OR b.lots IS DISTINCT FROM coalesce(l.number, 0) OR l.last <> l.number OR l.first <> 1
    """,
)

POSTINGS_CHAIN = sql_check(
    "after-chain",
    "the balances after each posting are those before it plus its movements",
    """
    SELECT format('member %s posting %s: says %s available %s pending %s held %s owed, movements %s %s %s %s',
                  member_id, posting_no, p.available, p.pending, p.held, p.owed,
                  m.available, m.pending, m.held, m.owed)
      FROM (SELECT member_id, posting_no, available, pending, held, owed,
                   available - lag(available::bigint, 1, 0::bigint) OVER chain AS more_available,
                   pending - lag(pending::bigint, 1, 0::bigint) OVER chain AS more_pending,
                   held - lag(held::bigint, 1, 0::bigint) OVER chain AS more_held,
                   owed - lag(owed::bigint, 1, 0::bigint) OVER chain AS more_owed
              FROM ledger.posting WINDOW chain AS (PARTITION BY member_id ORDER BY posting_no)) p
      LEFT JOIN (SELECT member_id, posting_no,
                        coalesce(sum(points) FILTER (WHERE account = 'available'), 0) AS available,
                        coalesce(sum(points) FILTER (WHERE account = 'pending'), 0) AS pending,
                        coalesce(sum(points) FILTER (WHERE account = 'held'), 0) AS held,
                        coalesce(sum(-points) FILTER (WHERE account = 'owed'), 0) AS owed
                   FROM ledger.entry GROUP BY member_id, posting_no) m USING (member_id, posting_no)
     WHERE more_available <> coalesce(m.available, 0) OR more_pending <> coalesce(m.pending, 0)
        OR more_held <> coalesce(m.held, 0) OR more_owed <> coalesce(m.owed, 0)
    """,
)

# an earning whose points have all expired is reversed without moving any: that only frees its document
POSTINGS_HAVE_MOVEMENTS = sql_check(
    "postings-movements",
    "every posting has movements and every movement its posting, in the same period and on the same day",
    """
    SELECT format('member %s posting %s: %s', member_id, posting_no,
                  CASE WHEN kind IS NULL THEN 'movements without it' ELSE kind || ' without movements' END)
      FROM ledger.posting p
      FULL JOIN (SELECT DISTINCT member_id, posting_no, period, booked_on, true AS has_moved
                   FROM ledger.movement) m
           USING (member_id, posting_no, period, booked_on)
     WHERE kind IS NULL OR (has_moved IS NULL AND kind NOT IN ('reverse', 'merge', 'unmerge'))
    """,
)

POINTS_ARE_MOVEMENTS = sql_check(
    "points-movements",
    "the points a posting names are the points it moved",
    """
    SELECT format('member %s posting %s: %s of %s, movements %s', member_id, posting_no, kind, named, moved)
      FROM (SELECT member_id, posting_no, p.kind, p.points AS named, sum(m.points * CASE p.kind
                     WHEN 'earn' THEN (from_bucket = 'issued')::int
                     WHEN 'adjust' THEN (from_bucket = 'issued')::int - (to_bucket = 'reversed')::int
                     WHEN 'redeem' THEN (to_bucket = 'spent')::int
                     WHEN 'hold' THEN (to_bucket = 'held')::int
                     WHEN 'capture' THEN (to_bucket = 'spent')::int
                     WHEN 'release' THEN (from_bucket = 'held')::int
                     WHEN 'refund' THEN (from_bucket = 'spent')::int
                     WHEN 'mature' THEN (from_bucket = 'pending')::int
                     WHEN 'expire' THEN (to_bucket = 'expired')::int
                     WHEN 'renew' THEN (from_bucket = 'carried')::int
                     WHEN 'write_off' THEN (to_bucket = 'owed')::int
                     WHEN 'reverse' THEN (to_bucket = 'reversed')::int
                     ELSE (from_bucket = 'carried' AND to_bucket <> 'owed')::int
                        - (to_bucket = 'carried' AND from_bucket <> 'owed')::int END) AS moved
              FROM ledger.posting p JOIN ledger.movement m USING (member_id, posting_no)
             GROUP BY member_id, posting_no, p.kind, p.points) totals
     WHERE CASE kind WHEN 'reverse' THEN moved > named ELSE moved <> named END
    """,
)

HOLDS_ADD_UP = sql_check(
    "holds",
    "a hold is open or ended once, and what was held is captured, released or still held",
    """
    WITH moved AS (
      SELECT member_id, posting_no,
             coalesce(sum(points) FILTER (WHERE to_bucket = 'held'), 0) AS held,
             coalesce(sum(points) FILTER (WHERE from_bucket = 'held'), 0) AS ended,
             coalesce(sum(points) FILTER (WHERE from_bucket = 'held' AND to_bucket = 'spent'), 0) AS captured
        FROM ledger.movement WHERE 'held' IN (from_bucket, to_bucket) GROUP BY member_id, posting_no
    ), ends AS (
      SELECT member_id, resolves AS posting_no, count(*) AS number,
             sum(ended) AS ended, sum(captured) AS captured
        FROM ledger.posting LEFT JOIN moved USING (member_id, posting_no)
       WHERE kind IN ('capture', 'release') GROUP BY member_id, resolves
    )
    SELECT format('member %s hold %s: %s held, %s captured, %s; movements %s held, %s captured, %s ended',
                  member_id, posting_no, h.points, h.captured,
                  CASE WHEN h.is_open THEN 'open' ELSE 'ended' END, m.held, e.captured, e.ended)
      FROM ledger.hold h
      FULL JOIN (SELECT member_id, posting_no, place, period, points
                   FROM ledger.posting WHERE kind = 'hold') p
           USING (member_id, posting_no)
      FULL JOIN ends e USING (member_id, posting_no)
      LEFT JOIN moved m USING (member_id, posting_no)
     WHERE (h.points, h.place, h.period) IS DISTINCT FROM (p.points, p.place, p.period)
        OR h.points <> m.held
        OR coalesce(e.number, 0) <> (NOT h.is_open)::int
        OR h.captured <> coalesce(e.captured, 0)
        OR h.points <> e.ended
    """,
)

REFUNDS_FIT = sql_check(
    "refunds",
    "no redemption is refunded beyond its points",
    """
    SELECT format('member %s posting %s: %s of %s, refunded %s',
                  member_id, posting_no, p.kind, p.points, r.points)
      FROM (SELECT member_id, resolves AS posting_no, sum(points) AS points
              FROM ledger.posting WHERE kind = 'refund' GROUP BY member_id, resolves) r
      LEFT JOIN ledger.posting p USING (member_id, posting_no)
     WHERE (p.kind IN ('redeem', 'capture') AND r.points <= p.points) IS NOT TRUE
    """,
)

CARRIED_IS_ZERO = sql_check(
    "carried",
    "what one lot carries over its child lot receives in the same posting, and another wallet in the posting beside it",
    """
    WITH side AS (
      SELECT from_member AS member_id, from_posting AS posting_no,
             from_member AS first_member, from_posting AS first_posting
        FROM ledger.carry
      UNION ALL
      SELECT into_member, into_posting, from_member, from_posting FROM ledger.carry
    )
    SELECT format('member %s posting %s: %s carried to nowhere', coalesce(first_member, member_id),
                  coalesce(first_posting, posting_no), sum(points))
      FROM ledger.entry LEFT JOIN side USING (member_id, posting_no) WHERE account = 'carried'
     GROUP BY coalesce(first_member, member_id), coalesce(first_posting, posting_no), funder HAVING sum(points) <> 0
    """,
)

MERGES_STAND = sql_check(
    "merges",
    "a wallet stands for the merged ones until the merge is undone, and its lots go on where theirs end",
    """
    SELECT format('member %s: merged into %s, by %s merges', b.member_id, b.merged_into, coalesce(c.number, 0))
      FROM ledger.member_balance b
      LEFT JOIN (SELECT from_member, count(*) AS number FROM ledger.carry
                  WHERE kind = 'merge' AND NOT is_undone GROUP BY from_member) c ON c.from_member = b.member_id
     WHERE coalesce(c.number, 0) <> (b.merged_into IS NOT NULL)::int
        OR (b.merged_into IS NOT NULL AND (b.is_open OR b.pending + b.available + b.held + b.owed > 0))
    UNION ALL
    SELECT format('member %s lot %s: continues member %s lot %s, which is another', k.into_member, k.into_lot,
                  k.from_member, k.from_lot)
      FROM ledger.carried_lot k
      LEFT JOIN ledger.lot t ON t.member_id = k.into_member AND t.lot_no = k.into_lot
      LEFT JOIN ledger.lot l ON l.member_id = k.from_member AND l.lot_no = k.from_lot
     WHERE (t.funder, t.spendable_from, t.expires_on, t.granted_on, t.activity_months)
           IS DISTINCT FROM (l.funder, l.spendable_from, l.expires_on, l.granted_on, l.activity_months)
        OR t.granted > l.carried
    """,
)

# the day is not judged again: an earning that kept points alive may have been taken back since
RENEWALS_FIT = sql_check(
    "renewals",
    "what a lot carries over within its wallet, one of the same origin, funder and life continues; renewals: later",
    """
    SELECT format('member %s posting %s: %s points carried on from lot %s by another funder, or lot', member_id,
                  posting_no, sum(points), origin_lot)
      FROM (SELECT e.member_id, e.posting_no, l.origin_lot, l.funder, l.activity_months, e.points
              FROM ledger.entry e JOIN ledger.posting p USING (member_id, posting_no)
              JOIN ledger.lot l USING (member_id, lot_no)
             WHERE e.account = 'carried' AND p.kind NOT IN ('merge', 'unmerge')) moved
     GROUP BY member_id, posting_no, origin_lot, funder, activity_months HAVING sum(points) <> 0
    UNION ALL
    SELECT format('member %s posting %s: lot %s is no renewal of lot %s', p.member_id, p.posting_no, n.lot_no, l.lot_no)
      FROM ledger.posting p
      LEFT JOIN ledger.lot n ON n.member_id = p.member_id AND n.posting_no = p.posting_no
      LEFT JOIN ledger.movement m
        ON m.member_id = p.member_id AND m.posting_no = p.posting_no AND m.to_bucket = 'carried'
      LEFT JOIN ledger.lot l ON l.member_id = m.member_id AND l.lot_no = m.lot_no
     WHERE p.kind = 'renew' AND (p.booked_on = l.expires_on + 1 AND n.expires_on > l.expires_on
                                 AND l.activity_months IS NOT NULL) IS NOT TRUE
    """,
)

PERIODS_FIT = sql_check(
    "periods",
    "a posting stands in its business date's month, or later because that month was closed",
    """
    SELECT format('member %s posting %s: booked on %s, in %s',
                  member_id, posting_no, booked_on, to_char(p.period, 'YYYY-MM'))
      FROM ledger.posting p LEFT JOIN ledger.period own ON own.period = ledger.month_of(p.booked_on)
     WHERE p.period < ledger.month_of(booked_on)
        OR (p.period > ledger.month_of(booked_on) AND own.sealed_at IS NULL
            AND ledger.month_of(booked_on) >= (SELECT min(period) FROM ledger.period))
    """,
)

SEALS_RECOMPUTE = sql_check(
    "seals",
    "sealed months follow one another, their totals recompute and each seal chains to the one before",
    """
    SELECT format('period %s', to_char(period, 'YYYY-MM'))
      FROM (SELECT *, lag(seal) OVER months AS previous, bool_or(sealed_at IS NULL) OVER months AS after_open
              FROM ledger.period WINDOW months AS (ORDER BY period)) p
     WHERE sealed_at IS NOT NULL
       AND (after_open OR digest <> ledger.period_digest(period)
            OR seal <> ledger.seal_of(period, previous, digest, statements))
    """,
)

ROLLUPS_ARE_MOVEMENTS = sql_check(
    "rollups",
    "the roll-up is the fold of the movements below its watermark",
    """
    SELECT format('%s, booked on %s, funder %s, place %s, %s to %s: roll-up %s, movements %s',
                  to_char(period, 'YYYY-MM'), booked_on, funder, place, from_bucket, to_bucket,
                  r.points, m.points)
      FROM ledger.rollup r
      FULL JOIN (SELECT period, booked_on, funder, place, from_bucket, to_bucket,
                        sum(points) AS points, count(*) AS movements
                   FROM ledger.movement WHERE xid < (SELECT below_xid FROM ledger.rollup_watermark)
                  GROUP BY period, booked_on, funder, place, from_bucket, to_bucket) m
           USING (period, booked_on, funder, place, from_bucket, to_bucket)
     WHERE (r.points, r.movements) IS DISTINCT FROM (m.points, m.movements)
    """,
)

TOTALS_AGREE = sql_check(
    "totals",
    "all accounts add up to zero, and issued - redeemed - expired - reversed = outstanding - owed",
    """
    SELECT format('all accounts %s; issued %s, redeemed %s, expired %s, reversed %s; outstanding %s, owed %s',
                  everything, issued, redeemed, expired, reversed, outstanding, owed)
      FROM (SELECT coalesce(sum(points), 0) AS everything,
                   coalesce(sum(-points) FILTER (WHERE account = 'issued'), 0) AS issued,
                   coalesce(sum(points) FILTER (WHERE account = 'spent'), 0) AS redeemed,
                   coalesce(sum(points) FILTER (WHERE account = 'expired'), 0) AS expired,
                   coalesce(sum(points) FILTER (WHERE account = 'reversed'), 0) AS reversed
              FROM ledger.entry) moved,
           (SELECT coalesce(sum(pending + available + held), 0) AS outstanding, coalesce(sum(owed), 0) AS owed
              FROM ledger.member_balance) kept
     WHERE everything <> 0 OR issued - redeemed - expired - reversed <> outstanding - owed
    """,
)

CHECKS: tuple[Check, ...] = (
    BALANCES_ARE_LOTS,
    BALANCES_ARE_MOVEMENTS,
    OWED_IS_DEBTS,
    DEBTS_ARE_MOVEMENTS,
    LOTS_ARE_MOVEMENTS,
    LOTS_ARE_KEPT,
    VERSIONS_ARE_DENSE,
    POSTINGS_CHAIN,
    POSTINGS_HAVE_MOVEMENTS,
    POINTS_ARE_MOVEMENTS,
    HOLDS_ADD_UP,
    REFUNDS_FIT,
    CARRIED_IS_ZERO,
    RENEWALS_FIT,
    MERGES_STAND,
    PERIODS_FIT,
    SEALS_RECOMPUTE,
    ROLLUPS_ARE_MOVEMENTS,
    TOTALS_AGREE,
)
"""The ledger's invariants, in the order in which they are reported."""
