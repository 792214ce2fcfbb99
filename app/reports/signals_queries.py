"""The SQL of abuse signals: for each kind one statement that finds them all. The connection reads all chapters.

Each answers (key, dealer, members, facts, weight); what its parameters are, stands in `signals`.
"""

_SPENT = """
spent AS (
  SELECT member_id, posting_no, min(place) AS place, min(booked_on) AS booked_on, sum(points)::bigint AS points
    FROM ledger.movement
   WHERE period >= date_trunc('month', $1::date)::date AND booked_on BETWEEN $1 AND $2 AND to_bucket = 'spent'
   GROUP BY 1, 2)"""

# $1, $2: the days on which they were redeemed. What was given back meanwhile is no loss.
REDEMPTION_WITHOUT_ORDER = f"""
WITH {_SPENT}, named AS (
  SELECT s.*, p.actor,
         coalesce(w.order_no, substr(p.cause, length('repair_order:' || s.place) + 2)) AS order_no
    FROM spent s JOIN ledger.posting p USING (member_id, posting_no)
    LEFT JOIN reward_order w ON p.cause LIKE 'reward:%' AND w.id::text = substr(p.cause, length('reward:') + 1)
   WHERE starts_with(p.cause, 'repair_order:' || s.place || ':') OR w.order_no IS NOT NULL
)
SELECT n.member_id || '/' || n.posting_no, n.place, ARRAY[n.member_id],
       jsonb_build_object('order_no', n.order_no, 'points', n.points, 'on', n.booked_on, 'by', n.actor), n.points
  FROM named n
 WHERE NOT EXISTS (SELECT FROM repair_order o WHERE o.dealer_code = n.place AND o.order_no = n.order_no
                      AND o.cancelled_at IS NULL)
   AND NOT EXISTS (SELECT FROM ledger.posting b WHERE b.member_id = n.member_id AND b.resolves = n.posting_no
                      AND b.kind IN ('refund', 'reverse'))
"""  # noqa: S608

# $1, $2: the days; by an account itself, or at a dealer where it works
SELF_REDEMPTION = f"""
WITH {_SPENT}
SELECT a.id || '/' || s.member_id || '/' || to_char(s.booked_on, 'YYYY-MM'), min(d.code), ARRAY[s.member_id],
       jsonb_build_object('account', a.username, 'points', sum(s.points)::bigint, 'times', count(*),
                          'by_oneself', count(*) FILTER (WHERE p.actor = a.username)), sum(s.points)::bigint
  FROM spent s
  JOIN ledger.posting p USING (member_id, posting_no)
  JOIN member m ON m.id = s.member_id
  JOIN staff_phone f ON f.phone_index = m.phone_index
  JOIN account a ON a.id = f.account_id
  LEFT JOIN dealer d ON d.code = s.place
 WHERE p.actor = a.username
    OR EXISTS (SELECT FROM account_grant g WHERE g.account_id = a.id AND g.dealer_code = s.place)
 GROUP BY a.id, a.username, s.member_id, to_char(s.booked_on, 'YYYY-MM')
"""  # noqa: S608

# $1, $2: a month's first and last day; $3: how many days are its end; $4: percent of an earlier day's average;
# $5: points at least; $6: points spent, else those earned
MONTH_END_SPIKE = """
WITH days AS (
  SELECT place, booked_on, sum(points) AS points FROM ledger.movement
   WHERE period >= $1 AND booked_on BETWEEN $1 AND $2
     AND CASE WHEN $6 THEN to_bucket = 'spent' ELSE from_bucket = 'issued' END
   GROUP BY 1, 2
), sums AS (
  SELECT place, coalesce(sum(points) FILTER (WHERE booked_on > $2::date - $3::int), 0)::bigint AS at_end,
         (coalesce(sum(points) FILTER (WHERE booked_on <= $2::date - $3::int), 0)
          / ($2::date - $1::date + 1 - $3::int))::bigint AS a_day
    FROM days GROUP BY 1
)
SELECT place || '/' || to_char($1::date, 'YYYY-MM'), d.code, ARRAY[]::uuid[],
       jsonb_build_object('month', to_char($1::date, 'YYYY-MM'), 'place', place, 'days', $3::int, 'points', at_end,
                          'a_day', a_day), at_end
  FROM sums LEFT JOIN dealer d ON d.code = place
 WHERE at_end >= $5 AND at_end::numeric / $3 * 100 >= a_day::numeric * $4
"""

