"""What perks cost is claimed, checked and paid line by line; partners' managers and agencies sign in."""

from app.core.migrations import run_script

revision = "0047"
down_revision = "0046"

# an agency's people are bound to it as a partner's are to the partner
PEOPLE = """
SET LOCAL lock_timeout = '3s';

ALTER TABLE account_grant
  ADD agency_code text CONSTRAINT fk_account_grant_agency_code REFERENCES agency (code),
  DROP CONSTRAINT ck_account_grant_role, DROP CONSTRAINT ck_account_grant_reach;
ALTER TABLE account_grant
  ADD CONSTRAINT ck_account_grant_role CHECK (role IN ('hq_admin', 'hq_operations', 'hq_finance', 'auditor',
    'regional_manager', 'care_director', 'care_staff', 'general_manager', 'sales_consultant', 'service_advisor',
    'finance_clerk', 'partner_clerk', 'partner_manager', 'agency_clerk')),
  ADD CONSTRAINT ck_account_grant_reach CHECK (
    (region_code IS NOT NULL) = (role IN ('regional_manager'))
    AND (dealer_code IS NOT NULL) = (role IN ('care_director', 'care_staff', 'general_manager', 'sales_consultant',
      'service_advisor', 'finance_clerk'))
    AND (partner_code IS NOT NULL) = (role IN ('partner_clerk', 'partner_manager'))
    AND (agency_code IS NOT NULL) = (role IN ('agency_clerk')));

CREATE FUNCTION club_agency() RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT nullif(current_setting('club.agency', true), '') $$;

-- a partner confirms or disputes its statements, as dealers do
DROP POLICY partner ON statement;
CREATE POLICY partner ON statement TO club_app USING (dealer_code = 'partner:' || (SELECT club_partner()));
"""

CLAIMS = """
CREATE TABLE perk_claim (
  id                uuid CONSTRAINT pk_perk_claim PRIMARY KEY,
  period            date NOT NULL,
  payer             text NOT NULL,
  payee             text NOT NULL,
  basis             text NOT NULL CONSTRAINT ck_perk_claim_basis CHECK (basis IN ('vouchers', 'commission')),
  partner_code      text NOT NULL CONSTRAINT fk_perk_claim_partner_code REFERENCES partner (code),
  count             int NOT NULL,
  amount_fen        bigint NOT NULL,
  status            text NOT NULL CONSTRAINT ck_perk_claim_status
    CHECK (status IN ('claimed', 'approved', 'disputed', 'withdrawn', 'paid')),
  claimed_at        timestamptz NOT NULL,
  approved_at       timestamptz,
  approved_by       text,
  reason            text,
  disputed_by       text,
  answer            text,
  answered_by       text,
  paid_on           date,
  payment_reference text,
  version           int NOT NULL,
  CONSTRAINT uq_perk_claim_period_payer_payee_basis_partner_code UNIQUE (period, payer, payee, basis, partner_code),
  CONSTRAINT ck_perk_claim_approved CHECK ((status IN ('approved', 'paid')) = (approved_at IS NOT NULL)),
  CONSTRAINT ck_perk_claim_disputed CHECK (status <> 'disputed' OR (reason IS NOT NULL AND answer IS NULL)),
  CONSTRAINT ck_perk_claim_paid CHECK (
    (status = 'paid') = (paid_on IS NOT NULL) AND (paid_on IS NULL) = (payment_reference IS NULL))
);
ALTER TABLE perk_claim ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON perk_claim TO club_app USING (
  (SELECT club_reach()) = 'all' OR payer = ANY ((SELECT club_reached())::text[])
  OR 'partner:' || (SELECT club_partner()) IN (payer, payee) OR payee = 'agency:' || (SELECT club_agency()));
GRANT SELECT, INSERT ON perk_claim TO club_app;
GRANT UPDATE (status, approved_at, approved_by, reason, disputed_by, answer, answered_by, paid_on, payment_reference,
  version) ON perk_claim TO club_app;

-- null: fixed before it was kept
ALTER TABLE statement_commission ADD agency_percent numeric(5, 2);

-- what a till used with a connection, and reports as used without one, was given twice
ALTER TABLE voucher ADD used_offline bool NOT NULL DEFAULT false;
"""


def upgrade() -> None:
    run_script(PEOPLE)
    run_script(CLAIMS)


def downgrade() -> None:
    raise NotImplementedError("what was claimed and paid is not taken back: restore a backup instead")
