"""What a posting inserts as a lot is judged no more by a trigger (docs/adr/0002)."""

from app.core.migrations import run_script

revision = "0049"
down_revision = "0048"

SCRIPT = """
SET LOCAL lock_timeout = '3s';

DROP TRIGGER keep_parts ON ledger.lot;
CREATE TRIGGER keep_parts BEFORE UPDATE ON ledger.lot FOR EACH ROW EXECUTE FUNCTION ledger.keep_parts();
"""


def upgrade() -> None:
    run_script(SCRIPT)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
