"""Partners with their agencies and blocks of points, perks and vouchers; contracts and statements of partners."""

from app.core.migrations import run_script

revision = "0034"
down_revision = "0033"

TABLES = """
SET LOCAL lock_timeout = '3s';

CREATE TABLE agency (
  code    text CONSTRAINT pk_agency PRIMARY KEY,
  name    text NOT NULL,
  contact text,
  version integer NOT NULL
);

CREATE TABLE partner (
  code           text CONSTRAINT pk_partner PRIMARY KEY,
  name           text NOT NULL,
  name_en        text,
  category       text NOT NULL CONSTRAINT ck_partner_category CHECK (category IN (
    'hotel', 'restaurant', 'winery', 'beauty', 'insurance', 'travel', 'retail', 'health', 'education', 'entertainment',
    'finance', 'other')),
  dealer_code    text CONSTRAINT fk_partner_dealer_code REFERENCES dealer (code),
  place          text,
  contract_no    text,
  valid_from     date NOT NULL,
  valid_until    date,
  agency_code    text CONSTRAINT fk_partner_agency_code REFERENCES agency (code),
  agency_percent numeric(5, 2),
  is_prepaid     boolean NOT NULL,
  reserve_points bigint NOT NULL,
  low_points     bigint NOT NULL,
  version        integer NOT NULL,
  CONSTRAINT ck_partner_valid CHECK (valid_until >= valid_from),
  CONSTRAINT ck_partner_agency CHECK ((agency_code IS NULL) = (agency_percent IS NULL)),
  CONSTRAINT ck_partner_agency_percent CHECK (agency_percent > 0 AND agency_percent <= 100),
  CONSTRAINT ck_partner_points CHECK (reserve_points >= 0 AND low_points >= 0)
);
CREATE INDEX ix_partner_agency_code ON partner (agency_code);

CREATE TABLE partner_block (
  id             uuid CONSTRAINT pk_partner_block PRIMARY KEY,
  partner_code   text NOT NULL CONSTRAINT fk_partner_block_partner_code REFERENCES partner (code),
  points         bigint NOT NULL,
  amount_fen     bigint NOT NULL,
  commission_fen bigint NOT NULL,
  reference      text NOT NULL,
  at             timestamptz NOT NULL,
  by             text NOT NULL,
  CONSTRAINT ck_partner_block_amounts CHECK (points > 0 AND amount_fen >= 0 AND commission_fen >= 0)
);
CREATE INDEX ix_partner_block_partner ON partner_block (partner_code, id);

CREATE TABLE perk (
  id               uuid CONSTRAINT pk_perk PRIMARY KEY,
  partner_code     text NOT NULL CONSTRAINT fk_perk_partner_code REFERENCES partner (code),
  name             text NOT NULL,
  name_en          text,
  terms            text,
  dealer_codes     text[],
  segment_id       uuid,
  quota            integer,
  quota_per_member integer,
  valid_from       date NOT NULL,
  valid_until      date,
  blackout         date[] NOT NULL,
  days             integer NOT NULL,
  points           bigint NOT NULL,
  value_fen        bigint NOT NULL,
  shares           jsonb NOT NULL,
  hands_over       text[] NOT NULL,
  is_offered       boolean NOT NULL,
  claimed          integer NOT NULL,
  version          integer NOT NULL,
  CONSTRAINT ck_perk_valid CHECK (valid_until >= valid_from),
  CONSTRAINT ck_perk_quota CHECK (claimed >= 0 AND claimed <= quota),
  CONSTRAINT ck_perk_amounts CHECK (points >= 0 AND value_fen >= 0 AND days > 0)
);
CREATE INDEX ix_perk_partner ON perk (partner_code, id);

CREATE TABLE voucher (
  id             uuid CONSTRAINT pk_voucher PRIMARY KEY,
  perk_id        uuid NOT NULL CONSTRAINT fk_voucher_perk_id REFERENCES perk (id),
  partner_code   text NOT NULL CONSTRAINT fk_voucher_partner_code REFERENCES partner (code),
  member_id      uuid NOT NULL CONSTRAINT fk_voucher_member_id REFERENCES member (id),
  wallet_id      uuid NOT NULL,
  dealer_code    text CONSTRAINT fk_voucher_dealer_code REFERENCES dealer (code),
  code           text NOT NULL,
  status         text NOT NULL CONSTRAINT ck_voucher_status CHECK (status IN ('claimed', 'used', 'returned', 'expired')),
  points         bigint NOT NULL,
  posting_no     bigint,
  refund_no      bigint,
  value_fen      bigint NOT NULL,
  commission_fen bigint NOT NULL,
  claimed_at     timestamptz NOT NULL,
  expires_on     date NOT NULL,
  used_on        date,
  used_at        timestamptz,
  used_by        text,
  ended_at       timestamptz,
  CONSTRAINT ck_voucher_used CHECK ((status = 'used') = (used_on IS NOT NULL)),
  CONSTRAINT ck_voucher_ended CHECK ((status IN ('returned', 'expired')) = (ended_at IS NOT NULL)),
  CONSTRAINT ck_voucher_points CHECK ((points > 0) = (posting_no IS NOT NULL))
);
CREATE UNIQUE INDEX ix_voucher_code ON voucher (code);
CREATE INDEX ix_voucher_member ON voucher (member_id, id);
CREATE INDEX ix_voucher_perk ON voucher (perk_id, member_id);
CREATE INDEX ix_voucher_partner ON voucher (partner_code, status, expires_on);
CREATE INDEX ix_voucher_dealer ON voucher (dealer_code, id);

CREATE TABLE voucher_share (
  voucher_id uuid NOT NULL CONSTRAINT fk_voucher_share_voucher_id REFERENCES voucher (id),
  party      text NOT NULL,
  fen        bigint NOT NULL CONSTRAINT ck_voucher_share_fen CHECK (fen > 0),
  CONSTRAINT pk_voucher_share PRIMARY KEY (voucher_id, party)
);
"""

