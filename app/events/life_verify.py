"""What must hold of events' life at any moment: their steps, their approvals, and what was granted."""

from app.core.checks import sql_check

STEPS_LEAD_TO_STATUS = sql_check(
    "events-steps",
    "an event's steps follow one another and lead to where it stands",
    """
    SELECT format('event %s: stands at %s, its last step led to %s', e.id, e.status, s.to_status)
      FROM club_event e
      LEFT JOIN LATERAL (SELECT to_status FROM event_step WHERE event_id = e.id ORDER BY id DESC LIMIT 1) s ON true
     WHERE e.status IS DISTINCT FROM s.to_status
    UNION ALL
    SELECT format('event %s: a step from %s comes after one to %s', event_id, from_status, before)
      FROM (SELECT event_id, from_status, lag(to_status) OVER (PARTITION BY event_id ORDER BY id) AS before
              FROM event_step) steps
     WHERE from_status IS DISTINCT FROM before
    """,
)

APPROVED_BY_ALL = sql_check(
    "events-approvals",
    "whose own money an approved event takes has approved it, and each of its lines was granted, at most as planned",
    """
    SELECT format('event %s: %s has not approved', e.id, l.payer)
      FROM club_event e JOIN event_budget_line l ON l.event_id = e.id AND l.planned > 0
     WHERE e.status IN ('approved', 'published', 'registration', 'closed', 'held', 'reported', 'settled')
       AND NOT EXISTS (
         SELECT FROM event_approval a
          WHERE a.event_id = e.id AND a.round = e.round AND a.decision = 'approved'
            AND a.dealer_code IS NOT DISTINCT FROM CASE WHEN l.payer LIKE 'dealer:%' THEN substr(l.payer, 8) END)
    UNION ALL
    SELECT format('event %s: line %s planned %s granted %s', e.id, l.id, l.planned, l.granted)
      FROM club_event e JOIN event_budget_line l ON l.event_id = e.id
     WHERE e.status IN ('approved', 'published', 'registration', 'closed', 'held', 'reported', 'settled')
       AND (l.granted IS NULL OR l.granted > l.planned)
    """,
)

REPORTED_IN_FULL = sql_check(
    "events-reports",
    "an event that is reported or settled has a report, and each of its lines says what it came to",
    """
    SELECT format('event %s: %s without a report', e.id, e.status)
      FROM club_event e
     WHERE e.status IN ('reported', 'settled') AND NOT EXISTS (SELECT FROM event_report r WHERE r.event_id = e.id)
    UNION ALL
    SELECT format('event %s: line %s has no cost', e.id, l.id)
      FROM club_event e JOIN event_budget_line l ON l.event_id = e.id
     WHERE e.status IN ('reported', 'settled') AND l.actual IS NULL
    """,
)

CHECKS = (STEPS_LEAD_TO_STATUS, APPROVED_BY_ALL, REPORTED_IN_FULL)
