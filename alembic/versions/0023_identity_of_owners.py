"""Members who may be one person, for somebody to look at; calls to members to verify what is on record."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0023"
down_revision = "0022"

# whoever reads one of these reads all members it names
ROWS = """
ALTER TABLE duplicate ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON duplicate TO club_app USING (
  (SELECT club_reach()) = 'all' OR (
    (SELECT club_reach()) <> 'self'
    AND EXISTS (SELECT FROM member m WHERE m.id = member_id) AND EXISTS (SELECT FROM member m WHERE m.id = other_id)));

ALTER TABLE verification_call ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON verification_call TO club_app USING (
  (SELECT club_reach()) = 'all' OR (
    (SELECT club_reach()) <> 'self' AND EXISTS (SELECT FROM member m WHERE m.id = member_id)));

GRANT SELECT, INSERT, UPDATE, DELETE ON duplicate TO club_app;
GRANT SELECT, INSERT, UPDATE ON verification_call TO club_app;

-- what was said of the erased is free text
CREATE FUNCTION forget_reviews() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM public.duplicate WHERE NEW.id IN (member_id, other_id);
  DELETE FROM public.verification_call WHERE member_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_reviews AFTER UPDATE ON member FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_reviews();
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.create_table(
        "duplicate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dismissed_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('vin', 'phone', 'name_plate')", name=op.f("ck_duplicate_kind")),
        sa.CheckConstraint("member_id < other_id", name=op.f("ck_duplicate_order")),
        sa.CheckConstraint(
            "(dismissed_at IS NULL) = (dismissed_by IS NULL) AND (dismissed_at IS NULL) = (reason IS NULL)",
            name=op.f("ck_duplicate_dismissed"),
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_duplicate_member_id")),
        sa.ForeignKeyConstraint(["other_id"], ["member.id"], name=op.f("fk_duplicate_other_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate")),
        sa.UniqueConstraint("member_id", "other_id", "kind", name=op.f("uq_duplicate_member_id_other_id_kind")),
    )
    op.create_index(op.f("ix_duplicate_other_id"), "duplicate", ["other_id"])
    op.create_table(
        "verification_call",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("assigned_to", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('confirmed', 'corrected', 'refused', 'unreachable', 'wrong_number')",
            name=op.f("ck_verification_call_outcome"),
        ),
        sa.CheckConstraint(
            "(outcome IS NULL) = (closed_at IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)",
            name=op.f("ck_verification_call_closed"),
        ),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_verification_call_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification_call")),
    )
    op.create_index(op.f("ix_verification_call_member_id"), "verification_call", ["member_id"])
    op.create_index("ix_verification_call_assigned_to", "verification_call", ["assigned_to", "id"])
    run_script(ROWS)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
