"""Staff and sign-in: who may undo a deactivation, when it was, and sign-ins handed over to a front end."""

from app.core.migrations import run_script

revision = "0015"
down_revision = "0014"

# the defaults are for the release that is still running; who was deactivated until now, headquarters looks at
STAFF = """
ALTER TABLE account
  ADD is_blocked boolean NOT NULL DEFAULT false,
  ADD deactivated_at timestamptz;
UPDATE account SET is_blocked = true WHERE NOT is_active;
ALTER TABLE account ADD CONSTRAINT ck_account_blocked CHECK (NOT (is_active AND is_blocked));
CREATE INDEX ix_account_deactivated ON account (deactivated_at) WHERE deactivated_at IS NOT NULL;

CREATE TABLE sign_in_handover (
  digest bytea CONSTRAINT pk_sign_in_handover PRIMARY KEY,
  account_id uuid NOT NULL CONSTRAINT fk_sign_in_handover_account_id REFERENCES account,
  challenge text NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX ix_sign_in_handover_account_id ON sign_in_handover (account_id);
CREATE INDEX ix_sign_in_handover_expires_at ON sign_in_handover (expires_at);
GRANT SELECT, INSERT, DELETE ON sign_in_handover TO club_app;
"""


def upgrade() -> None:
    run_script("SET LOCAL lock_timeout = '3s';" + STAFF)


def downgrade() -> None:
    raise NotImplementedError("who was deactivated by whom is not taken back: restore a backup instead")
