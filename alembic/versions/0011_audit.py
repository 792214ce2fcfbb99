"""The trail of deeds, which only grows."""

from app.core.migrations import run_script

revision = "0011"
down_revision = "0010"

TRAIL = """
CREATE TABLE audit_event (
  id          uuid NOT NULL CONSTRAINT pk_audit_event PRIMARY KEY,
  at          timestamptz NOT NULL,
  actor       text,
  role        text,
  reach       text,
  request_id  text,
  address     text,
  operation   text,
  action      text NOT NULL,
  target_kind text,
  target_ids  text[] NOT NULL,
  changes     jsonb NOT NULL,
  outcome     text NOT NULL
);
CREATE INDEX ix_audit_event_at ON audit_event (at, id);
CREATE INDEX ix_audit_event_actor ON audit_event (actor, at, id);
CREATE INDEX ix_audit_event_action ON audit_event (action, at, id);
CREATE INDEX ix_audit_event_target_ids ON audit_event USING gin (target_ids);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_event EXECUTE FUNCTION refuse_audit_change();

-- everybody's deeds are written; only who reaches all may read them
ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY written ON audit_event FOR INSERT TO club_app WITH CHECK (true);
CREATE POLICY reach ON audit_event FOR SELECT TO club_app USING (
  (SELECT nullif(current_setting('club.reach', true), '')) = 'all');
REVOKE ALL ON audit_event FROM PUBLIC;
GRANT SELECT, INSERT ON audit_event TO club_app;
"""


def upgrade() -> None:
    run_script(TRAIL)


def downgrade() -> None:
    raise NotImplementedError("a trail is not wiped: restore a backup instead")
