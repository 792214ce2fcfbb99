"""A posting writes fewer indexes, and a lot's numbers are kept by its trigger alone (docs/adr/0002)."""

from app.core.migrations import run_script

revision = "0014"
down_revision = "0013"

CHANGES = """
-- one index for both: a member's lots by number, and in the order in which they are spent
DROP INDEX ledger.lot_open;
ALTER TABLE ledger.lot DROP CONSTRAINT lot_pkey, ADD PRIMARY KEY (member_id, expires_on, lot_no), DROP is_open;
COMMENT ON COLUMN ledger.lot.lot_no IS 'The member''s lots in the order in which they were granted: 1, 2, 3 …, given under the wallet''s lock.';
-- who ends a hold or reverses an earning reads under the wallet's lock whether that was done before
DROP INDEX ledger.posting_ended;

-- a domain's check is set up for each column in every statement; to its own base type no table is rewritten
ALTER TABLE ledger.lot
  ALTER granted TYPE bigint, ALTER pending TYPE bigint, ALTER available TYPE bigint, ALTER held TYPE bigint,
  ALTER spent TYPE bigint, ALTER expired TYPE bigint, ALTER reversed TYPE bigint, ALTER repaid TYPE bigint,
  ALTER carried TYPE bigint;
-- copies of the wallet's, whose domains have judged them
ALTER TABLE ledger.posting
  ALTER available TYPE bigint, ALTER pending TYPE bigint, ALTER held TYPE bigint, ALTER owed TYPE bigint;

CREATE OR REPLACE FUNCTION ledger.keep_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.granted <= 0
     OR least(NEW.pending, NEW.available, NEW.held, NEW.spent, NEW.expired, NEW.reversed, NEW.repaid, NEW.carried) < 0
     OR NEW.pending + NEW.available + NEW.held + NEW.spent + NEW.expired + NEW.reversed + NEW.repaid + NEW.carried <> NEW.granted
  THEN
    RAISE EXCEPTION 'lot % of member %: a part is below zero, or the parts do not add up to what was granted', NEW.lot_no, NEW.member_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    run_script(CHANGES)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
