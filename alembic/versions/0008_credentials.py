"""How accounts prove who they are: passwords to change, second factors, failed attempts, identities at a provider."""

from app.core.migrations import run_script

revision = "0008"
down_revision = "0007"

CREDENTIALS = """
CREATE TABLE credential (
  account_id uuid CONSTRAINT pk_credential PRIMARY KEY CONSTRAINT fk_credential_account_id REFERENCES account,
  must_change boolean NOT NULL,
  is_demo boolean NOT NULL,
  changed_at timestamptz NOT NULL
);
CREATE TABLE second_factor (
  account_id uuid CONSTRAINT pk_second_factor PRIMARY KEY CONSTRAINT fk_second_factor_account_id REFERENCES account,
  sealed_secret bytea NOT NULL,
  confirmed_at timestamptz,
  last_step integer,
  created_at timestamptz NOT NULL
);
CREATE TABLE recovery_code (
  account_id uuid CONSTRAINT fk_recovery_code_account_id REFERENCES account,
  digest bytea,
  used_at timestamptz,
  CONSTRAINT pk_recovery_code PRIMARY KEY (account_id, digest)
);
CREATE TABLE sign_in_attempt (
  key bytea CONSTRAINT pk_sign_in_attempt PRIMARY KEY,
  failures integer NOT NULL CONSTRAINT ck_sign_in_attempt_failures CHECK (failures >= 0),
  last_at timestamptz NOT NULL,
  blocked_until timestamptz,
  good_at timestamptz
);
CREATE INDEX ix_sign_in_attempt_last_at ON sign_in_attempt (last_at);
CREATE TABLE external_identity (
  account_id uuid CONSTRAINT pk_external_identity PRIMARY KEY
    CONSTRAINT fk_external_identity_account_id REFERENCES account,
  email text NOT NULL CONSTRAINT uq_external_identity_email UNIQUE,
  issuer text,
  subject text,
  linked_at timestamptz,
  CONSTRAINT uq_external_identity_subject UNIQUE (issuer, subject),
  CONSTRAINT ck_external_identity_link CHECK ((issuer IS NULL) = (subject IS NULL))
);
GRANT SELECT, INSERT, UPDATE ON credential TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON second_factor, recovery_code, sign_in_attempt, external_identity TO club_app;
"""


def upgrade() -> None:
    run_script(CREDENTIALS)


def downgrade() -> None:
    raise NotImplementedError("how people sign in is not taken back: restore a backup instead")
