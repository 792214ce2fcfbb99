"""What must hold of registrations at any moment: seats, the order of coming, fees, and what attending earned."""

from app.core.checks import sql_check

SEATS_HOLD = sql_check(
    "events-seats",
    "the seats taken and offered are at most the event's capacity, and each party is its member and its companions",
    """
    SELECT format('event %s: %s seats taken of %s', e.id, sum(r.party), e.capacity)
      FROM club_event e JOIN registration r ON r.event_id = e.id AND r.status IN ('registered', 'offered')
     GROUP BY e.id HAVING sum(r.party) > e.capacity
    UNION ALL
    SELECT format('registration %s: a party of %s with %s companions', r.id, r.party, c.companions)
      FROM registration r JOIN member m ON m.id = r.member_id AND m.erased_at IS NULL
     CROSS JOIN LATERAL (SELECT count(*) AS companions FROM companion WHERE registration_id = r.id) c
     WHERE r.party <> 1 + c.companions
    """,
)

ONE_LIVE = sql_check(
    "events-registrations",
    "a member has one live registration an event, none for an event that was called off, and no offer after its begin",
    """
    SELECT format('event %s: member %s has %s live registrations', event_id, member_id, count(*))
      FROM registration WHERE status IN ('registered', 'waiting', 'offered')
     GROUP BY event_id, member_id HAVING count(*) > 1
    UNION ALL
    SELECT format('event %s: cancelled, registration %s is %s', e.id, r.id, r.status)
      FROM registration r JOIN club_event e ON e.id = r.event_id AND e.status = 'cancelled'
     WHERE r.status IN ('registered', 'waiting', 'offered')
    UNION ALL
    SELECT format('registration %s: checked in, and %s', r.id, r.status)
      FROM check_in c JOIN registration r ON r.id = c.registration_id
     WHERE c.undone_at IS NULL AND r.status <> 'registered'
    """,
)

# whoever left with a wallet closed by that gets nothing back
FEES_ARE_POSTINGS = sql_check(
    "events-fees",
    "a seated party's fee in points is a redemption of its size, and a cancelled one's was given back",
    """
    SELECT format('registration %s (%s): fee %s, spent %s, given back %s', r.id, r.status, r.fee_points, p.points,
                  f.points)
      FROM registration r
      LEFT JOIN ledger.posting p ON p.member_id = r.wallet_id AND p.posting_no = r.fee_posting_no AND p.kind = 'redeem'
      LEFT JOIN ledger.posting f ON f.member_id = r.wallet_id AND f.posting_no = r.fee_refund_no AND f.kind = 'refund'
                                AND f.resolves = r.fee_posting_no
      LEFT JOIN ledger.member_balance w ON w.member_id = r.wallet_id
     WHERE (r.fee_posting_no IS NOT NULL AND p.points IS DISTINCT FROM r.fee_points)
        OR (r.status = 'registered' AND r.fee_points > 0 AND r.fee_posting_no IS NULL)
        OR (r.status IN ('waiting', 'offered', 'lapsed') AND r.fee_posting_no IS NOT NULL)
        OR (r.fee_refund_no IS NOT NULL AND (f.points IS DISTINCT FROM r.fee_points OR r.status <> 'cancelled'))
        OR (r.status = 'cancelled' AND r.fee_posting_no IS NOT NULL AND r.fee_refund_no IS NULL AND w.is_open)
    """,
)

ATTENDED_ONCE = sql_check(
    "events-attendance",
    "what attending earned is in force for registrations that are checked in, and once for each",
    """
    SELECT format('registration %s: %s attempts earned, %s check-ins in force', r.id, a.attempts, c.check_ins)
      FROM registration r
     CROSS JOIN LATERAL (
       SELECT count(DISTINCT attempt) AS attempts FROM award
        WHERE document = 'event_attended:' || r.id AND reversed_at IS NULL) a
     CROSS JOIN LATERAL (
       SELECT count(*) AS check_ins FROM check_in WHERE registration_id = r.id AND undone_at IS NULL) c
     WHERE a.attempts > c.check_ins
    """,
)

CHECKS = (SEATS_HOLD, ONE_LIVE, FEES_ARE_POSTINGS, ATTENDED_ONCE)
