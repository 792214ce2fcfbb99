"""Points redeemed plainly count towards headquarters' share of a bill; pictures of rewards are kept here, too."""

from app.core.migrations import run_script

revision = "0048"
down_revision = "0047"

SCRIPT = """
SET LOCAL lock_timeout = '3s';

CREATE TABLE bill_payment (
  wallet_id     uuid NOT NULL,
  posting_no    bigint NOT NULL,
  dealer_code   text NOT NULL CONSTRAINT fk_bill_payment_dealer_code REFERENCES dealer (code),
  order_no      text NOT NULL,
  bill_fen      bigint NOT NULL,
  fen_per_point integer NOT NULL,
  CONSTRAINT pk_bill_payment PRIMARY KEY (wallet_id, posting_no),
  CONSTRAINT ck_bill_payment_amounts CHECK (bill_fen > 0 AND fen_per_point > 0)
);
CREATE INDEX ix_bill_payment_bill ON bill_payment (dealer_code, order_no);
ALTER TABLE bill_payment ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON bill_payment TO club_app
  USING ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));
GRANT SELECT, INSERT ON bill_payment TO club_app;

CREATE TABLE reward_image (
  id          uuid CONSTRAINT pk_reward_image PRIMARY KEY,
  reward_id   uuid NOT NULL CONSTRAINT fk_reward_image_reward_id REFERENCES reward (id),
  media_type  text NOT NULL,
  sha256      bytea NOT NULL,
  content     bytea NOT NULL,
  uploaded_by text NOT NULL,
  uploaded_at timestamptz NOT NULL
);
CREATE INDEX ix_reward_image_reward_id ON reward_image (reward_id);
ALTER TABLE reward_image ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON reward_image FOR SELECT TO club_app USING (true);
CREATE POLICY reach ON reward_image TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (
    SELECT FROM reward r WHERE r.id = reward_id AND r.dealer_code = ANY ((SELECT club_reached())::text[])));
GRANT SELECT, INSERT, DELETE ON reward_image TO club_app;
"""


def upgrade() -> None:
    run_script(SCRIPT)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
