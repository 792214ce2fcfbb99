"""Row-level security: a second wall under the queries' own conditions (docs/adr/0008)."""

from app.core.migrations import run_script

revision = "0013"
down_revision = "0012"

# the sub-selects are evaluated once a query, and `nullif` because a local setting reverts to '' and not to nothing
ROWS = """
CREATE FUNCTION club_reach() RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT nullif(current_setting('club.reach', true), '') $$;
CREATE FUNCTION club_dealer() RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT nullif(current_setting('club.dealer', true), '') $$;
CREATE FUNCTION club_region() RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT nullif(current_setting('club.region', true), '') $$;
CREATE FUNCTION club_member() RETURNS uuid LANGUAGE sql STABLE
  AS $$ SELECT nullif(current_setting('club.member', true), '')::uuid $$;

ALTER TABLE member ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON member TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = (SELECT club_dealer()) OR id = (SELECT club_member())
  OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));

ALTER TABLE application ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON application TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = (SELECT club_dealer())
  OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));

ALTER TABLE statement ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON statement TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = (SELECT club_dealer())
  OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));

ALTER TABLE ownership ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ownership TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE member_status_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON member_status_change TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE statement_line ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON statement_line TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM statement s WHERE s.id = statement_id));

ALTER TABLE dispute ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON dispute TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM statement s WHERE s.id = statement_id));

ALTER TABLE consent ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON consent TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE provision ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON provision TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE member_birth ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON member_birth TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

ALTER TABLE erasure ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON erasure TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));
"""


def upgrade() -> None:
    run_script(ROWS)


def downgrade() -> None:
    raise NotImplementedError("a wall is not taken down: restore a backup instead")
