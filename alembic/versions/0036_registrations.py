"""Who comes to an event: registrations with companions, the waiting list's decisions, check-ins."""

from app.core.migrations import run_script

revision = "0036"
down_revision = "0035"

TABLES = """
CREATE TABLE registration (
  id                uuid NOT NULL CONSTRAINT pk_registration PRIMARY KEY,
  event_id          uuid NOT NULL CONSTRAINT fk_registration_event_id REFERENCES club_event (id),
  member_id         uuid NOT NULL CONSTRAINT fk_registration_member_id REFERENCES member (id),
  status            text NOT NULL,
  party             integer NOT NULL,
  queue_no          integer NOT NULL,
  offered_until     timestamptz,
  answers           bytea,
  fee_points        bigint NOT NULL,
  fee_fen           bigint NOT NULL,
  wallet_id         uuid CONSTRAINT fk_registration_wallet_id REFERENCES member (id),
  fee_posting_no    bigint,
  fee_refund_no     bigint,
  payment_reference text,
  paid_at           timestamptz,
  paid_by           text,
  is_walk_up        boolean NOT NULL,
  request_hash      bytea NOT NULL,
  registered_by     text NOT NULL,
  registered_at     timestamptz NOT NULL,
  ended_by          text,
  ended_at          timestamptz,
  reason            text,
  version           integer NOT NULL,
  CONSTRAINT uq_registration_event_id_queue_no UNIQUE (event_id, queue_no),
  CONSTRAINT ck_registration_status CHECK (status IN ('registered', 'waiting', 'offered', 'cancelled', 'lapsed')),
  CONSTRAINT ck_registration_party CHECK (party > 0),
  CONSTRAINT ck_registration_fee CHECK (fee_points >= 0 AND fee_fen >= 0),
  CONSTRAINT ck_registration_offered CHECK ((status = 'offered') <= (offered_until IS NOT NULL)),
  CONSTRAINT ck_registration_ended CHECK ((status IN ('cancelled', 'lapsed')) = (ended_at IS NOT NULL)),
  CONSTRAINT ck_registration_posting CHECK ((fee_posting_no IS NULL) = (wallet_id IS NULL))
);
CREATE UNIQUE INDEX uq_registration_live ON registration (event_id, member_id)
  WHERE status IN ('registered', 'waiting', 'offered');
CREATE INDEX ix_registration_member_id ON registration (member_id);
CREATE INDEX ix_registration_offered ON registration (offered_until) WHERE status = 'offered';
CREATE INDEX ix_registration_wallet ON registration (wallet_id) WHERE wallet_id IS NOT NULL;
CREATE INDEX ix_registration_waiting ON registration (event_id) WHERE status = 'waiting';

CREATE TABLE companion (
  id              uuid NOT NULL CONSTRAINT pk_companion PRIMARY KEY,
  registration_id uuid NOT NULL CONSTRAINT fk_companion_registration_id REFERENCES registration (id),
  name            bytea NOT NULL,
  is_minor        boolean NOT NULL,
  guardian        bytea,
  CONSTRAINT ck_companion_guardian CHECK (is_minor = (guardian IS NOT NULL))
);
CREATE INDEX ix_companion_registration_id ON companion (registration_id);

CREATE TABLE queue_decision (
  id              uuid NOT NULL CONSTRAINT pk_queue_decision PRIMARY KEY,
  event_id        uuid NOT NULL CONSTRAINT fk_queue_decision_event_id REFERENCES club_event (id),
  registration_id uuid NOT NULL CONSTRAINT fk_queue_decision_registration_id REFERENCES registration (id),
  kind            text NOT NULL,
  free            integer NOT NULL,
  needed          integer NOT NULL,
  by              text NOT NULL,
  at              timestamptz NOT NULL,
  reason          text,
  CONSTRAINT ck_queue_decision_kind CHECK (kind IN ('offered', 'too_big', 'by_hand', 'lapsed'))
);
CREATE INDEX ix_queue_decision_event_id ON queue_decision (event_id, id);
CREATE INDEX ix_queue_decision_registration_id ON queue_decision (registration_id);

CREATE TABLE check_in (
  id              uuid NOT NULL CONSTRAINT pk_check_in PRIMARY KEY,
  event_id        uuid NOT NULL CONSTRAINT fk_check_in_event_id REFERENCES club_event (id),
  registration_id uuid NOT NULL CONSTRAINT fk_check_in_registration_id REFERENCES registration (id),
  nonce           text NOT NULL,
  at              timestamptz NOT NULL,
  by              text NOT NULL,
  device          text,
  recorded_at     timestamptz NOT NULL,
  undone_at       timestamptz,
  undone_by       text,
  undo_reason     text,
  CONSTRAINT uq_check_in_event_id_nonce UNIQUE (event_id, nonce),
  CONSTRAINT ck_check_in_undone CHECK ((undone_at IS NULL) = (undone_by IS NULL))
);
CREATE UNIQUE INDEX uq_check_in_live ON check_in (registration_id) WHERE undone_at IS NULL;
CREATE INDEX ix_check_in_registration_id ON check_in (registration_id);
"""

# who holds or supports an event sees all who come to it, members of other chapters too; a member itself
ROWS = """
ALTER TABLE registration ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON registration TO club_app USING (
  (SELECT club_reach()) = 'all' OR member_id = (SELECT club_member()) OR club_holds_event(event_id)
  OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE companion ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON companion TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM registration r WHERE r.id = registration_id));

ALTER TABLE queue_decision ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON queue_decision TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM registration r WHERE r.id = registration_id));

ALTER TABLE check_in ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON check_in TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM registration r WHERE r.id = registration_id));

GRANT SELECT, INSERT, UPDATE ON registration, check_in TO club_app;
GRANT SELECT, INSERT, DELETE ON companion TO club_app;
GRANT SELECT, INSERT ON queue_decision TO club_app;
"""


def upgrade() -> None:
    run_script("SET LOCAL lock_timeout = '3s'")
    run_script(TABLES)
    run_script(ROWS)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
