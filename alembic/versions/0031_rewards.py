"""The catalogue of rewards with its stock and codes, and members' orders."""

from app.core.migrations import run_script

revision = "0031"
down_revision = "0030"

TABLES = """
SET LOCAL lock_timeout = '3s';

CREATE TABLE reward (
  id                uuid CONSTRAINT pk_reward PRIMARY KEY,
  kind              text NOT NULL CONSTRAINT ck_reward_kind CHECK (kind IN ('service', 'gift', 'coupon', 'partner_voucher', 'event_fee', 'donation')),
  dealer_code       text CONSTRAINT fk_reward_dealer_code REFERENCES dealer (code),
  name              text NOT NULL,
  name_en           text,
  description       text,
  partner_code      text,
  reference         text,
  prices            jsonb NOT NULL,
  fen_per_point     integer,
  max_share_percent integer,
  covers            text[] NOT NULL,
  dealer_codes      text[],
  valid_from        date NOT NULL,
  valid_until       date,
  limit_per_member  integer,
  image_urls        text[] NOT NULL,
  codes             text,
  is_offered        boolean NOT NULL,
  stock             bigint,
  reserved          bigint NOT NULL,
  issued            bigint NOT NULL,
  version           integer NOT NULL,
  CONSTRAINT ck_reward_codes CHECK (codes IS NULL OR codes = 'own' OR (codes = 'pool' AND stock IS NOT NULL)),
  CONSTRAINT ck_reward_service CHECK ((kind = 'service') = (max_share_percent IS NOT NULL)),
  CONSTRAINT ck_reward_rate CHECK (max_share_percent BETWEEN 1 AND 100 AND fen_per_point > 0),
  CONSTRAINT ck_reward_stock CHECK (reserved >= 0 AND issued >= 0 AND reserved + issued <= stock)
);

CREATE TABLE reward_movement (
  id        uuid CONSTRAINT pk_reward_movement PRIMARY KEY,
  reward_id uuid NOT NULL CONSTRAINT fk_reward_movement_reward_id REFERENCES reward (id),
  change    integer NOT NULL CONSTRAINT ck_reward_movement_change CHECK (change <> 0),
  reason    text NOT NULL,
  at        timestamptz NOT NULL,
  by        text NOT NULL
);
CREATE INDEX ix_reward_movement_reward ON reward_movement (reward_id, id);

CREATE TABLE reward_order (
  id                uuid CONSTRAINT pk_reward_order PRIMARY KEY,
  reward_id         uuid NOT NULL CONSTRAINT fk_reward_order_reward_id REFERENCES reward (id),
  member_id         uuid NOT NULL CONSTRAINT fk_reward_order_member_id REFERENCES member (id),
  wallet_id         uuid NOT NULL,
  dealer_code       text CONSTRAINT fk_reward_order_dealer_code REFERENCES dealer (code),
  quantity          integer NOT NULL,
  tier              text,
  points            bigint NOT NULL,
  money_fen         bigint NOT NULL,
  order_no          text,
  bill_fen          bigint,
  delivery          bytea,
  status            text NOT NULL CONSTRAINT ck_reward_order_status CHECK (
    status IN ('held', 'confirmed', 'shipped', 'delivered', 'cancelled', 'lapsed', 'returned')),
  hold_no           bigint NOT NULL,
  capture_no        bigint,
  held_until        timestamptz NOT NULL,
  placed_by         text NOT NULL,
  placed_at         timestamptz NOT NULL,
  payment_reference text,
  confirmed_by      text,
  confirmed_at      timestamptz,
  carrier           text,
  tracking_no       text,
  shipped_by        text,
  shipped_at        timestamptz,
  delivered_by      text,
  delivered_at      timestamptz,
  reason            text,
  is_restocked      boolean NOT NULL,
  ended_by          text,
  ended_at          timestamptz,
  CONSTRAINT ck_reward_order_amounts CHECK (quantity > 0 AND points > 0 AND money_fen >= 0),
  CONSTRAINT ck_reward_order_bill CHECK ((order_no IS NULL) = (bill_fen IS NULL)),
  CONSTRAINT ck_reward_order_confirmed CHECK ((capture_no IS NULL) = (confirmed_at IS NULL)),
  CONSTRAINT ck_reward_order_ended CHECK ((status IN ('cancelled', 'lapsed', 'returned')) = (ended_at IS NOT NULL)),
  CONSTRAINT ck_reward_order_restocked CHECK (is_restocked <= (status = 'returned'))
);
CREATE INDEX ix_reward_order_member ON reward_order (member_id, id);
CREATE INDEX ix_reward_order_dealer ON reward_order (dealer_code, id);
CREATE INDEX ix_reward_order_reward ON reward_order (reward_id, member_id);
CREATE UNIQUE INDEX ix_reward_order_hold ON reward_order (wallet_id, hold_no);
CREATE INDEX ix_reward_order_held ON reward_order (held_until) WHERE status = 'held';
CREATE INDEX ix_reward_order_repair ON reward_order (dealer_code, order_no) WHERE order_no IS NOT NULL;

CREATE TABLE reward_code (
  id        uuid CONSTRAINT pk_reward_code PRIMARY KEY,
  reward_id uuid NOT NULL CONSTRAINT fk_reward_code_reward_id REFERENCES reward (id),
  code      text NOT NULL,
  order_id  uuid CONSTRAINT fk_reward_code_order_id REFERENCES reward_order (id),
  given_at  timestamptz,
  used_at   timestamptz,
  used_by   text,
  used_with text CONSTRAINT fk_reward_code_used_with REFERENCES dealer (code),
  CONSTRAINT uq_reward_code UNIQUE (reward_id, code),
  CONSTRAINT ck_reward_code_given CHECK ((order_id IS NULL) = (given_at IS NULL)),
  CONSTRAINT ck_reward_code_used CHECK ((used_at IS NULL) = (used_by IS NULL) AND (used_at IS NULL OR order_id IS NOT NULL))
);
CREATE INDEX ix_reward_code_free ON reward_code (reward_id, id) WHERE order_id IS NULL;
CREATE INDEX ix_reward_code_order_id ON reward_code (order_id);
"""

