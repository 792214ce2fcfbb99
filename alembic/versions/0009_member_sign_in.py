"""How members sign in: codes sent to their phones, WeChat users."""

from app.core.migrations import run_script

revision = "0009"
down_revision = "0008"

MEMBER_SIGN_IN = """
CREATE TABLE sign_in_code (
  phone_digest bytea CONSTRAINT pk_sign_in_code PRIMARY KEY,
  digest bytea,
  expires_at timestamptz NOT NULL,
  tries integer NOT NULL CONSTRAINT ck_sign_in_code_tries CHECK (tries >= 0),
  sent_at timestamptz[] NOT NULL
);
CREATE INDEX ix_sign_in_code_expires_at ON sign_in_code (expires_at);
CREATE TABLE wechat_user (
  app_id text,
  openid text,
  member_id uuid NOT NULL CONSTRAINT fk_wechat_user_member_id REFERENCES member,
  linked_at timestamptz NOT NULL,
  CONSTRAINT pk_wechat_user PRIMARY KEY (app_id, openid)
);
CREATE INDEX ix_wechat_user_member_id ON wechat_user (member_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_code, wechat_user TO club_app;
"""


def upgrade() -> None:
    run_script(MEMBER_SIGN_IN)


def downgrade() -> None:
    raise NotImplementedError("how members sign in is not taken back: restore a backup instead")
