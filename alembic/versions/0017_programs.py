"""Programs reach certain dealers or a region, until a last day; birthdays with applications; the trail has an end."""

from app.core.migrations import run_script

revision = "0017"
down_revision = "0016"

PROGRAMS = """
ALTER TABLE account
  ADD region_code text CONSTRAINT fk_account_region_code REFERENCES region,
  ADD dealer_codes text[] NOT NULL DEFAULT '{}',
  ADD last_day date;
ALTER TABLE account ADD CONSTRAINT ck_account_reach CHECK (
  kind = 'program' OR (region_code IS NULL AND dealer_codes = '{}' AND last_day IS NULL));
ALTER TABLE account ADD CONSTRAINT ck_account_one_reach CHECK (region_code IS NULL OR dealer_codes = '{}');
ALTER TABLE import_job ADD only_dealers text[];
UPDATE import_job SET only_dealers = ARRAY[dealer_code] WHERE dealer_code IS NOT NULL;
"""

# staff have one dealer, a program may have several: club.dealer lists them
DEALERS = """
CREATE FUNCTION club_dealers() RETURNS text[] LANGUAGE sql STABLE
  AS $$ SELECT string_to_array(nullif(current_setting('club.dealer', true), ''), ',') $$;
ALTER POLICY reach ON member USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_dealers())::text[]) OR id = (SELECT club_member())
  OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));
ALTER POLICY reach ON application USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_dealers())::text[])
  OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));
ALTER POLICY reach ON statement USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_dealers())::text[])
  OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));
"""

PRIVACY = """
ALTER TABLE application ADD born_on date;
-- until now coming back left the request open, and the night dropped it
DELETE FROM erasure e USING member m WHERE m.id = e.member_id AND e.erased_at IS NULL AND m.status <> 'left';
"""

# what is younger than three years nobody removes; what is older only this function does for the service
TRAIL = """
CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.at < now() - interval '3 years' THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE FUNCTION forget_audit(p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (
    DELETE FROM public.audit_event WHERE id IN (
      SELECT id FROM public.audit_event WHERE at < least(p_before, now() - interval '3 years')
       ORDER BY at, id LIMIT p_limit)
    RETURNING id)
  SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION forget_audit IS 'Removes at most so many deeds from before a moment, never one of the last three years.';
REVOKE ALL ON FUNCTION forget_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_audit TO club_app;
"""


def upgrade() -> None:
    for script in (PROGRAMS, DEALERS, PRIVACY, TRAIL):
        run_script(script)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
