"""The tier programme, its tiers, who holds one, and how it came to that."""

from app.core.migrations import run_script

revision = "0030"
down_revision = "0029"

TABLES = """
SET LOCAL lock_timeout = '3s';

CREATE TABLE tier_programme (
  no            integer NOT NULL CONSTRAINT ck_tier_programme_one CHECK (no = 1),
  measure       text NOT NULL CONSTRAINT ck_tier_programme_measure CHECK (measure IN ('status_points', 'spend', 'visits')),
  window_months integer NOT NULL,
  period_months integer NOT NULL,
  warn_days     integer NOT NULL,
  is_active     boolean NOT NULL,
  version       integer NOT NULL,
  CONSTRAINT pk_tier_programme PRIMARY KEY (no),
  CONSTRAINT ck_tier_programme_spans CHECK (window_months > 0 AND period_months > 0 AND warn_days >= 0)
);
INSERT INTO tier_programme VALUES (1, 'status_points', 12, 12, 60, false, 1);

CREATE TABLE tier (
  code      text CONSTRAINT pk_tier PRIMARY KEY,
  label_zh  text NOT NULL,
  label_en  text NOT NULL,
  perks_zh  text,
  perks_en  text,
  threshold bigint NOT NULL CONSTRAINT uq_tier_threshold UNIQUE CONSTRAINT ck_tier_threshold CHECK (threshold >= 0),
  version   integer NOT NULL
);

CREATE TABLE member_tier (
  member_id  uuid CONSTRAINT pk_member_tier PRIMARY KEY CONSTRAINT fk_member_tier_member_id REFERENCES member (id),
  tier_code  text NOT NULL CONSTRAINT fk_member_tier_tier_code REFERENCES tier (code),
  since      date NOT NULL,
  held_until date NOT NULL,
  warned_on  date
);

CREATE TABLE tier_change (
  no         bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_tier_change PRIMARY KEY,
  member_id  uuid NOT NULL CONSTRAINT fk_tier_change_member_id REFERENCES member (id),
  kind       text NOT NULL
             CONSTRAINT ck_tier_change_kind CHECK (kind IN ('risen', 'renewed', 'warned', 'fallen', 'set', 'merged', 'parted')),
  from_tier  text,
  to_tier    text,
  amount     bigint,
  day        date NOT NULL,
  held_until date,
  reason     text,
  at         timestamptz NOT NULL,
  by         text NOT NULL
);
CREATE INDEX ix_tier_change_member ON tier_change (member_id, no);

ALTER TABLE member_tier ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON member_tier TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));
ALTER TABLE tier_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON tier_change TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

GRANT SELECT, UPDATE ON tier_programme TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tier, member_tier TO club_app;
GRANT SELECT, INSERT ON tier_change TO club_app;
GRANT UPDATE (reason) ON tier_change TO club_app;
"""


def upgrade() -> None:
    run_script(TABLES)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
