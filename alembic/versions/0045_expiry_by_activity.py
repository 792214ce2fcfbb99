"""Points that live on while a member keeps earning (docs/adr/0012)."""

from app.core.migrations import run_script

revision = "0045"
down_revision = "0044"

SCRIPT = """
SET LOCAL lock_timeout = '3s';

ALTER TYPE ledger.posting_kind ADD VALUE IF NOT EXISTS 'renew';
ALTER TABLE ledger.lot ADD activity_months smallint;
COMMENT ON COLUMN ledger.lot.activity_months IS
  'Null: expires_on stands. Else the points live to the end of so many months after the newest earning; expires_on is the earliest.';

-- the functions' file brings them back with one more argument
DROP FUNCTION IF EXISTS ledger.grant_lot(ledger.draft, bigint, text, text, date, date, ledger.lot);
DROP FUNCTION IF EXISTS ledger.earn_anew(uuid, bigint, text, text, text, text, date, date, date, text, uuid, uuid, timestamptz);
DROP FUNCTION IF EXISTS ledger.earn_in_batch(uuid, bigint, text, text, text, date, date, date, text, uuid, timestamptz);
DROP FUNCTION IF EXISTS ledger.earn_batch(uuid[], bigint[], text[], text[], text[], int[], date[], date[], date[], text, timestamptz);
"""


def upgrade() -> None:
    run_script(SCRIPT)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