# partners and perks are everybody's to read; vouchers their member's, its chapter's and their partner's
ROWS = """
CREATE FUNCTION club_partner() RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT nullif(current_setting('club.partner', true), '') $$;

ALTER TABLE agency ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON agency TO club_app USING ((SELECT club_reach()) = 'all');

ALTER TABLE partner ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON partner FOR SELECT TO club_app USING (true);
CREATE POLICY reach ON partner TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE partner_block ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON partner_block TO club_app USING (
  (SELECT club_reach()) = 'all' OR partner_code = (SELECT club_partner()) OR EXISTS (
    SELECT FROM partner p WHERE p.code = partner_code AND p.dealer_code = ANY ((SELECT club_reached())::text[])));

ALTER TABLE perk ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON perk FOR SELECT TO club_app USING (true);
CREATE POLICY reach ON perk TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (
    SELECT FROM partner p WHERE p.code = partner_code AND p.dealer_code = ANY ((SELECT club_reached())::text[])));

ALTER TABLE voucher ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON voucher TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[])
  OR partner_code = (SELECT club_partner()) OR member_id = (SELECT club_member()));

ALTER TABLE voucher_share ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON voucher_share TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM voucher v WHERE v.id = voucher_id));

GRANT SELECT, INSERT, UPDATE ON agency, partner, perk, voucher TO club_app;
GRANT SELECT, INSERT ON partner_block, voucher_share TO club_app;
"""

# a partner is a party of settlement like a dealer: contracts and statements name it `partner:CODE`
SETTLED = """
ALTER TABLE contract DROP CONSTRAINT fk_contract_dealer_code;
CREATE POLICY partner ON contract FOR SELECT TO club_app USING (dealer_code = 'partner:' || (SELECT club_partner()));
CREATE POLICY partner ON statement FOR SELECT TO club_app USING (dealer_code = 'partner:' || (SELECT club_partner()));
"""


def upgrade() -> None:
    run_script(TABLES)
    run_script(ROWS)
    run_script(SETTLED)


def downgrade() -> None:
    raise NotImplementedError("members' vouchers are not taken apart: restore a backup instead")
