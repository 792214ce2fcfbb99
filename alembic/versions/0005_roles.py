"""The club's roles, where there was one for all of headquarters."""

from app.core.migrations import run_script

revision = "0005"
down_revision = "0004"

ROLES = """
ALTER TABLE account DROP CONSTRAINT ck_account_role, DROP CONSTRAINT ck_account_scope;
UPDATE account SET role = 'hq_admin' WHERE role = 'hq';
ALTER TABLE account
  ADD CONSTRAINT ck_account_role CHECK (role IN ('hq_admin', 'hq_operations', 'hq_finance', 'auditor', 'regional_manager',
    'care_director', 'care_staff', 'general_manager', 'sales_consultant', 'service_advisor', 'finance_clerk', 'partner_clerk',
    'api_client')),
  ADD CONSTRAINT ck_account_scope CHECK ((dealer_code IS NOT NULL) = (role IN ('care_director', 'care_staff',
    'general_manager', 'sales_consultant', 'service_advisor', 'finance_clerk')));
UPDATE account SET scopes = (SELECT array_agg(scope ORDER BY scope) FROM (
    SELECT unnest(scopes) UNION SELECT 'members:enrol' WHERE 'members:write' = ANY (scopes)
    UNION SELECT 'orders:cancel' WHERE 'orders:write' = ANY (scopes)) s (scope))
 WHERE role = 'api_client' AND scopes <> '{}';
"""


def upgrade() -> None:
    run_script(ROLES)


def downgrade() -> None:
    raise NotImplementedError("who may do what is not taken back: restore a backup instead")
