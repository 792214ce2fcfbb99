"""What people may do is granted by day and place; programs have secrets."""

from app.core.migrations import run_script

revision = "0006"
down_revision = "0005"

GRANTS = """
CREATE TABLE account_grant (
  id uuid CONSTRAINT pk_account_grant PRIMARY KEY,
  account_id uuid NOT NULL CONSTRAINT fk_account_grant_account_id REFERENCES account,
  role text NOT NULL CONSTRAINT ck_account_grant_role CHECK (role IN ('hq_admin', 'hq_operations', 'hq_finance', 'auditor',
    'regional_manager', 'care_director', 'care_staff', 'general_manager', 'sales_consultant', 'service_advisor',
    'finance_clerk', 'partner_clerk')),
  region_code text CONSTRAINT fk_account_grant_region_code REFERENCES region,
  dealer_code text CONSTRAINT fk_account_grant_dealer_code REFERENCES dealer,
  partner_code text,
  valid_from date NOT NULL,
  valid_until date,
  granted_by text NOT NULL,
  granted_at timestamptz NOT NULL,
  CONSTRAINT ck_account_grant_days CHECK (valid_until >= valid_from - 1),
  CONSTRAINT ck_account_grant_reach CHECK (
    (region_code IS NOT NULL) = (role IN ('regional_manager'))
    AND (dealer_code IS NOT NULL) = (role IN ('care_director', 'care_staff', 'general_manager', 'sales_consultant',
      'service_advisor', 'finance_clerk'))
    AND (partner_code IS NOT NULL) = (role IN ('partner_clerk')))
);
CREATE INDEX ix_account_grant_account_id ON account_grant (account_id);
CREATE INDEX ix_account_grant_dealer_code ON account_grant (dealer_code);

CREATE TABLE client_secret (
  id uuid CONSTRAINT pk_client_secret PRIMARY KEY,
  account_id uuid NOT NULL CONSTRAINT fk_client_secret_account_id REFERENCES account,
  digest bytea NOT NULL,
  created_at timestamptz NOT NULL,
  ends_at timestamptz
);
CREATE INDEX ix_client_secret_account_id ON client_secret (account_id);

ALTER TABLE account DROP CONSTRAINT ck_account_role, DROP CONSTRAINT ck_account_scope, ADD COLUMN kind text;
-- roles that could not work so far, for want of a region or a partner, are not carried over
INSERT INTO account_grant (id, account_id, role, dealer_code, valid_from, granted_by, granted_at)
SELECT gen_random_uuid(), id, role, dealer_code, (created_at AT TIME ZONE 'Asia/Shanghai')::date, 'migration 0006', created_at
  FROM account WHERE role NOT IN ('api_client', 'regional_manager', 'partner_clerk');
UPDATE account SET kind = CASE role WHEN 'api_client' THEN 'program' ELSE 'person' END,
  scopes = CASE role WHEN 'api_client' THEN scopes ELSE '{}' END,
  password_hash = CASE role WHEN 'api_client' THEN NULL ELSE password_hash END;
ALTER TABLE account
  ALTER COLUMN kind SET NOT NULL, DROP COLUMN role, DROP COLUMN dealer_code,
  ADD CONSTRAINT ck_account_kind CHECK (kind IN ('person', 'program')),
  ADD CONSTRAINT ck_account_scopes CHECK (kind = 'program' OR scopes = '{}'),
  ADD CONSTRAINT ck_account_password CHECK (kind = 'person' OR password_hash IS NULL);

-- what was given is not rewritten: it ends
GRANT SELECT, INSERT ON account_grant, client_secret TO club_app;
GRANT UPDATE (valid_until) ON account_grant TO club_app;
GRANT UPDATE (ends_at) ON client_secret TO club_app;
"""


def upgrade() -> None:
    run_script(GRANTS)


def downgrade() -> None:
    raise NotImplementedError("who may do what is not taken back: restore a backup instead")
