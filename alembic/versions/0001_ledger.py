"""The ledger: balances, lots, holds, debts, postings, movements, periods, roll-ups."""

from app.core.migrations import run_script

revision = "0001"
down_revision = None

TABLES = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'club_app') THEN CREATE ROLE club_app NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
  -- who made the role is its member, but since PostgreSQL 16 may not yet take it on
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN GRANT club_app TO CURRENT_USER; END IF;
EXCEPTION WHEN insufficient_privilege THEN
  IF NOT pg_has_role(current_user, 'club_app', 'MEMBER') THEN RAISE; END IF;
END $$;

CREATE SCHEMA ledger;
GRANT USAGE ON SCHEMA ledger TO club_app;

CREATE TYPE ledger.bucket AS ENUM
  ('issued', 'pending', 'available', 'held', 'spent', 'expired', 'reversed', 'owed', 'carried');

CREATE TYPE ledger.posting_kind AS ENUM
  ('earn', 'mature', 'hold', 'capture', 'release', 'redeem', 'refund', 'reverse', 'expire', 'adjust', 'write_off');

-- Numbers below zero are refused by domains: PostgreSQL keeps a domain's CHECK ready in the session, while it parses
-- a table's CHECK anew for every statement (measured: half of a lot's insert).
CREATE DOMAIN ledger.points AS bigint CHECK (VALUE >= 0);
CREATE DOMAIN ledger.some_points AS bigint CHECK (VALUE > 0);

CREATE TABLE ledger.member_balance (
  member_id uuid PRIMARY KEY,
  available ledger.points NOT NULL DEFAULT 0,
  pending   ledger.points NOT NULL DEFAULT 0,
  held      ledger.points NOT NULL DEFAULT 0,
  owed      ledger.points NOT NULL DEFAULT 0,
  version   bigint NOT NULL DEFAULT 0,
  lots      integer NOT NULL DEFAULT 0,
  is_open   boolean NOT NULL DEFAULT true
) WITH (fillfactor = 70);
COMMENT ON TABLE ledger.member_balance IS
  'One wallet a member; the only lock. version: the last posting number; lots: the last lot number.';

CREATE TABLE ledger.lot (
  member_id  uuid NOT NULL,
  lot_no     integer NOT NULL,
  posting_no bigint NOT NULL,
  origin_lot integer NOT NULL,
  funder     text NOT NULL,
  document   text,
  is_live    boolean NOT NULL DEFAULT true,
  granted    ledger.some_points NOT NULL,
  pending    ledger.points NOT NULL DEFAULT 0,
  available  ledger.points NOT NULL DEFAULT 0,
  held       ledger.points NOT NULL DEFAULT 0,
  spent      ledger.points NOT NULL DEFAULT 0,
  expired    ledger.points NOT NULL DEFAULT 0,
  reversed   ledger.points NOT NULL DEFAULT 0,
  repaid     ledger.points NOT NULL DEFAULT 0,
  carried    ledger.points NOT NULL DEFAULT 0,
  granted_on date NOT NULL,
  spendable_from date NOT NULL,
  expires_on date NOT NULL,
  is_open boolean NOT NULL GENERATED ALWAYS AS (pending + available + held > 0) STORED,
  PRIMARY KEY (member_id, lot_no),
  CHECK (pending + available + held + spent + expired + reversed + repaid + carried = granted)
) WITH (fillfactor = 70);
CREATE INDEX lot_open ON ledger.lot (member_id, expires_on, lot_no) WHERE is_open;
CREATE UNIQUE INDEX lot_document ON ledger.lot (document, member_id) WHERE is_live;
COMMENT ON TABLE ledger.lot IS
  'What one earning gave and where its points are now. expires_on: the last spendable day. document: the cause it holds while live.';

CREATE TABLE ledger.hold (
  member_id  uuid NOT NULL,
  posting_no bigint NOT NULL,
  period     date NOT NULL,
  points     ledger.some_points NOT NULL,
  captured   ledger.points NOT NULL DEFAULT 0 CHECK (captured <= points),
  place      text NOT NULL,
  expires_at timestamptz NOT NULL,
  is_open    boolean NOT NULL DEFAULT true,
  PRIMARY KEY (member_id, posting_no)
);
CREATE INDEX hold_open ON ledger.hold (expires_at) WHERE is_open;

