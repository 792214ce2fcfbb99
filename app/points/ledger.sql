-- The ledger's functions: the only way points move. Tables stand in alembic/versions; every `club migrate` loads this
-- file after them.
--
-- One call posts one cause for one member, whole or not at all, in one round trip.
--
-- Lock doctrine, always in this order, each lock a statement of its own (a statement sees the snapshot from
-- before its own lock wait, so locking and deciding are never fused):
--   1. the request key            advisory, so that a retry waits for the first answer
--   2. the earning's document     advisory, so that a cause is accepted once whoever brings it
--   3. the period                 advisory, shared by posters, exclusive for the closer, who takes nothing else
--      (who opens a missing month, poster or closer, has locked it so before, and holds the opening's lock to the end)
--   4. the member_balance row     the one lock that spending and earning share
-- A batch takes 3 for its months in order, then 4 for its members in order; its causes are guarded by its caller's key.
-- What matures or lapses on the way (`touch`, `mature_all`) may need another month's 3 under 4; should a closer queue between, the
-- two shared holders do not conflict and PostgreSQL lets the second pass.
--
-- A business refusal is a status in the answer, never an exception; an exception means a broken invariant.
-- A business date is a China date. Movements name both legs: `from_bucket` loses, `to_bucket` gains.
--   issued    what was granted (a source)      spent     redeemed at `place`
--   pending   granted, not yet spendable       expired   lapsed unspent
--   available spendable                        reversed  taken back
--   held      set aside for one purchase       carried   moved to a child lot or, in a merge, to another wallet (nets to zero)
--   owed      what the member owes: `owed` -> reversed incurs it, available -> `owed` repays the funder named in `place`
--
-- A posting under way is a `ledger.draft`: the locked balance as it will stand, with where and when it is booked.

-- ---------------------------------------------------------------------------------------------- periods

CREATE OR REPLACE FUNCTION ledger.month_of(p_day date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT p_day - (extract(day FROM p_day)::int - 1) $$;

CREATE OR REPLACE FUNCTION ledger.china_date(p_at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (p_at AT TIME ZONE 'Asia/Shanghai')::date $$;

CREATE OR REPLACE FUNCTION ledger.period_lock(p_period date) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 7310000000 + (p_period - DATE '2000-01-01') $$;

-- Makes a month's partition and its row; safe to call twice and from two sessions.
CREATE OR REPLACE FUNCTION ledger.open_period(p_period date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_name text := 'movement_' || to_char(p_period, 'YYYY_MM');
BEGIN
  -- looked up before the lock, too: a closer that finds all its months does not keep others from opening theirs
  PERFORM FROM ledger.period WHERE period = p_period;
  IF FOUND THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(7309999999);
  PERFORM FROM ledger.period WHERE period = p_period;
  IF FOUND THEN RETURN; END IF;
  -- made apart and then attached: attaching does not block those who post
  EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.movement INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name);
  EXECUTE format('ALTER TABLE ledger.%I ADD CONSTRAINT fits CHECK (period = %L)', v_name, p_period);
  EXECUTE format('ALTER TABLE ledger.movement ATTACH PARTITION ledger.%I FOR VALUES IN (%L)', v_name, p_period);
  EXECUTE format('ALTER TABLE ledger.%I DROP CONSTRAINT fits', v_name);
  EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.%I EXECUTE FUNCTION ledger.refuse_change()', v_name);
  INSERT INTO ledger.period (period) VALUES (p_period);
END $$;

-- The month a posting belongs to: its own while open, else the first open one; the month stays open until commit.
CREATE OR REPLACE FUNCTION ledger.booking_period(p_booked_on date) RETURNS date
LANGUAGE plpgsql AS $$
DECLARE
  v_period date := ledger.month_of(p_booked_on);
  v_sealed boolean;
BEGIN
  LOOP
    IF pg_advisory_xact_lock_shared(ledger.period_lock(v_period)) IS NULL THEN RETURN NULL; END IF;
    SELECT sealed_at IS NOT NULL INTO v_sealed FROM ledger.period WHERE period = v_period;
    IF v_sealed IS FALSE THEN
      RETURN v_period;
    ELSIF v_sealed OR v_period < (SELECT min(period) FROM ledger.period) THEN
      -- closes leave no gap, so the first open month follows the last sealed one
      v_period := coalesce((SELECT max(period) + interval '1 month' FROM ledger.period WHERE sealed_at IS NOT NULL),
                           (SELECT min(period) FROM ledger.period));
    ELSE
      PERFORM ledger.open_period(v_period);
    END IF;
  END LOOP;
END $$;

-- ---------------------------------------------------------------------------------------------- answers

CREATE OR REPLACE FUNCTION ledger.refusal(p_status text, p_available bigint DEFAULT NULL) RETURNS ledger.outcome
LANGUAGE sql IMMUTABLE AS $$
  SELECT ROW(p_status, NULL, NULL, NULL, NULL, NULL, NULL, NULL, p_available, NULL, NULL, NULL)::ledger.outcome
$$;

CREATE OR REPLACE FUNCTION ledger.replay(p ledger.posting) RETURNS ledger.outcome
LANGUAGE sql IMMUTABLE AS $$
  SELECT ROW('replayed', p.posting_no, p.kind, p.points, p.cause, p.booked_on, p.period, p.posted_at,
             p.available, p.pending, p.held, p.owed)::ledger.outcome
$$;

-- The first answer to a request key, or null when the key is new.
CREATE OR REPLACE FUNCTION ledger.first_answer(p_member uuid, p_key uuid, p_hash uuid) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
BEGIN
  IF pg_advisory_xact_lock(uuid_hash_extended(p_key, 0)) IS NULL THEN RETURN NULL; END IF;
  RETURN ledger.known_answer(p_member, p_key, p_hash);
END $$;

-- The same for who keeps others from the key by another lock.
CREATE OR REPLACE FUNCTION ledger.known_answer(p_member uuid, p_key uuid, p_hash uuid) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
DECLARE
  p ledger.posting;
BEGIN
  IF NOT EXISTS (SELECT FROM ledger.posting WHERE request_key = p_key) THEN RETURN NULL; END IF;
  SELECT * INTO STRICT p FROM ledger.posting WHERE request_key = p_key ORDER BY member_id = p_member DESC LIMIT 1;
  IF p.member_id = p_member AND p.request_hash = p_hash THEN RETURN ledger.replay(p); END IF;
  RETURN ledger.refusal('key_conflict');
END $$;

-- The first answer to an earning's cause while it is live, or null when it is free.
CREATE OR REPLACE FUNCTION ledger.document_answer(p_member uuid, p_document text, p_hash uuid) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
DECLARE
  p ledger.posting;
BEGIN
  IF pg_advisory_xact_lock(hashtextextended(p_document, 1)) IS NULL THEN RETURN NULL; END IF;
  SELECT member_id, posting_no INTO p.member_id, p.posting_no FROM ledger.lot WHERE document = p_document AND is_live;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT * INTO STRICT p FROM ledger.posting WHERE member_id = p.member_id AND posting_no = p.posting_no;
  IF p.member_id = p_member AND p.request_hash = p_hash THEN RETURN ledger.replay(p); END IF;
  RETURN ledger.refusal('document_conflict');
END $$;

-- ---------------------------------------------------------------------------------------------- steps of a posting

-- Locks the member, brings the wallet up to the business date and starts a draft; `refused` names why it cannot.
-- A merged wallet takes part only where p_even_merged says so: for what undoes its older postings.
CREATE OR REPLACE FUNCTION ledger.begin(
  p_member uuid, p_place text, p_booked_on date, p_now timestamptz, p_even_merged boolean DEFAULT false
) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
DECLARE
  d ledger.draft;
  v_period date;
BEGIN
  IF p_booked_on > ledger.china_date(p_now) THEN
    d.refused := 'future_date';
    RETURN d;
  END IF;
  v_period := ledger.booking_period(p_booked_on);
  SELECT member_id, version, lots, available, pending, held, owed, 0, p_place, p_booked_on, v_period,
         CASE WHEN NOT is_open AND NOT (p_even_merged AND merged_into IS NOT NULL) THEN 'wallet_closed' END, due_on
    INTO d FROM ledger.member_balance WHERE member_id = p_member FOR UPDATE;
  IF NOT FOUND THEN d.refused := 'unknown_member'; END IF;
  IF d.refused IS NULL THEN
    d := ledger.touch(d, p_booked_on, p_now);
    d.version := d.version + 1;
    d.period := v_period;
  END IF;
  RETURN d;
END $$;

CREATE OR REPLACE FUNCTION ledger.move(
  d ledger.draft, p_lot_no int, p_from ledger.bucket, p_to ledger.bucket, p_funder text, p_points bigint,
  p_place text DEFAULT NULL
) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
BEGIN
  d.line := d.line + 1;
  INSERT INTO ledger.movement (member_id, posting_no, line, lot_no, from_bucket, to_bucket, funder, place, points,
                               booked_on, period)
  VALUES (d.member_id, d.version, d.line, p_lot_no, p_from, p_to, p_funder, coalesce(p_place, d.place), p_points,
          d.booked_on, d.period);
  RETURN d;
END $$;

-- Writes the posting and the balance it leaves: the last step of every operation.
CREATE OR REPLACE FUNCTION ledger.write(
  d ledger.draft, p_kind ledger.posting_kind, p_points bigint, p_cause text, p_reason text, p_resolves bigint,
  p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
BEGIN
  WITH balance AS (
    UPDATE ledger.member_balance
       SET available = d.available, pending = d.pending, held = d.held, owed = d.owed, version = d.version, lots = d.lots,
           due_on = d.due_on
     WHERE member_id = d.member_id
  )
  INSERT INTO ledger.posting (member_id, posting_no, kind, points, cause, place, reason, resolves, booked_on, period,
                              actor, request_key, request_hash, posted_at, available, pending, held, owed)
  VALUES (d.member_id, d.version, p_kind, p_points, p_cause, d.place, p_reason, p_resolves, d.booked_on, d.period,
          p_actor, p_key, p_hash, p_now, d.available, d.pending, d.held, d.owed);
  RETURN ROW('posted', d.version, p_kind, p_points, p_cause, d.booked_on, d.period, p_now,
             d.available, d.pending, d.held, d.owed)::ledger.outcome;
END $$;

-- Points of a lot that have just become available repay what the member owes, oldest debt first.
CREATE OR REPLACE FUNCTION ledger.repay(d ledger.draft, p_lot_no int, p_funder text, p_points bigint) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
DECLARE
  v_debt ledger.debt;
  v_part bigint;
  v_left bigint := p_points;
BEGIN
  FOR v_debt IN SELECT * FROM ledger.debt WHERE member_id = d.member_id AND is_open ORDER BY posting_no, funder LOOP
    EXIT WHEN v_left = 0;
    v_part := least(v_left, v_debt.incurred - v_debt.repaid - v_debt.written_off - v_debt.carried);
    UPDATE ledger.debt SET repaid = repaid + v_part
     WHERE member_id = d.member_id AND posting_no = v_debt.posting_no AND funder = v_debt.funder;
    UPDATE ledger.lot SET available = available - v_part, repaid = repaid + v_part
     WHERE member_id = d.member_id AND lot_no = p_lot_no;
    d := ledger.move(d, p_lot_no, 'available', 'owed', p_funder, v_part, v_debt.funder);
    d.available := d.available - v_part;
    d.owed := d.owed - v_part;
    v_left := v_left - v_part;
  END LOOP;
  RETURN d;
END $$;

-- Grants a lot. A child lot (p_parent) continues its parent's points under a later date.
CREATE OR REPLACE FUNCTION ledger.grant_lot(
  d ledger.draft, p_points bigint, p_funder text, p_document text, p_spendable_from date, p_expires_on date,
  p_parent ledger.lot DEFAULT NULL, p_activity_months smallint DEFAULT NULL
) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
DECLARE
  v_pending bigint := CASE WHEN p_spendable_from > d.booked_on THEN p_points ELSE 0 END;
BEGIN
  d.lots := d.lots + 1;
  d.due_on := least(d.due_on, CASE WHEN v_pending > 0 THEN p_spendable_from ELSE p_expires_on + 1 END);
  d.pending := d.pending + v_pending;
  d.available := d.available + p_points - v_pending;
  INSERT INTO ledger.lot (member_id, lot_no, posting_no, origin_lot, funder, document, is_live, granted, pending, available,
                          granted_on, spendable_from, expires_on, activity_months)
  VALUES (d.member_id, d.lots, d.version, coalesce(p_parent.origin_lot, d.lots), p_funder, p_document,
          coalesce(p_parent.is_live, true), p_points, v_pending, p_points - v_pending,
          coalesce(p_parent.granted_on, d.booked_on), p_spendable_from, p_expires_on,
          coalesce(p_parent.activity_months, p_activity_months));
  d := ledger.move(d, d.lots, CASE WHEN p_parent.lot_no IS NULL THEN 'issued' ELSE 'carried' END::ledger.bucket,
                   CASE WHEN v_pending > 0 THEN 'pending' ELSE 'available' END::ledger.bucket, p_funder, p_points);
  IF d.owed > 0 AND v_pending = 0 THEN
    d := ledger.repay(d, d.lots, p_funder, p_points);
  END IF;
  RETURN d;
END $$;

-- The last day of points that live p_months beyond each earning: p_last_day, or later where an earning made before they
-- lapsed says so. What the person's merged wallets earned counts; what was taken back does not.
CREATE OR REPLACE FUNCTION ledger.active_until(p_member uuid, p_last_day date, p_months smallint) RETURNS date
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_last date := p_last_day;
  v_next date;
  v_wallets uuid[] := ARRAY(
    WITH RECURSIVE own (member_id) AS (
      SELECT coalesce(merged_into, member_id) FROM ledger.member_balance WHERE member_id = p_member
      UNION SELECT c.from_member FROM own JOIN ledger.carry c
              ON c.into_member = own.member_id AND c.kind = 'merge' AND NOT c.is_undone)
    SELECT member_id FROM own);
BEGIN
  LOOP
    -- only an earning's own lot has a document
    v_next := (SELECT ledger.month_of(max(granted_on)) + make_interval(months => p_months + 1) - interval '1 day'
                 FROM ledger.lot
                WHERE member_id = ANY (v_wallets) AND document IS NOT NULL AND is_live AND granted_on <= v_last);
    IF v_next > v_last THEN v_last := v_next; ELSE RETURN v_last; END IF;
  END LOOP;
END $$;

-- Returns held or spent points to their lot; they repay first. What is left of a lapsed lot expires or, where later
-- earnings or p_grace_until (a refund) let it, lives on in a child lot of the same funder.
CREATE OR REPLACE FUNCTION ledger.give_back(
  d ledger.draft, p_lot_no int, p_from ledger.bucket, p_points bigint, p_grace_until date DEFAULT NULL
) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
DECLARE
  l ledger.lot;
  v_owed bigint := d.owed;
  v_left bigint;
  v_until date := p_grace_until;
  v_active_until date;
  v_end ledger.bucket;
BEGIN
  UPDATE ledger.lot SET available = available + p_points,
         held = held - CASE WHEN p_from = 'held' THEN p_points ELSE 0 END,
         spent = spent - CASE WHEN p_from = 'spent' THEN p_points ELSE 0 END
   WHERE member_id = d.member_id AND lot_no = p_lot_no RETURNING * INTO STRICT l;
  d := ledger.move(d, p_lot_no, p_from, 'available', l.funder, p_points);
  d.available := d.available + p_points;
  d.due_on := least(d.due_on, l.expires_on + 1);
  IF p_from = 'held' THEN d.held := d.held - p_points; END IF;
  IF d.owed > 0 THEN
    d := ledger.repay(d, p_lot_no, l.funder, p_points);
  END IF;
  v_left := p_points - (v_owed - d.owed);
  IF v_left = 0 OR l.expires_on >= d.booked_on THEN RETURN d; END IF;

  IF l.activity_months IS NOT NULL THEN
    v_active_until := ledger.active_until(d.member_id, l.expires_on, l.activity_months);
    IF v_active_until >= d.booked_on THEN v_until := v_active_until; END IF;
  END IF;
  v_end := CASE WHEN v_until IS NULL THEN 'expired' ELSE 'carried' END;
  UPDATE ledger.lot SET available = available - v_left,
         expired = expired + CASE WHEN v_end = 'expired' THEN v_left ELSE 0 END,
         carried = carried + CASE WHEN v_end = 'carried' THEN v_left ELSE 0 END
   WHERE member_id = d.member_id AND lot_no = p_lot_no;
  d := ledger.move(d, p_lot_no, 'available', v_end, l.funder, v_left);
  d.available := d.available - v_left;
  IF v_end = 'carried' THEN
    d := ledger.grant_lot(d, v_left, l.funder, NULL, d.booked_on, v_until, l);
  END IF;
  RETURN d;
END $$;

-- ---------------------------------------------------------------------------------------------- time

-- One lot becomes spendable (p_to available) or lapses (p_to expired): a posting of its own on the day it does.
-- What is held stays held. Points that an earning has kept alive do not lapse: a child lot renews them.
CREATE OR REPLACE FUNCTION ledger.turn(d ledger.draft, l ledger.lot, p_to ledger.bucket, p_now timestamptz) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
DECLARE
  v_place text := d.place;
  v_booked_on date := d.booked_on;
  v_points bigint := CASE WHEN p_to = 'available' THEN l.pending ELSE l.available END;
  v_kind ledger.posting_kind := CASE WHEN p_to = 'available' THEN 'mature' ELSE 'expire' END;
  v_until date;
  v_owed bigint := d.owed;
BEGIN
  IF p_to = 'expired' AND l.activity_months IS NOT NULL THEN
    v_until := ledger.active_until(l.member_id, l.expires_on, l.activity_months);
  END IF;
  d.version := d.version + 1;
  d.line := 0;
  d.place := 'HQ';
  d.booked_on := CASE WHEN p_to = 'available' THEN l.spendable_from ELSE l.expires_on + 1 END;
  d.period := ledger.booking_period(d.booked_on);
  IF p_to = 'available' THEN
    UPDATE ledger.lot SET pending = 0, available = available + v_points WHERE member_id = l.member_id AND lot_no = l.lot_no;
    d := ledger.move(d, l.lot_no, 'pending', 'available', l.funder, v_points);
    d.pending := d.pending - v_points;
    d.available := d.available + v_points;
    IF d.owed > 0 THEN d := ledger.repay(d, l.lot_no, l.funder, v_points); END IF;
  ELSIF v_until > l.expires_on THEN
    v_kind := 'renew';
    d := ledger.carry_out(d, l);
    d.owed := 0;  -- they have not just become available, so they repay nothing
    d := ledger.grant_lot(d, v_points, l.funder, NULL, l.spendable_from, v_until, l);
    d.owed := v_owed;
  ELSE
    UPDATE ledger.lot SET available = 0, expired = expired + v_points WHERE member_id = l.member_id AND lot_no = l.lot_no;
    d := ledger.move(d, l.lot_no, 'available', 'expired', l.funder, v_points);
    d.available := d.available - v_points;
  END IF;
  PERFORM ledger.write(d, v_kind, v_points, 'lot:' || l.lot_no, NULL, l.posting_no, 'system', gen_random_uuid(),
                       gen_random_uuid(), p_now);
  d.line := 0;
  d.place := v_place;
  d.booked_on := v_booked_on;
  RETURN d;
END $$;

-- Brings one locked member up to a day: what has matured is available, what has lapsed is expired or renewed. `due_on` says when
-- that is next to be done, or earlier: what is spent in time does not move it.
CREATE OR REPLACE FUNCTION ledger.touch(d ledger.draft, p_day date, p_now timestamptz) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
DECLARE
  l ledger.lot;
  v_lots int;
BEGIN
  IF d.due_on > p_day THEN RETURN d; END IF;
  FOR l IN SELECT * FROM ledger.lot WHERE member_id = d.member_id AND pending > 0 AND spendable_from <= p_day
           ORDER BY spendable_from, lot_no LOOP
    d := ledger.turn(d, l, 'available', p_now);
  END LOOP;
  LOOP
    v_lots := d.lots;
    FOR l IN SELECT * FROM ledger.lot WHERE member_id = d.member_id AND available > 0 AND expires_on < p_day
             ORDER BY expires_on, lot_no LOOP
      d := ledger.turn(d, l, 'expired', p_now);
    END LOOP;
    EXIT WHEN d.lots = v_lots;  -- else what was renewed may have lapsed since
  END LOOP;
  d.due_on := (SELECT coalesce(min(CASE WHEN pending > 0 THEN spendable_from ELSE expires_on + 1 END), 'infinity')
                 FROM ledger.lot WHERE member_id = d.member_id AND pending + available > 0);
  UPDATE ledger.member_balance SET due_on = d.due_on WHERE member_id = d.member_id;
  RETURN d;
END $$;

-- `touch` for the pending lots of many locked members at once, who owe nothing: what has matured is available, a posting a lot.
-- Lapsed lots stay due.
CREATE OR REPLACE FUNCTION ledger.mature_all(p_members uuid[], p_day date, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_months date[];
  v_periods date[];
BEGIN
  SELECT array_agg(month), array_agg(ledger.booking_period(month)) INTO v_months, v_periods
    FROM (SELECT DISTINCT ledger.month_of(spendable_from) AS month FROM ledger.lot
           WHERE member_id = ANY (p_members) AND pending > 0 AND spendable_from <= p_day ORDER BY 1) months;
  IF v_months IS NOT NULL THEN
    WITH ripe AS MATERIALIZED (
      SELECT l.member_id, l.lot_no, l.posting_no AS earned_no, l.funder, l.pending::bigint AS points, l.spendable_from, m.period,
             b.held, b.owed, b.version + row_number() OVER own AS posting_no,
             b.available + sum(l.pending::int) OVER own AS available, b.pending - sum(l.pending::int) OVER own AS pending
        FROM ledger.lot l JOIN ledger.member_balance b USING (member_id)
             JOIN unnest(v_months, v_periods) AS m (month, period) ON m.month = ledger.month_of(l.spendable_from)
       WHERE l.member_id = ANY (p_members) AND l.pending > 0 AND l.spendable_from <= p_day
      WINDOW own AS (PARTITION BY l.member_id ORDER BY l.spendable_from, l.lot_no)
    ), lots AS (
      UPDATE ledger.lot l SET pending = 0, available = l.available + r.points FROM ripe r
       WHERE l.member_id = r.member_id AND l.lot_no = r.lot_no
    ), movements AS (
      INSERT INTO ledger.movement (member_id, posting_no, line, lot_no, from_bucket, to_bucket, funder, place, points,
                                   booked_on, period)
      SELECT member_id, posting_no, 1, lot_no, 'pending', 'available', funder, 'HQ', points, spendable_from, period FROM ripe
    ), postings AS (
      INSERT INTO ledger.posting (member_id, posting_no, kind, points, cause, place, resolves, booked_on, period,
                                  actor, request_key, request_hash, posted_at, available, pending, held, owed)
      SELECT member_id, posting_no, 'mature', points, 'lot:' || lot_no, 'HQ', earned_no, spendable_from, period,
             'system', gen_random_uuid(), gen_random_uuid(), p_now, available, pending, held, owed FROM ripe
    )
    UPDATE ledger.member_balance b SET available = r.available, pending = r.pending, version = r.posting_no
      FROM (SELECT DISTINCT ON (member_id) * FROM ripe ORDER BY member_id, posting_no DESC) r
     WHERE b.member_id = r.member_id;
  END IF;
  UPDATE ledger.member_balance b
     SET due_on = (SELECT coalesce(min(CASE WHEN l.pending > 0 THEN l.spendable_from ELSE l.expires_on + 1 END), 'infinity')
                     FROM ledger.lot l WHERE l.member_id = b.member_id AND l.pending + l.available > 0)
   WHERE b.member_id = ANY (p_members);
END $$;

-- The members for whom something may have matured or lapsed by a day.
CREATE OR REPLACE FUNCTION ledger.due(p_day date) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT member_id FROM ledger.member_balance WHERE due_on <= p_day
$$;

-- Brings members up to a day, each lock held until commit: those whom another posting holds are left for the next call.
CREATE OR REPLACE FUNCTION ledger.sweep(p_members uuid[], p_day date, p_now timestamptz, OUT members bigint, OUT points bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  b ledger.member_balance;
BEGIN
  members := 0;
  points := 0;
  FOR b IN SELECT m.* FROM ledger.member_balance m WHERE m.member_id = ANY (p_members)
            ORDER BY m.member_id FOR UPDATE SKIP LOCKED LOOP
    PERFORM ledger.touch(ROW(b.member_id, b.version, b.lots, b.available, b.pending, b.held, b.owed, 0, 'HQ', p_day, NULL, NULL, b.due_on)::ledger.draft,
                         p_day, p_now);
    members := members + 1;
    points := points + (SELECT coalesce(sum(p.points), 0) FROM ledger.posting p
                         WHERE p.member_id = b.member_id AND p.posting_no > b.version AND p.kind = 'expire');
  END LOOP;
END $$;

-- ---------------------------------------------------------------------------------------------- wallets and confirmations

CREATE OR REPLACE FUNCTION ledger.open_wallets(p_members uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO ledger.member_balance (member_id) SELECT unnest(p_members)
  ON CONFLICT (member_id) DO UPDATE SET is_open = member_balance.merged_into IS NULL
$$;

-- A closed wallet keeps its points, which mature and expire as ever; nothing else is posted until it is opened again.
CREATE OR REPLACE FUNCTION ledger.close_wallet(p_member uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  UPDATE ledger.member_balance SET is_open = false WHERE member_id = p_member
$$;

-- Notes the digest of a code sent to the member for one redemption: these points at this place. It replaces an older one,
-- but not one less than a minute older: then nothing is noted and the answer is false.
CREATE OR REPLACE FUNCTION ledger.expect_code(
  p_member uuid, p_digest bytea, p_place text, p_points bigint, p_expires_at timestamptz
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO ledger.confirmation AS c (member_id, digest, place, points, expires_at)
  VALUES (p_member, p_digest, p_place, p_points, p_expires_at)
  ON CONFLICT (member_id) DO UPDATE
    SET digest = excluded.digest, place = excluded.place, points = excluded.points, expires_at = excluded.expires_at
    WHERE c.expires_at IS NULL OR c.expires_at <= excluded.expires_at - interval '1 minute';
  RETURN FOUND;
END $$;

-- Forgets a code that could not be sent.
CREATE OR REPLACE FUNCTION ledger.withdraw_code(p_member uuid, p_digest bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  UPDATE ledger.confirmation SET digest = NULL, expires_at = NULL WHERE member_id = p_member AND digest = p_digest
$$;

-- Judges the member's code, under the member's lock. Null: good (consumed with the posting); else the refusal.
-- Five wrong codes, each within ten minutes of the one before, lock the member's confirmations until ten minutes after the last.
CREATE OR REPLACE FUNCTION ledger.judge_code(
  p_member uuid, p_place text, p_points bigint, p_step bigint, p_digest bytea, p_now timestamptz
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  c ledger.confirmation;
BEGIN
  IF p_digest IS NULL THEN RETURN 'confirmation_required'; END IF;
  SELECT * INTO c FROM ledger.confirmation WHERE member_id = p_member;
  IF c.failures >= 5 AND c.failed_at > p_now - interval '10 minutes' THEN RETURN 'confirmation_locked'; END IF;
  IF p_step > coalesce(c.last_step, 0)
     OR (c.digest = p_digest AND c.place = p_place AND c.points = p_points AND c.expires_at > p_now) THEN
    RETURN NULL;
  END IF;
  INSERT INTO ledger.confirmation AS k (member_id, failures, failed_at) VALUES (p_member, 1, p_now)
  ON CONFLICT (member_id) DO UPDATE
    SET failures = CASE WHEN k.failed_at > p_now - interval '10 minutes' THEN k.failures + 1 ELSE 1 END, failed_at = p_now;
  RETURN 'confirmation_wrong';
END $$;

CREATE OR REPLACE FUNCTION ledger.consume_code(p_member uuid, p_step bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ledger.confirmation AS k (member_id, last_step) VALUES (p_member, coalesce(p_step, 0))
  ON CONFLICT (member_id) DO UPDATE
    SET last_step = greatest(k.last_step, p_step), digest = NULL, expires_at = NULL, failures = 0, failed_at = NULL;
END $$;

-- ---------------------------------------------------------------------------------------------- operations

-- Earning with care: retries, conflicts, debts, pending and lapsed points, late months.
CREATE OR REPLACE FUNCTION ledger.earn_with_care(
  p_member uuid, p_points bigint, p_funder text, p_place text, p_cause text, p_reason text, p_booked_on date,
  p_spendable_from date, p_expires_on date, p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
DECLARE
  o ledger.outcome := ledger.first_answer(p_member, p_key, p_hash);
BEGIN
  IF o.status IS NULL THEN o := ledger.document_answer(p_member, p_cause, p_hash); END IF;
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  RETURN ledger.earn_anew(p_member, p_points, p_funder, p_place, p_cause, p_reason, p_booked_on, p_spendable_from,
                          p_expires_on, p_actor, p_key, p_hash, p_now);
END $$;

-- Earning whose key and cause nobody else can bring meanwhile, and which are not known yet.
CREATE OR REPLACE FUNCTION ledger.earn_anew(
  p_member uuid, p_points bigint, p_funder text, p_place text, p_cause text, p_reason text, p_booked_on date,
  p_spendable_from date, p_expires_on date, p_actor text, p_key uuid, p_hash uuid, p_now timestamptz,
  p_activity_months smallint DEFAULT NULL
) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
DECLARE
  d ledger.draft;
BEGIN
  IF p_expires_on < greatest(p_spendable_from, p_booked_on) THEN RETURN ledger.refusal('dates_out_of_order'); END IF;
  d := ledger.begin(p_member, p_place, p_booked_on, p_now);
  IF d.refused IS NOT NULL THEN RETURN ledger.refusal(d.refused); END IF;
  d := ledger.grant_lot(d, p_points, p_funder, p_cause, p_spendable_from, p_expires_on, NULL, p_activity_months);
  RETURN ledger.write(d, 'earn', p_points, p_cause, p_reason, NULL, p_actor, p_key, p_hash, p_now);
END $$;

-- Earns. The plain case, nearly every one, is judged and written in one statement; anything else is done with care.
CREATE OR REPLACE FUNCTION ledger.earn(
  p_member uuid, p_points bigint, p_funder text, p_place text, p_cause text, p_reason text, p_booked_on date,
  p_spendable_from date, p_expires_on date, p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  o ledger.outcome;
  v_period date := ledger.month_of(p_booked_on);
BEGIN
  IF pg_advisory_xact_lock(uuid_hash_extended(p_key, 0)) IS NULL OR pg_advisory_xact_lock(hashtextextended(p_cause, 1)) IS NULL
     OR pg_advisory_xact_lock_shared(ledger.period_lock(v_period)) IS NULL THEN RETURN NULL; END IF;
  IF p_spendable_from <= p_booked_on AND p_booked_on <= least(p_expires_on, ledger.china_date(p_now)) THEN
    WITH balance AS (
      -- decision, row lock and write in one: what is read beside the row is held by the locks taken above
      UPDATE ledger.member_balance
         SET available = available + p_points, version = version + 1, lots = lots + 1, due_on = least(due_on, p_expires_on + 1)
       WHERE member_id = p_member AND is_open AND owed = 0 AND due_on > p_booked_on
         AND EXISTS (SELECT FROM ledger.period WHERE period = v_period AND sealed_at IS NULL)
         AND NOT EXISTS (SELECT FROM ledger.posting WHERE request_key = p_key)
         AND NOT EXISTS (SELECT FROM ledger.lot WHERE document = p_cause AND is_live)
      RETURNING version, lots, available, pending, held, owed
    ), lot AS (
      INSERT INTO ledger.lot (member_id, lot_no, posting_no, origin_lot, funder, document, granted, available,
                              granted_on, spendable_from, expires_on)
      SELECT p_member, lots, version, lots, p_funder, p_cause, p_points, p_points, p_booked_on, p_spendable_from, p_expires_on
        FROM balance
    ), movement AS (
      INSERT INTO ledger.movement (member_id, posting_no, line, lot_no, from_bucket, to_bucket, funder, place, points,
                                   booked_on, period)
      SELECT p_member, version, 1, lots, 'issued', 'available', p_funder, p_place, p_points, p_booked_on, v_period FROM balance
    ), posting AS (
      INSERT INTO ledger.posting (member_id, posting_no, kind, points, cause, place, reason, booked_on, period,
                                  actor, request_key, request_hash, posted_at, available, pending, held, owed)
      SELECT p_member, version, 'earn', p_points, p_cause, p_place, p_reason, p_booked_on, v_period,
             p_actor, p_key, p_hash, p_now, available, pending, held, owed FROM balance
    )
    SELECT 'posted', version, 'earn', p_points, p_cause, p_booked_on, v_period, p_now, available, pending, held, owed
      INTO o FROM balance;
    IF FOUND THEN RETURN o; END IF;
  END IF;
  RETURN ledger.earn_with_care(p_member, p_points, p_funder, p_place, p_cause, p_reason, p_booked_on,
                               p_spendable_from, p_expires_on, p_actor, p_key, p_hash, p_now);
END $$;

-- Takes points to spend them (p_kind redeem), to set them aside until p_hold_until (hold) or to take them back (adjust):
-- earliest expiry first, then oldest, only from lots spendable that day; all or nothing.
-- With p_confirm the member's one-time code is judged and, with the posting, consumed.
CREATE OR REPLACE FUNCTION ledger.redeem(
  p_kind ledger.posting_kind, p_member uuid, p_points bigint, p_place text, p_cause text, p_reason text, p_booked_on date,
  p_hold_until timestamptz, p_confirm boolean, p_step bigint, p_digest bytea, p_actor text, p_key uuid, p_hash uuid,
  p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  d ledger.draft;
  o ledger.outcome;
  v_period date := ledger.month_of(p_booked_on);
  v_to ledger.bucket := CASE p_kind WHEN 'hold' THEN 'held' WHEN 'adjust' THEN 'reversed' ELSE 'spent' END;
  v_signed bigint := CASE p_kind WHEN 'adjust' THEN -p_points ELSE p_points END;
  v_spendable bigint;
  v_wrong text;
  v_left bigint := p_points;
  v_lot int := 0;
  v_expires_on date := p_booked_on;
  v_funder text;
  v_part bigint;
BEGIN
  IF pg_advisory_xact_lock(uuid_hash_extended(p_key, 0)) IS NULL
     OR pg_advisory_xact_lock_shared(ledger.period_lock(v_period)) IS NULL THEN RETURN NULL; END IF;
  -- the plain case, nearly every one, needs no more than the lock; anything else begins with care
  IF p_booked_on <= ledger.china_date(p_now)
     AND EXISTS (SELECT FROM ledger.period WHERE period = v_period AND sealed_at IS NULL)
     AND NOT EXISTS (SELECT FROM ledger.posting WHERE request_key = p_key)
  THEN
    SELECT member_id, version + 1, lots, available, pending, held, owed, 0, p_place, p_booked_on, v_period, NULL, due_on
      INTO d FROM ledger.member_balance WHERE member_id = p_member AND is_open AND due_on > p_booked_on FOR UPDATE;
  END IF;
  IF d.member_id IS NULL THEN
    o := ledger.first_answer(p_member, p_key, p_hash);
    IF o.status IS NOT NULL THEN RETURN o; END IF;
    d := ledger.begin(p_member, p_place, p_booked_on, p_now);
    IF d.refused IS NOT NULL THEN RETURN ledger.refusal(d.refused); END IF;
  END IF;
  IF p_confirm THEN
    v_wrong := ledger.judge_code(p_member, p_place, p_points, p_step, p_digest, p_now);
    IF v_wrong IS NOT NULL THEN RETURN ledger.refusal(v_wrong); END IF;
  END IF;
  v_spendable := d.available;
  IF p_booked_on < ledger.china_date(p_now) THEN
    -- not all that is available today was spendable then
    v_spendable := (SELECT coalesce(sum(available), 0) FROM ledger.lot
                     WHERE member_id = p_member AND spendable_from <= p_booked_on AND expires_on >= p_booked_on);
  END IF;
  IF v_spendable < p_points THEN RETURN ledger.refusal('insufficient', v_spendable); END IF;
  d.available := d.available - p_points;
  IF p_kind = 'hold' THEN d.held := d.held + p_points; END IF;

  LOOP
    -- no record: a column costs less
    SELECT lot_no, expires_on, funder, least(available, v_left) INTO v_lot, v_expires_on, v_funder, v_part FROM ledger.lot
     WHERE member_id = p_member AND (expires_on, lot_no) > (v_expires_on, v_lot) AND available > 0 AND spendable_from <= p_booked_on
     ORDER BY expires_on, lot_no LIMIT 1;
    IF NOT FOUND THEN RAISE EXCEPTION 'member %: the lots do not hold the balance', p_member; END IF;
    UPDATE ledger.lot
       SET available = available - v_part,
           spent = spent + CASE v_to WHEN 'spent' THEN v_part ELSE 0 END,
           held = held + CASE v_to WHEN 'held' THEN v_part ELSE 0 END,
           reversed = reversed + CASE v_to WHEN 'reversed' THEN v_part ELSE 0 END
     WHERE member_id = p_member AND expires_on = v_expires_on AND lot_no = v_lot;
    d := ledger.move(d, v_lot, 'available', v_to, v_funder, v_part);
    v_left := v_left - v_part;
    EXIT WHEN v_left = 0;
  END LOOP;

  IF p_kind = 'hold' THEN
    INSERT INTO ledger.hold (member_id, posting_no, period, points, place, expires_at)
    VALUES (p_member, d.version, d.period, p_points, p_place, p_hold_until);
  END IF;
  IF p_confirm THEN PERFORM ledger.consume_code(p_member, p_step); END IF;
  RETURN ledger.write(d, p_kind, v_signed, p_cause, p_reason, NULL, p_actor, p_key, p_hash, p_now);
END $$;

-- Ends a hold: p_points are spent (0: none, a release), the rest goes back to its lots.
CREATE OR REPLACE FUNCTION ledger.resolve_hold(
  p_kind ledger.posting_kind, p_member uuid, p_hold bigint, p_points bigint, p_cause text, p_booked_on date,
  p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  d ledger.draft;
  o ledger.outcome := ledger.first_answer(p_member, p_key, p_hash);
  h ledger.hold;
  m ledger.movement;
  v_left bigint := p_points;
  v_part bigint;
BEGIN
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  d := ledger.begin(p_member, NULL, p_booked_on, p_now);
  IF d.refused IS NOT NULL THEN RETURN ledger.refusal(d.refused); END IF;
  SELECT * INTO h FROM ledger.hold WHERE member_id = p_member AND posting_no = p_hold;
  IF NOT FOUND THEN RETURN ledger.refusal('unknown_posting'); END IF;
  IF NOT h.is_open THEN RETURN ledger.refusal('hold_resolved'); END IF;
  IF p_kind = 'capture' AND h.expires_at <= p_now THEN RETURN ledger.refusal('hold_expired'); END IF;
  IF p_points > h.points THEN RETURN ledger.refusal('exceeds_original', h.points); END IF;
  d.place := h.place;
  UPDATE ledger.hold SET captured = p_points, is_open = false WHERE member_id = p_member AND posting_no = p_hold;
  FOR m IN SELECT * FROM ledger.movement
            WHERE member_id = p_member AND posting_no = p_hold AND period = h.period ORDER BY line LOOP
    v_part := least(m.points, v_left);
    IF v_part > 0 THEN
      UPDATE ledger.lot SET held = held - v_part, spent = spent + v_part WHERE member_id = p_member AND lot_no = m.lot_no;
      d := ledger.move(d, m.lot_no, 'held', 'spent', m.funder, v_part);
      d.held := d.held - v_part;
      v_left := v_left - v_part;
    END IF;
    IF m.points > v_part THEN d := ledger.give_back(d, m.lot_no, 'held', m.points - v_part); END IF;
  END LOOP;
  RETURN ledger.write(d, p_kind, CASE p_kind WHEN 'capture' THEN p_points ELSE h.points END, p_cause, NULL, p_hold,
                      p_actor, p_key, p_hash, p_now);
END $$;

-- Gives points of a redemption back to the lots they came from, last taken first; p_points null means all that is left.
CREATE OR REPLACE FUNCTION ledger.refund(
  p_member uuid, p_original bigint, p_points bigint, p_grace_until date, p_cause text, p_reason text, p_booked_on date,
  p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  d ledger.draft;
  o ledger.outcome := ledger.first_answer(p_member, p_key, p_hash);
  p ledger.posting;
  r record;
  v_refundable bigint;
  v_left bigint;
BEGIN
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  d := ledger.begin_chain(p_member, p_booked_on, p_now);
  IF d.refused IS NOT NULL THEN RETURN ledger.refusal(d.refused); END IF;
  SELECT * INTO p FROM ledger.posting WHERE member_id = p_member AND posting_no = p_original;
  IF NOT FOUND THEN RETURN ledger.refusal('unknown_posting'); END IF;
  IF p.kind NOT IN ('redeem', 'capture') THEN RETURN ledger.refusal('wrong_kind'); END IF;
  v_refundable := p.points - (SELECT coalesce(sum(points), 0) FROM ledger.posting
                               WHERE member_id = p_member AND resolves = p_original AND kind = 'refund');
  v_left := coalesce(p_points, v_refundable);
  IF v_left > v_refundable OR v_refundable = 0 THEN RETURN ledger.refusal('exceeds_original', v_refundable); END IF;
  d.place := p.place;
  FOR r IN
    SELECT s.lot_no, s.points - coalesce((
             SELECT sum(m.points)::bigint FROM ledger.posting q JOIN ledger.movement m USING (member_id, posting_no, period)
              WHERE q.member_id = p_member AND q.resolves = p_original AND q.kind = 'refund'
                AND m.lot_no = s.lot_no AND m.from_bucket = 'spent'), 0) AS points
      FROM ledger.movement s
     WHERE s.member_id = p_member AND s.posting_no = p_original AND s.period = p.period AND s.to_bucket = 'spent'
     ORDER BY s.line DESC
  LOOP
    EXIT WHEN v_left = 0;
    CONTINUE WHEN r.points = 0;
    d := ledger.give_back(d, r.lot_no, 'spent', least(r.points, v_left), p_grace_until);
    v_left := v_left - least(r.points, v_left);
  END LOOP;
  o := ledger.write(d, 'refund', coalesce(p_points, v_refundable), p_cause, p_reason, p_original, p_actor, p_key, p_hash, p_now);
  PERFORM ledger.follow(p_member, p_cause, p_reason, p_actor, p_now);
  RETURN o;
END $$;

-- Reverses lots of a posting under way and those that continue them, here and in wallets to which they were carried:
-- what was held or spent becomes owed to its funder, what has expired is gone and owed by nobody.
CREATE OR REPLACE FUNCTION ledger.reverse_lots(
  d ledger.draft, p_lots int[], p_points bigint, p_original bigint, p_cause text, p_reason text,
  p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
DECLARE
  l ledger.lot;
  o ledger.outcome;
  c record;
  v_owed bigint;
  v_owed_total bigint := 0;
  v_funder text;
  v_reversed int[] := '{}';
BEGIN
  FOR l IN SELECT * FROM ledger.lot WHERE member_id = d.member_id AND is_live AND origin_lot = ANY (p_lots) ORDER BY lot_no LOOP
    UPDATE ledger.lot SET is_live = false, reversed = reversed + l.pending + l.available, pending = 0, available = 0
     WHERE member_id = d.member_id AND lot_no = l.lot_no;
    v_owed := l.held + l.spent + l.repaid;
    v_funder := l.funder;
    IF l.pending > 0 THEN d := ledger.move(d, l.lot_no, 'pending', 'reversed', l.funder, l.pending); END IF;
    IF l.available > 0 THEN d := ledger.move(d, l.lot_no, 'available', 'reversed', l.funder, l.available); END IF;
    IF v_owed > 0 THEN d := ledger.move(d, l.lot_no, 'owed', 'reversed', l.funder, v_owed); END IF;
    d.pending := d.pending - l.pending;
    d.available := d.available - l.available;
    v_owed_total := v_owed_total + v_owed;
    v_reversed := v_reversed || l.lot_no;
  END LOOP;
  IF v_reversed = '{}' THEN RETURN ledger.refusal('already_reversed'); END IF;
  IF v_owed_total > 0 THEN
    d.owed := d.owed + v_owed_total;
    INSERT INTO ledger.debt (member_id, posting_no, funder, incurred) VALUES (d.member_id, d.version, v_funder, v_owed_total);
  END IF;
  o := ledger.write(d, 'reverse', p_points, p_cause, p_reason, p_original, p_actor, p_key, p_hash, p_now);
  FOR c IN SELECT k.into_member AS member_id, array_agg(k.into_lot) AS lots, sum(t.granted)::bigint AS points, max(t.posting_no) AS posting_no
             FROM ledger.carried_lot k JOIN ledger.lot t ON t.member_id = k.into_member AND t.lot_no = k.into_lot
            WHERE k.from_member = d.member_id AND k.from_lot = ANY (v_reversed) GROUP BY 1 ORDER BY 1 LOOP
    PERFORM ledger.reverse_lots(ledger.begin(c.member_id, d.place, d.booked_on, p_now, true), c.lots, c.points, c.posting_no,
                                p_cause, p_reason, p_actor, gen_random_uuid(), p_hash, p_now);
  END LOOP;
  RETURN o;
END $$;

-- Takes an earning back from its own lot and the lots that continue it.
CREATE OR REPLACE FUNCTION ledger.reverse(
  p_member uuid, p_original bigint, p_cause text, p_reason text, p_booked_on date,
  p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  d ledger.draft;
  o ledger.outcome := ledger.first_answer(p_member, p_key, p_hash);
  p ledger.posting;
BEGIN
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  d := ledger.begin_chain(p_member, p_booked_on, p_now);
  IF d.refused IS NOT NULL THEN RETURN ledger.refusal(d.refused); END IF;
  SELECT * INTO p FROM ledger.posting WHERE member_id = p_member AND posting_no = p_original;
  IF NOT FOUND THEN RETURN ledger.refusal('unknown_posting'); END IF;
  IF p.kind <> 'earn' THEN RETURN ledger.refusal('wrong_kind'); END IF;
  d.place := p.place;
  o := ledger.reverse_lots(d, ARRAY(SELECT lot_no FROM ledger.lot WHERE member_id = p_member AND posting_no = p_original),
                           p.points, p_original, p_cause, p_reason, p_actor, p_key, p_hash, p_now);
  PERFORM ledger.follow(p_member, p_cause, p_reason, p_actor, p_now);
  RETURN o;
END $$;

-- Makes what an earning's cause has pending spendable from a day on, earlier than was said, here and where it was carried.
-- Answers the points that waited.
CREATE OR REPLACE FUNCTION ledger.ripen(p_member uuid, p_cause text, p_day date, p_now timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  l ledger.lot;
  v_points bigint := 0;
  v_chain uuid[] := ARRAY(SELECT ledger.chain_of(p_member));
BEGIN
  PERFORM ledger.booking_period(p_day);
  PERFORM FROM ledger.member_balance WHERE member_id = ANY (v_chain) ORDER BY member_id FOR UPDATE;
  FOR l IN
    WITH RECURSIVE kin (member_id, lot_no) AS (
      SELECT member_id, lot_no FROM ledger.lot WHERE member_id = p_member AND document = p_cause
      UNION SELECT k.into_member, k.into_lot FROM kin
              JOIN ledger.carried_lot k ON k.from_member = kin.member_id AND k.from_lot = kin.lot_no)
    SELECT t.* FROM kin JOIN ledger.lot t USING (member_id, lot_no) WHERE t.pending > 0 AND t.spendable_from > p_day
  LOOP
    v_points := v_points + l.pending;
    UPDATE ledger.lot SET spendable_from = greatest(p_day, l.granted_on) WHERE member_id = l.member_id AND lot_no = l.lot_no;
    UPDATE ledger.member_balance SET due_on = least(due_on, p_day) WHERE member_id = l.member_id;
  END LOOP;
  PERFORM ledger.sweep(v_chain, ledger.china_date(p_now), p_now);
  RETURN v_points;
END $$;

-- A correction by a person: points above zero are granted (funded by p_funder), below zero are taken back.
CREATE OR REPLACE FUNCTION ledger.adjust(
  p_member uuid, p_points bigint, p_funder text, p_cause text, p_reason text, p_booked_on date, p_expires_on date,
  p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  d ledger.draft;
  o ledger.outcome;
BEGIN
  IF p_points < 0 THEN
    RETURN ledger.redeem('adjust', p_member, -p_points, 'HQ', p_cause, p_reason, p_booked_on, NULL, false, NULL, NULL,
                         p_actor, p_key, p_hash, p_now);
  END IF;
  o := ledger.first_answer(p_member, p_key, p_hash);
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  IF p_expires_on < p_booked_on THEN RETURN ledger.refusal('dates_out_of_order'); END IF;
  d := ledger.begin(p_member, 'HQ', p_booked_on, p_now);
  IF d.refused IS NOT NULL THEN RETURN ledger.refusal(d.refused); END IF;
  d := ledger.grant_lot(d, p_points, p_funder, NULL, p_booked_on, p_expires_on);
  RETURN ledger.write(d, 'adjust', p_points, p_cause, p_reason, NULL, p_actor, p_key, p_hash, p_now);
END $$;

-- Forgives what a member owes, oldest debt first: the reversal is void for these points.
CREATE OR REPLACE FUNCTION ledger.write_off(
  p_member uuid, p_points bigint, p_cause text, p_reason text, p_booked_on date,
  p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  d ledger.draft;
  o ledger.outcome := ledger.first_answer(p_member, p_key, p_hash);
  v_debt ledger.debt;
  v_left bigint := p_points;
  v_part bigint;
BEGIN
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  d := ledger.begin(p_member, 'HQ', p_booked_on, p_now);
  IF d.refused IS NOT NULL THEN RETURN ledger.refusal(d.refused); END IF;
  IF p_points > d.owed THEN RETURN ledger.refusal('exceeds_owed', d.owed); END IF;
  FOR v_debt IN SELECT * FROM ledger.debt WHERE member_id = p_member AND is_open ORDER BY posting_no, funder LOOP
    EXIT WHEN v_left = 0;
    v_part := least(v_left, v_debt.incurred - v_debt.repaid - v_debt.written_off - v_debt.carried);
    UPDATE ledger.debt SET written_off = written_off + v_part
     WHERE member_id = p_member AND posting_no = v_debt.posting_no AND funder = v_debt.funder;
    d := ledger.move(d, NULL, 'reversed', 'owed', v_debt.funder, v_part);
    d.owed := d.owed - v_part;
    v_left := v_left - v_part;
  END LOOP;
  RETURN ledger.write(d, 'write_off', p_points, p_cause, p_reason, NULL, p_actor, p_key, p_hash, p_now);
END $$;

-- Releases holds that nobody resolved in time, a batch at a time.
CREATE OR REPLACE FUNCTION ledger.release_expired_holds(p_limit int, p_now timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  h ledger.hold;
  v_count bigint := 0;
BEGIN
  -- a closed wallet's holds wait; counted in, they would fill the batch and keep out those behind them
  FOR h IN SELECT o.* FROM ledger.hold o JOIN ledger.member_balance b USING (member_id)
            WHERE o.is_open AND b.is_open AND o.expires_at <= p_now ORDER BY o.member_id, o.posting_no LIMIT p_limit LOOP
    PERFORM FROM ledger.member_balance WHERE member_id = h.member_id FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    v_count := v_count + ((ledger.resolve_hold('release', h.member_id, h.posting_no, 0, 'hold_expired:' || h.posting_no,
      ledger.china_date(p_now), 'system', gen_random_uuid(), gen_random_uuid(), p_now)).status = 'posted')::int;
  END LOOP;
  RETURN v_count;
END $$;

-- ---------------------------------------------------------------------------------------------- merged wallets

-- The wallets to which a wallet's points were ever carried, itself among them.
CREATE OR REPLACE FUNCTION ledger.chain_of(p_member uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE AS $$
  WITH RECURSIVE chain (member_id) AS (
    SELECT p_member UNION SELECT c.into_member FROM chain JOIN ledger.carry c ON c.from_member = chain.member_id)
  SELECT member_id FROM chain
$$;

-- Begins what undoes an older posting: all wallets that may hold its points are locked first, in order of member.
CREATE OR REPLACE FUNCTION ledger.begin_chain(p_member uuid, p_booked_on date, p_now timestamptz) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
DECLARE
  d ledger.draft;
  v_chain uuid[] := ARRAY(SELECT ledger.chain_of(p_member));
BEGIN
  IF cardinality(v_chain) > 1 AND p_booked_on <= ledger.china_date(p_now) THEN
    PERFORM ledger.booking_period(p_booked_on);
    PERFORM FROM ledger.member_balance WHERE member_id = ANY (v_chain) ORDER BY member_id FOR UPDATE;
    IF EXISTS (SELECT FROM ledger.member_balance WHERE member_id = ANY (v_chain) AND NOT is_open AND merged_into IS NULL) THEN
      d.refused := 'wallet_closed';
      RETURN d;
    END IF;
  END IF;
  RETURN ledger.begin(p_member, NULL, p_booked_on, p_now, true);
END $$;

-- Carries all that a locked wallet has, and all it owes, to another locked one: a posting in each.
CREATE OR REPLACE FUNCTION ledger.carry_over(
  p_kind text, p_from uuid, p_into uuid, p_cause text, p_reason text, p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
DECLARE
  v_today date := ledger.china_date(p_now);
  a ledger.draft := ledger.begin(p_from, 'HQ', v_today, p_now, true);
  b ledger.draft := ledger.begin(p_into, 'HQ', v_today, p_now, true);
  l ledger.lot;
  v_debt ledger.debt;
  v_both record;
  v_part bigint;
  v_points bigint := 0;
BEGIN
  -- debts first: the points that follow repay them
  FOR v_debt IN SELECT * FROM ledger.debt WHERE member_id = p_from AND is_open ORDER BY posting_no, funder LOOP
    v_part := v_debt.incurred - v_debt.repaid - v_debt.written_off - v_debt.carried;
    v_both := ledger.carry_debt(a, b, v_debt, v_part);
    a := v_both.a;
    b := v_both.b;
  END LOOP;
  FOR l IN SELECT * FROM ledger.lot WHERE member_id = p_from AND pending + available > 0 ORDER BY lot_no LOOP
    v_part := l.pending + l.available;
    v_points := v_points + v_part;
    a := ledger.carry_out(a, l);
    INSERT INTO ledger.carried_lot (into_member, into_lot, from_member, from_lot) VALUES (p_into, b.lots + 1, p_from, l.lot_no);
    l.origin_lot := b.lots + 1;
    b := ledger.grant_lot(b, v_part, l.funder, NULL, l.spendable_from, l.expires_on, l);
  END LOOP;
  INSERT INTO ledger.carry (from_member, from_posting, into_member, into_posting, kind) VALUES (p_from, a.version, p_into, b.version, p_kind);
  PERFORM ledger.write(a, 'merge', -v_points, p_cause, p_reason, NULL, p_actor, gen_random_uuid(), p_hash, p_now);
  RETURN ledger.write(b, 'merge', v_points, p_cause, p_reason, NULL, p_actor, p_key, p_hash, p_now);
END $$;

-- Takes what is left of a lot out of its wallet.
CREATE OR REPLACE FUNCTION ledger.carry_out(d ledger.draft, l ledger.lot) RETURNS ledger.draft
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE ledger.lot SET pending = 0, available = 0, carried = carried + l.pending + l.available
   WHERE member_id = l.member_id AND lot_no = l.lot_no;
  IF l.pending > 0 THEN d := ledger.move(d, l.lot_no, 'pending', 'carried', l.funder, l.pending); END IF;
  IF l.available > 0 THEN d := ledger.move(d, l.lot_no, 'available', 'carried', l.funder, l.available); END IF;
  d.pending := d.pending - l.pending;
  d.available := d.available - l.available;
  RETURN d;
END $$;

-- Part of a debt of `a` becomes a debt of `b`, to the same funder.
CREATE OR REPLACE FUNCTION ledger.carry_debt(INOUT a ledger.draft, INOUT b ledger.draft, p_debt ledger.debt, p_points bigint)
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE ledger.debt SET carried = carried + p_points
   WHERE member_id = a.member_id AND posting_no = p_debt.posting_no AND funder = p_debt.funder;
  INSERT INTO ledger.debt AS k (member_id, posting_no, funder, incurred, came_from)
  VALUES (b.member_id, b.version, p_debt.funder, p_points, a.member_id)
  ON CONFLICT (member_id, posting_no, funder) DO UPDATE SET incurred = k.incurred + excluded.incurred;
  a := ledger.move(a, NULL, 'carried', 'owed', p_debt.funder, p_points);
  b := ledger.move(b, NULL, 'owed', 'carried', p_debt.funder, p_points);
  a.owed := a.owed - p_points;
  b.owed := b.owed + p_points;
END $$;

-- What came back to a merged wallet, or what it owes now, goes on to the wallet that stands for it.
CREATE OR REPLACE FUNCTION ledger.follow(p_member uuid, p_cause text, p_reason text, p_actor text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  m record;
BEGIN
  FOR m IN SELECT member_id, merged_into FROM ledger.member_balance
            WHERE member_id IN (SELECT ledger.chain_of(p_member)) AND merged_into IS NOT NULL AND pending + available + owed > 0
            ORDER BY member_id LOOP
    PERFORM ledger.carry_over('follow', m.member_id, m.merged_into, p_cause, p_reason, p_actor, gen_random_uuid(), gen_random_uuid(), p_now);
  END LOOP;
END $$;

-- Merges one member's wallet into another's, which goes on for both. The merged one is closed; what undoes its older
-- postings still works there and follows.
CREATE OR REPLACE FUNCTION ledger.merge_wallets(
  p_from uuid, p_into uuid, p_cause text, p_reason text, p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  o ledger.outcome := ledger.first_answer(p_into, p_key, p_hash);
  a ledger.member_balance;
  b ledger.member_balance;
BEGIN
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  IF p_from = p_into THEN RETURN ledger.refusal('same_member'); END IF;
  PERFORM ledger.booking_period(ledger.china_date(p_now));
  PERFORM FROM ledger.member_balance WHERE member_id IN (p_from, p_into) OR merged_into = p_from ORDER BY member_id FOR UPDATE;
  SELECT * INTO a FROM ledger.member_balance WHERE member_id = p_from;
  SELECT * INTO b FROM ledger.member_balance WHERE member_id = p_into;
  IF a.member_id IS NULL OR b.member_id IS NULL THEN RETURN ledger.refusal('unknown_member'); END IF;
  IF a.merged_into IS NOT NULL OR b.merged_into IS NOT NULL THEN RETURN ledger.refusal('already_merged'); END IF;
  IF NOT (a.is_open AND b.is_open) THEN RETURN ledger.refusal('wallet_closed'); END IF;
  IF a.held > 0 THEN RETURN ledger.refusal('holds_open'); END IF;
  o := ledger.carry_over('merge', p_from, p_into, p_cause, p_reason, p_actor, p_key, p_hash, p_now);
  UPDATE ledger.member_balance SET merged_into = p_into, is_open = false WHERE member_id = p_from OR merged_into = p_from;
  RETURN o;
END $$;

-- Parts two wallets again: what is left of the lots and debts that came from the one goes back to it; what the other has
-- spent of them since stays spent. A wallet that was itself merged since must be parted first.
CREATE OR REPLACE FUNCTION ledger.unmerge_wallets(
  p_from uuid, p_into uuid, p_cause text, p_reason text, p_actor text, p_key uuid, p_hash uuid, p_now timestamptz
) RETURNS ledger.outcome
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  o ledger.outcome := ledger.first_answer(p_into, p_key, p_hash);
  a ledger.draft;
  b ledger.draft;
  l ledger.lot;
  v_parent ledger.lot;
  v_debt ledger.debt;
  v_both record;
  v_part bigint;
  v_points bigint := 0;
  v_merge bigint;
BEGIN
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  PERFORM ledger.booking_period(ledger.china_date(p_now));
  PERFORM FROM ledger.member_balance WHERE member_id IN (p_from, p_into) OR merged_into = p_into ORDER BY member_id FOR UPDATE;
  SELECT from_posting INTO v_merge FROM ledger.carry
   WHERE from_member = p_from AND into_member = p_into AND kind = 'merge' AND NOT is_undone;
  IF NOT FOUND THEN RETURN ledger.refusal('not_merged'); END IF;
  IF EXISTS (SELECT FROM ledger.member_balance WHERE member_id = p_into AND merged_into IS NOT NULL) THEN
    RETURN ledger.refusal('merged_since');
  END IF;
  a := ledger.begin(p_from, 'HQ', ledger.china_date(p_now), p_now, true);
  b := ledger.begin(p_into, 'HQ', ledger.china_date(p_now), p_now);
  IF b.refused IS NOT NULL THEN RETURN ledger.refusal(b.refused); END IF;
  FOR v_debt IN SELECT * FROM ledger.debt WHERE member_id = p_into AND came_from = p_from AND is_open ORDER BY posting_no, funder LOOP
    v_part := v_debt.incurred - v_debt.repaid - v_debt.written_off - v_debt.carried;
    v_both := ledger.carry_debt(b, a, v_debt, v_part);
    b := v_both.a;
    a := v_both.b;
  END LOOP;
  FOR l IN SELECT t.* FROM ledger.lot t JOIN ledger.carried_lot k ON k.into_member = t.member_id AND k.into_lot = t.origin_lot
            WHERE t.member_id = p_into AND k.from_member = p_from AND t.pending + t.available > 0 ORDER BY t.lot_no LOOP
    v_part := l.pending + l.available;
    v_points := v_points + v_part;
    b := ledger.carry_out(b, l);
    SELECT t.* INTO STRICT v_parent FROM ledger.carried_lot k JOIN ledger.lot t ON t.member_id = k.from_member AND t.lot_no = k.from_lot
     WHERE k.into_member = p_into AND k.into_lot = l.origin_lot;
    a := ledger.grant_lot(a, v_part, l.funder, NULL, l.spendable_from, l.expires_on, v_parent);
  END LOOP;
  INSERT INTO ledger.carry (from_member, from_posting, into_member, into_posting, kind) VALUES (p_into, b.version, p_from, a.version, 'undo');
  PERFORM ledger.write(a, 'unmerge', v_points, p_cause, p_reason, v_merge, p_actor, gen_random_uuid(), p_hash, p_now);
  o := ledger.write(b, 'unmerge', -v_points, p_cause, p_reason, NULL, p_actor, p_key, p_hash, p_now);
  UPDATE ledger.carry SET is_undone = true WHERE from_member = p_from AND from_posting = v_merge;
  UPDATE ledger.member_balance SET merged_into = NULL, is_open = true WHERE member_id = p_from;
  -- those that had been merged into it stand behind it again
  WITH RECURSIVE behind (member_id) AS (
    SELECT c.from_member FROM ledger.carry c WHERE c.into_member = p_from AND c.kind = 'merge' AND NOT c.is_undone
    UNION SELECT c.from_member FROM behind JOIN ledger.carry c ON c.into_member = behind.member_id AND c.kind = 'merge' AND NOT c.is_undone)
  UPDATE ledger.member_balance SET merged_into = p_from WHERE member_id IN (SELECT member_id FROM behind);
  RETURN o;
END $$;

-- ---------------------------------------------------------------------------------------------- batches

-- One of a batch that needs care. The member is locked and the caller guards the cause: no lock for each key, of which a
-- transaction can hold only so many.
CREATE OR REPLACE FUNCTION ledger.earn_in_batch(
  p_member uuid, p_points bigint, p_funder text, p_place text, p_cause text, p_booked_on date, p_spendable_from date,
  p_expires_on date, p_actor text, p_key uuid, p_now timestamptz, p_activity_months smallint
) RETURNS ledger.outcome
LANGUAGE plpgsql AS $$
DECLARE
  o ledger.outcome := ledger.known_answer(p_member, p_key, p_key);
BEGIN
  IF o.status IS NOT NULL THEN RETURN o; END IF;
  RETURN ledger.earn_anew(p_member, p_points, p_funder, p_place, p_cause, NULL, p_booked_on, p_spendable_from,
                          p_expires_on, p_actor, p_key, p_key, p_now, p_activity_months);
END $$;

-- Earns for many members in one statement; arrays run in parallel, one element a row. The caller guarantees that each
-- cause is accepted once (visits keeps one row per repair order and revision); a row's key is its cause and attempt.
-- What has matured by the batch's last day comes first. Members that need more than plain granting (owing, lapsed points,
-- closed or unknown wallets) and known keys go through `earn_in_batch`, one by one.
CREATE OR REPLACE FUNCTION ledger.earn_batch(
  p_members uuid[], p_points bigint[], p_funders text[], p_places text[], p_causes text[], p_attempts int[],
  p_booked_on date[], p_spendable_from date[], p_expires_on date[], p_actor text, p_now timestamptz,
  p_activity_months smallint[] DEFAULT NULL
) RETURNS TABLE (idx bigint, status text, posting_no bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_today date := ledger.china_date(p_now);
  v_last date := (SELECT max(day) FROM unnest(p_booked_on) day WHERE day <= v_today);
  v_due uuid[];
  v_months date[];
  v_periods date[];
  v_fresh bigint[];
  v_posting_nos bigint[];
  v_single bigint[];
BEGIN
  SELECT array_agg(month ORDER BY month), array_agg(ledger.booking_period(month) ORDER BY month) INTO v_months, v_periods
    FROM (SELECT DISTINCT ledger.month_of(day) AS month FROM unnest(p_booked_on) day WHERE day <= v_today ORDER BY 1) months;
  SELECT array_agg(member_id) FILTER (WHERE is_open AND owed = 0 AND due_on <= v_last) INTO v_due
    FROM (SELECT member_id, is_open, owed, due_on FROM ledger.member_balance WHERE member_id = ANY (p_members)
           ORDER BY member_id FOR UPDATE) locked;
  IF v_due IS NOT NULL THEN PERFORM ledger.mature_all(v_due, v_last, p_now); END IF;

  WITH asked AS MATERIALIZED (
    SELECT r.*, b.version, b.lots, b.available, b.pending, b.held, b.owed, b.due_on,
           CASE WHEN r.spendable_from > r.booked_on THEN r.points ELSE 0 END AS waiting,
           b.member_id IS NULL OR NOT b.is_open OR b.owed > 0 OR b.due_on <= r.booked_on OR r.booked_on > v_today
             OR EXISTS (SELECT FROM ledger.posting p WHERE p.request_key = r.key) AS needs_care
      FROM (SELECT *, md5(cause || '#' || attempt)::uuid AS key
              FROM unnest(p_members, p_points, p_funders, p_places, p_causes, p_attempts, p_booked_on, p_spendable_from,
                          p_expires_on, p_activity_months)
                   WITH ORDINALITY AS r (member_id, points, funder, place, cause, attempt, booked_on, spendable_from,
                                         expires_on, activity_months, idx)
            OFFSET 0) r -- so that each key is computed once
      LEFT JOIN ledger.member_balance b USING (member_id)
  ), fresh AS MATERIALIZED (
    SELECT r.idx, r.member_id, r.points, r.funder, r.place, r.cause, r.booked_on, r.spendable_from, r.expires_on, r.key,
           r.activity_months, r.waiting, r.held, r.owed,
           v_periods[array_position(v_months, ledger.month_of(r.booked_on))] AS period,
           r.version + row_number() OVER own AS posting_no, r.lots + row_number() OVER own AS lot_no,
           r.available + sum((r.points - r.waiting)::int) OVER own AS available, -- of int: sums of bigint are numeric
           r.pending + sum(r.waiting::int) OVER own AS pending,
           least(r.due_on, min(CASE WHEN r.waiting > 0 THEN r.spendable_from ELSE r.expires_on + 1 END) OVER own) AS due_on,
           lead(r.idx) OVER own IS NULL AS is_last
      FROM asked r
     WHERE NOT r.needs_care
    WINDOW own AS (PARTITION BY r.member_id ORDER BY r.idx)
  ), postings AS (
    INSERT INTO ledger.posting (member_id, posting_no, kind, points, cause, place, booked_on, period,
                                actor, request_key, request_hash, posted_at, available, pending, held, owed)
    SELECT f.member_id, f.posting_no, 'earn', f.points, f.cause, f.place, f.booked_on, f.period,
           p_actor, f.key, f.key, p_now, f.available, f.pending, f.held, f.owed FROM fresh f
  ), lots AS (
    INSERT INTO ledger.lot (member_id, lot_no, posting_no, origin_lot, funder, document, granted, pending, available,
                            granted_on, spendable_from, expires_on, activity_months)
    SELECT f.member_id, f.lot_no, f.posting_no, f.lot_no, f.funder, f.cause, f.points, f.waiting, f.points - f.waiting,
           f.booked_on, f.spendable_from, f.expires_on, f.activity_months FROM fresh f
  ), movements AS (
    INSERT INTO ledger.movement (member_id, posting_no, line, lot_no, from_bucket, to_bucket, funder, place, points,
                                 booked_on, period)
    SELECT f.member_id, f.posting_no, 1, f.lot_no, 'issued',
           CASE WHEN f.waiting > 0 THEN 'pending' ELSE 'available' END::ledger.bucket, f.funder, f.place, f.points,
           f.booked_on, f.period
      FROM fresh f
  ), balances AS (
    UPDATE ledger.member_balance b
       SET available = f.available, pending = f.pending, version = f.posting_no, lots = f.lot_no, due_on = f.due_on
      FROM fresh f
     WHERE b.member_id = f.member_id AND f.is_last
  )
  SELECT f.indexes, f.posting_nos, (SELECT array_agg(r.idx ORDER BY r.idx) FROM asked r WHERE r.needs_care)
    INTO v_fresh, v_posting_nos, v_single
    FROM (SELECT array_agg(r.idx) AS indexes, array_agg(r.posting_no) AS posting_nos FROM fresh r) f;

  RETURN QUERY SELECT f.idx, 'posted', f.posting_no FROM unnest(v_fresh, v_posting_nos) AS f (idx, posting_no);
  RETURN QUERY
  SELECT i, o.status, o.posting_no
    FROM unnest(v_single) i,
         LATERAL ledger.earn_in_batch(p_members[i], p_points[i], p_funders[i], p_places[i], p_causes[i], p_booked_on[i],
                                      p_spendable_from[i], p_expires_on[i], p_actor,
                                      md5(p_causes[i] || '#' || p_attempts[i])::uuid, p_now, p_activity_months[i]) o;
END $$;

-- ---------------------------------------------------------------------------------------------- roll-ups and seals

-- Folds finished transactions into the roll-up; only rows below the oldest running transaction, so that a late
-- committer is never skipped. One writer at a time; others leave at once.
CREATE OR REPLACE FUNCTION ledger.roll_up() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_from bigint;
  v_below bigint;
  v_rows bigint;
BEGIN
  SELECT below_xid INTO v_from FROM ledger.rollup_watermark FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN 0; END IF;
  v_below := greatest(v_from, pg_snapshot_xmin(pg_current_snapshot())::text::bigint);
  INSERT INTO ledger.rollup AS r (period, booked_on, funder, place, from_bucket, to_bucket, points, movements)
  SELECT period, booked_on, funder, place, from_bucket, to_bucket, sum(points), count(*)
    FROM ledger.movement WHERE xid >= v_from AND xid < v_below
   GROUP BY period, booked_on, funder, place, from_bucket, to_bucket
  ON CONFLICT (period, booked_on, funder, place, from_bucket, to_bucket)
  DO UPDATE SET points = r.points + excluded.points, movements = r.movements + excluded.movements;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  UPDATE ledger.rollup_watermark SET below_xid = v_below;
  RETURN v_rows;
END $$;

-- What a seal covers: every total of the period, in a fixed order. (In PL/pgSQL, whose plans notice a partition made since:
-- PostgreSQL 15 keeps a SQL function's plan for the transaction and would miss its rows.)
CREATE OR REPLACE FUNCTION ledger.period_digest(p_period date) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  RETURN (
    SELECT sha256(convert_to(coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), ''), 'UTF8')) FROM (
      SELECT concat_ws('|', to_char(booked_on, 'YYYY-MM-DD'), funder, place, from_bucket, to_bucket, sum(points), count(*)) AS line
        FROM ledger.movement WHERE period = p_period
       GROUP BY booked_on, funder, place, from_bucket, to_bucket) totals);
END $$;

CREATE OR REPLACE FUNCTION ledger.seal_of(p_period date, p_previous bytea, p_digest bytea, p_statements bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256(convert_to(to_char(p_period, 'YYYY-MM'), 'UTF8') || coalesce(p_previous, '') || p_digest || p_statements)
$$;

-- Keeps posters out of a month until commit and says whether it may be closed: ready, or why not.
CREATE OR REPLACE FUNCTION ledger.lock_period(p_period date, p_now timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v ledger.period;
BEGIN
  IF p_period >= ledger.month_of(ledger.china_date(p_now)) THEN RETURN 'not_ended'; END IF;
  IF p_period < (SELECT min(period) FROM ledger.period) THEN RETURN 'before_first'; END IF;
  PERFORM pg_advisory_xact_lock(ledger.period_lock(p_period));
  -- after the lock: a poster that waits to open this very month has it shared already
  PERFORM ledger.open_period(m::date) FROM generate_series((SELECT min(period) FROM ledger.period), p_period, interval '1 month') m;
  SELECT * INTO STRICT v FROM ledger.period WHERE period = p_period;
  IF v.sealed_at IS NOT NULL THEN RETURN 'already_sealed'; END IF;
  IF EXISTS (SELECT FROM ledger.period WHERE period < p_period AND sealed_at IS NULL) THEN RETURN 'gap'; END IF;
  RETURN 'ready';
END $$;

-- Seals a locked month; p_statements is the digest of the statements made from it.
CREATE OR REPLACE FUNCTION ledger.seal_period(p_period date, p_statements bytea, p_now timestamptz) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  v_previous bytea;
  v_digest bytea;
  v_seal bytea;
BEGIN
  IF ledger.lock_period(p_period, p_now) <> 'ready' THEN RAISE EXCEPTION 'period % is not ready to be sealed', p_period; END IF;
  -- read after the lock: a posting that it waited for is in
  v_previous := (SELECT seal FROM ledger.period WHERE period < p_period ORDER BY period DESC LIMIT 1);
  v_digest := ledger.period_digest(p_period);
  v_seal := ledger.seal_of(p_period, v_previous, v_digest, p_statements);
  UPDATE ledger.period SET sealed_at = p_now, digest = v_digest, statements = p_statements, seal = v_seal
   WHERE period = p_period;
  RETURN v_seal;
END $$;

-- ---------------------------------------------------------------------------------------------- rights

-- the service reads the ledger and calls these; it writes no ledger table itself
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC, club_app;
GRANT EXECUTE ON FUNCTION
  ledger.month_of, ledger.china_date, ledger.seal_of, ledger.period_digest, ledger.open_period,
  ledger.open_wallets, ledger.close_wallet, ledger.expect_code, ledger.withdraw_code,
  ledger.earn, ledger.redeem, ledger.resolve_hold, ledger.ripen, ledger.refund, ledger.reverse, ledger.adjust, ledger.write_off,
  ledger.merge_wallets, ledger.unmerge_wallets,
  ledger.earn_batch, ledger.active_until, ledger.due, ledger.sweep, ledger.release_expired_holds, ledger.roll_up, ledger.lock_period, ledger.seal_period
TO club_app;