# what is to be had is everybody's to read; a chapter's stock and codes are its own, an order its member's and its place's
ROWS = """
ALTER TABLE reward ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON reward FOR SELECT TO club_app USING (true);
CREATE POLICY reach ON reward TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE reward_movement ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON reward_movement TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (
    SELECT FROM reward r WHERE r.id = reward_id AND r.dealer_code = ANY ((SELECT club_reached())::text[])));

ALTER TABLE reward_order ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON reward_order TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[])
  OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE reward_code ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON reward_code TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM reward_order o WHERE o.id = order_id) OR EXISTS (
    SELECT FROM reward r WHERE r.id = reward_id AND r.dealer_code = ANY ((SELECT club_reached())::text[])));

GRANT SELECT, INSERT, UPDATE ON reward, reward_order TO club_app;
GRANT SELECT, INSERT ON reward_movement, reward_code TO club_app;
GRANT UPDATE (order_id, given_at, used_at, used_by, used_with) ON reward_code TO club_app;

-- a code that was given is never given again, and one that was used stays used
CREATE FUNCTION reward_code_given() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'code % was given or used already', OLD.id;
END $$;
CREATE TRIGGER given_once BEFORE UPDATE ON reward_code FOR EACH ROW
  WHEN (OLD.used_at IS NOT NULL OR OLD.order_id IS NOT NULL AND (OLD.order_id, OLD.given_at)
        IS DISTINCT FROM (NEW.order_id, NEW.given_at)) EXECUTE FUNCTION reward_code_given();
"""


def upgrade() -> None:
    run_script(TABLES)
    run_script(ROWS)


def downgrade() -> None:
    raise NotImplementedError("members' orders are not taken apart: restore a backup instead")