CREATE TABLE ledger.debt (
  member_id   uuid NOT NULL,
  posting_no  bigint NOT NULL,
  funder      text NOT NULL,
  incurred    ledger.some_points NOT NULL,
  repaid      bigint NOT NULL DEFAULT 0,
  written_off ledger.points NOT NULL DEFAULT 0,
  is_open     boolean NOT NULL GENERATED ALWAYS AS (incurred > repaid + written_off) STORED,
  PRIMARY KEY (member_id, posting_no),
  CHECK (repaid + written_off <= incurred)
);

CREATE TABLE ledger.confirmation (
  member_id  uuid PRIMARY KEY,
  last_step  bigint NOT NULL DEFAULT 0,
  digest     bytea,
  place      text,
  points     bigint,
  expires_at timestamptz,
  failures   integer NOT NULL DEFAULT 0,
  failed_at  timestamptz
) WITH (fillfactor = 70);

CREATE TABLE ledger.posting (
  member_id    uuid NOT NULL,
  posting_no   bigint NOT NULL,
  kind         ledger.posting_kind NOT NULL,
  points       bigint NOT NULL,
  cause        text NOT NULL,
  place        text NOT NULL,
  reason       text,
  resolves     bigint,
  booked_on    date NOT NULL,
  period       date NOT NULL,
  actor        text NOT NULL,
  request_key  uuid NOT NULL,
  request_hash uuid NOT NULL,
  posted_at    timestamptz NOT NULL,
  available    ledger.points NOT NULL,
  pending      ledger.points NOT NULL,
  held         ledger.points NOT NULL,
  owed         ledger.points NOT NULL,
  PRIMARY KEY (member_id, posting_no),
  UNIQUE (request_key, member_id)
);
CREATE UNIQUE INDEX posting_ended ON ledger.posting (member_id, resolves) WHERE kind IN ('capture', 'release', 'reverse');
COMMENT ON TABLE ledger.posting IS
  'One accepted cause for one member, never changed: who, where, when, why, and the balances after it.';

CREATE TABLE ledger.movement (
  member_id   uuid NOT NULL,
  posting_no  bigint NOT NULL,
  line        integer NOT NULL,
  lot_no      integer,
  from_bucket ledger.bucket NOT NULL,
  to_bucket   ledger.bucket NOT NULL,
  funder      text NOT NULL,
  place       text NOT NULL,
  points      ledger.some_points NOT NULL,
  booked_on   date NOT NULL,
  period      date NOT NULL,
  xid         bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
  PRIMARY KEY (member_id, posting_no, line, period)
) PARTITION BY LIST (period);
CREATE INDEX movement_xid ON ledger.movement USING brin (xid);
COMMENT ON TABLE ledger.movement IS 'Both legs of one move of points in one row, so that it balances by construction.';

CREATE TABLE ledger.period (
  period     date PRIMARY KEY CHECK (extract(day FROM period) = 1),
  sealed_at  timestamptz,
  digest     bytea,
  statements bytea,
  seal       bytea,
  CHECK (num_nulls(sealed_at, digest, statements, seal) IN (0, 4))
);

CREATE TABLE ledger.rollup (
  period date, booked_on date, funder text, place text, from_bucket ledger.bucket, to_bucket ledger.bucket,
  points numeric NOT NULL, movements bigint NOT NULL,
  PRIMARY KEY (period, booked_on, funder, place, from_bucket, to_bucket)
);
CREATE TABLE ledger.rollup_watermark (
  only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  below_xid bigint NOT NULL
);
INSERT INTO ledger.rollup_watermark (below_xid) VALUES (0);

-- For accountants: each movement as its two entries.
CREATE VIEW ledger.entry AS
  SELECT member_id, posting_no, line, lot_no, funder, place, booked_on, period, from_bucket AS account, -points AS points
    FROM ledger.movement
  UNION ALL
  SELECT member_id, posting_no, line, lot_no, funder, place, booked_on, period, to_bucket, points FROM ledger.movement;

CREATE TYPE ledger.outcome AS (
  status text, posting_no bigint, kind ledger.posting_kind, points bigint, cause text, booked_on date, period date, posted_at timestamptz,
  available bigint, pending bigint, held bigint, owed bigint
);
CREATE TYPE ledger.draft AS (
  member_id uuid, version bigint, lots integer, available bigint, pending bigint, held bigint, owed bigint,
  line integer, place text, booked_on date, period date, refused text
);

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'ledger.% is append-only: post a reversal instead', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON ledger.posting FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON ledger.movement FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.posting EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.movement EXECUTE FUNCTION ledger.refuse_change();

REVOKE ALL ON ALL TABLES IN SCHEMA ledger FROM PUBLIC, club_app;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO club_app;
"""


def upgrade() -> None:
    run_script(TABLES)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
