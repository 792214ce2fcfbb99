"""Consent is asked at the door, calls say what for, and who claimed which car leaves reach with the erased."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.migrations import run_script

revision = "0038"
down_revision = "0037"

# of a claim between two, the one who stays keeps its own part
CLAIMS = """
CREATE TABLE restricted.claim_record (
  record_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pseudonym   uuid NOT NULL,
  vin         text NOT NULL,
  is_claimant boolean NOT NULL,
  bought_on   date NOT NULL,
  status      text NOT NULL,
  asked_at    timestamptz NOT NULL,
  decided_at  timestamptz
);
CREATE INDEX claim_record_vin ON restricted.claim_record (vin);
COMMENT ON TABLE restricted.claim_record IS
  'Which vehicles an erased member claimed, or (not is_claimant) gave up to a claim. Kept as long as later owners are.';
REVOKE ALL ON restricted.claim_record FROM PUBLIC;

CREATE FUNCTION restricted.put_claims_away(p_member uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO restricted.claim_record (pseudonym, vin, is_claimant, bought_on, status, asked_at, decided_at)
  SELECT p_member, c.vin, c.claimant_id IS NOT DISTINCT FROM p_member, c.bought_on, c.status, c.asked_at, c.decided_at
    FROM public.vehicle_claim c WHERE p_member IN (c.claimant_id, c.from_member_id) ORDER BY c.id;
  DELETE FROM public.vehicle_claim WHERE claimant_id = p_member;
  -- proofs and reasons are free text
  UPDATE public.vehicle_claim
     SET from_member_id = NULL, proof = 'erased', objection = NULL, reason = NULL, reference = NULL
   WHERE from_member_id = p_member;
$$;
REVOKE ALL ON FUNCTION restricted.put_claims_away FROM PUBLIC;

CREATE OR REPLACE FUNCTION forget_vehicle_claims() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM restricted.put_claims_away(NEW.id);
  RETURN NULL;
END $$;

SELECT restricted.put_claims_away(id) FROM member WHERE erased_at IS NOT NULL;

CREATE OR REPLACE FUNCTION restricted.forget(p_owners date, p_workshop date) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM restricted.owner_record
   WHERE until < CASE WHEN is_first THEN least(p_owners, current_date - interval '10 years')
                      ELSE least(p_workshop, current_date - interval '5 years') END;
  DELETE FROM restricted.workshop_record WHERE business_date < least(p_workshop, current_date - interval '5 years');
  DELETE FROM restricted.claim_record WHERE bought_on < least(p_workshop, current_date - interval '5 years');
$$;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.add_column(
        "application", sa.Column("consents", postgresql.JSONB(), nullable=False, server_default=sa.text("'{}'"))
    )
    op.add_column("application", sa.Column("applied_by", sa.Text(), nullable=True))
    op.add_column("verification_call", sa.Column("use", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_verification_call_use"), "verification_call",
        "use IN ('marketing', 'profiling', 'ask_marketing', 'ask_profiling')",
    )  # fmt: skip
    run_script(CLAIMS)


def downgrade() -> None:
    raise NotImplementedError("what was promised to members is not taken back: restore a backup instead")
