"""Row-level security under repair orders, imports, contracts, accounts and the ledger's reads (docs/adr/0008)."""

from app.core.migrations import run_script

revision = "0018"
down_revision = "0017"

CALLER = """
CREATE FUNCTION club_subject() RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT nullif(current_setting('club.subject', true), '') $$;
CREATE FUNCTION club_reached() RETURNS text[] LANGUAGE sql STABLE AS $$
  SELECT ARRAY(SELECT code FROM public.dealer WHERE code = ANY (public.club_dealers()) OR region_code = public.club_region())
$$;
COMMENT ON FUNCTION club_reached IS 'The dealers the caller reaches by their codes or its region.';

-- with the owner's rights: a policy on accounts that asked grants, whose policy asks accounts, would never end
CREATE FUNCTION club_accounts() RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT ARRAY(
    SELECT id FROM public.account WHERE username = public.club_subject()
    UNION SELECT account_id FROM public.account_grant WHERE dealer_code = ANY (public.club_reached()))
$$;
COMMENT ON FUNCTION club_accounts IS 'The caller''s own account, and those of who works or worked for a dealer it reaches.';
REVOKE ALL ON FUNCTION club_accounts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION club_accounts TO club_app;
"""

ORDERS = """
ALTER TABLE repair_order ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON repair_order TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[])
  OR member_id = (SELECT club_member()));

ALTER TABLE import_job ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON import_job TO club_app USING (
  (SELECT club_reach()) = 'all' OR only_dealers <@ (SELECT club_reached()));

ALTER TABLE import_chunk ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON import_chunk TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM import_job j WHERE j.id = job_id));

ALTER TABLE import_rejection ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON import_rejection TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM import_job j WHERE j.id = job_id));

-- the general terms are everybody's to read, and headquarters' to write
ALTER TABLE contract ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON contract TO club_app
  USING ((SELECT club_reach()) = 'all' OR dealer_code IS NULL OR dealer_code = ANY ((SELECT club_reached())::text[]))
  WITH CHECK ((SELECT club_reach()) = 'all');
"""

ACCOUNTS = """
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON account TO club_app USING (
  (SELECT club_reach()) = 'all' OR id = ANY ((SELECT club_accounts())::uuid[]));

-- of who works here, what they do elsewhere is seen as well: what concerns another dealer is not decided here
ALTER TABLE account_grant ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON account_grant TO club_app
  USING ((SELECT club_reach()) = 'all' OR account_id = ANY ((SELECT club_accounts())::uuid[]))
  WITH CHECK ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE client_secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON client_secret TO club_app USING (
  (SELECT club_reach()) = 'all' OR account_id = ANY ((SELECT club_accounts())::uuid[]));

ALTER TABLE credential ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON credential TO club_app USING (
  (SELECT club_reach()) = 'all' OR account_id = ANY ((SELECT club_accounts())::uuid[]));

ALTER TABLE second_factor ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON second_factor TO club_app USING (
  (SELECT club_reach()) = 'all' OR account_id = ANY ((SELECT club_accounts())::uuid[]));

ALTER TABLE recovery_code ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON recovery_code TO club_app USING (
  (SELECT club_reach()) = 'all' OR account_id = ANY ((SELECT club_accounts())::uuid[]));

ALTER TABLE external_identity ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON external_identity TO club_app USING (
  (SELECT club_reach()) = 'all' OR account_id = ANY ((SELECT club_accounts())::uuid[]));

ALTER TABLE sign_in_handover ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON sign_in_handover TO club_app USING (
  (SELECT club_reach()) = 'all' OR account_id = ANY ((SELECT club_accounts())::uuid[]));

ALTER TABLE login_session ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON login_session TO club_app USING (
  (SELECT club_reach()) = 'all' OR account_id = ANY ((SELECT club_accounts())::uuid[])
  OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE refresh_token ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON refresh_token TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM login_session s WHERE s.id = session_id));

ALTER TABLE wechat_user ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON wechat_user TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

-- codes are asked for and taken before anybody has signed in
ALTER TABLE sign_in_code ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON sign_in_code TO club_app USING ((SELECT club_reach()) = 'all');

ALTER TABLE idempotency_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON idempotency_record TO club_app USING (
  (SELECT club_reach()) = 'all' OR caller = (SELECT club_subject()));
"""

# for reads alone: the ledger's functions run as its owner, whom no policy binds
LEDGER = """
ALTER TABLE ledger.member_balance ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.member_balance FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE ledger.lot ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.lot FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE ledger.hold ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.hold FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE ledger.debt ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.debt FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE ledger.confirmation ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.confirmation FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE ledger.posting ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.posting FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

-- its partitions are nobody's but the owner's to name
ALTER TABLE ledger.movement ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.movement FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));
ALTER VIEW ledger.entry SET (security_invoker = true);
"""


def upgrade() -> None:
    for script in ("SET LOCAL lock_timeout = '3s';", CALLER, ORDERS, ACCOUNTS, LEDGER):
        run_script(script)


def downgrade() -> None:
    raise NotImplementedError("a wall is not taken down: restore a backup instead")