# $1: how many names. Members are one person a number; applications, deliveries and leads name whom they like.
SHARED_PHONE = """
WITH named AS (
  SELECT phone_index, name, dealer_code FROM member WHERE phone_index IS NOT NULL
   UNION ALL SELECT phone_index, name, dealer_code FROM application
   UNION ALL SELECT phone_index, owner_name, dealer_code FROM delivery WHERE phone_index IS NOT NULL
   UNION ALL SELECT phone_index, buyer_name, dealer_code FROM referral WHERE phone_index IS NOT NULL
)
SELECT encode(sha256(phone_index), 'hex'), min(dealer_code),
       ARRAY(SELECT m.id FROM member m WHERE m.phone_index = n.phone_index),
       jsonb_build_object('names', count(DISTINCT name), 'dealers', count(DISTINCT dealer_code)),
       count(DISTINCT name)
  FROM named n GROUP BY n.phone_index HAVING count(DISTINCT name) >= $1
"""

# $1: signed in from this moment on; $2: how many members. A device is what it calls itself, at one address.
SHARED_DEVICE = """
SELECT md5(s.device || ' ' || e.address), NULL::text, array_agg(DISTINCT s.member_id ORDER BY s.member_id),
       jsonb_build_object('members', count(DISTINCT s.member_id), 'device', s.device), count(DISTINCT s.member_id)
  FROM login_session s
  JOIN audit_event e ON e.action = 'signed-in' AND e.target_ids @> ARRAY[s.member_id::text]
                    AND e.at BETWEEN s.opened_at - interval '5 s' AND s.opened_at + interval '5 s'
 WHERE s.member_id IS NOT NULL AND s.opened_at >= $1 AND e.address IS NOT NULL AND s.device <> ''
 GROUP BY s.device, e.address HAVING count(DISTINCT s.member_id) >= $2
"""

# $1: how many members a ring has at most; told by its smallest id
REFERRAL_RING = """
WITH RECURSIVE bought AS (
  SELECT DISTINCT referrer_id AS a, buyer_id AS b FROM referral
   WHERE status = 'delivered' AND buyer_id IS NOT NULL AND buyer_id <> referrer_id
), walk AS (
  SELECT a AS start, b AS stop, ARRAY[a] AS path FROM bought WHERE b > a
   UNION ALL
  SELECT w.start, n.b, w.path || n.a FROM walk w JOIN bought n ON n.a = w.stop
   WHERE w.stop <> w.start AND n.b >= w.start AND n.a <> ALL (w.path) AND cardinality(w.path) < $1
)
SELECT array_to_string(path, '/'), NULL::text, path, jsonb_build_object('members', cardinality(path)), cardinality(path)
  FROM walk WHERE stop = start
"""

HELD_EARNING = """
SELECT c.id::text, c.dealer_code, ARRAY[c.member_id],
       jsonb_build_object('rule', r.code, 'points', c.points, 'case_id', c.id, 'document', c.document), c.points
  FROM earning_case c JOIN rule_version v ON v.no = c.rule_no JOIN rule r ON r.id = v.rule_id
 WHERE c.kind = 'review' AND c.status = 'open'
"""

KEEP = """
INSERT INTO signal (id, kind, key, dealer_code, member_ids, facts, weight, status, found_at, seen_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $8, 1)
ON CONFLICT (kind, key) DO UPDATE
   SET facts = excluded.facts, member_ids = excluded.member_ids, weight = excluded.weight, seen_at = excluded.seen_at
"""
# it was cleared as it was then
OPEN_AGAIN = """
UPDATE signal SET status = 'open', decided_at = NULL, decided_by = NULL, decision = NULL, decided_weight = NULL,
                  version = version + 1
 WHERE status = 'cleared' AND seen_at = $1 AND weight > decided_weight
"""
# who decides on the earning decides on its signal
DECIDED_WITH_CASE = """
UPDATE signal s
   SET status = CASE c.status WHEN 'approved' THEN 'cleared' ELSE 'confirmed' END, decided_at = c.decided_at,
       decided_by = c.decided_by, decision = c.decision, decided_weight = s.weight, version = s.version + 1
  FROM earning_case c
 WHERE s.kind = 'held_earning' AND s.status = 'open' AND c.id = s.key::uuid AND c.status <> 'open'
"""
FORGET = "DELETE FROM signal WHERE status <> 'open' AND seen_at < $1"
