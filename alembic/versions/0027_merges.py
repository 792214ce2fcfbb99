"""Merged members: one wallet's lots and debts are carried to another's, and back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.migrations import run_script

revision = "0027"
down_revision = "0026"

LEDGER = """
ALTER TYPE ledger.posting_kind ADD VALUE IF NOT EXISTS 'merge';
ALTER TYPE ledger.posting_kind ADD VALUE IF NOT EXISTS 'unmerge';

ALTER TABLE ledger.member_balance ADD merged_into uuid;
COMMENT ON COLUMN ledger.member_balance.merged_into IS
  'The wallet that goes on for this one; null for one that stands for itself. Always the last of a chain.';

-- a debt can be carried to another wallet; one posting can leave debts to several funders there
ALTER TABLE ledger.debt
  ADD carried ledger.points NOT NULL DEFAULT 0,
  ADD came_from uuid,
  DROP CONSTRAINT debt_check,
  DROP is_open,
  DROP CONSTRAINT debt_pkey,
  ADD PRIMARY KEY (member_id, posting_no, funder),
  ADD CONSTRAINT debt_check CHECK (repaid + written_off + carried <= incurred);
ALTER TABLE ledger.debt ADD is_open boolean NOT NULL GENERATED ALWAYS AS (incurred > repaid + written_off + carried) STORED;

CREATE TABLE ledger.carry (
  from_member  uuid NOT NULL,
  from_posting bigint NOT NULL,
  into_member  uuid NOT NULL,
  into_posting bigint NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('merge', 'follow', 'undo')),
  is_undone    boolean NOT NULL DEFAULT false,
  PRIMARY KEY (from_member, from_posting),
  UNIQUE (into_member, into_posting)
);
COMMENT ON TABLE ledger.carry IS
  'Two postings that belong together: what the one wallet gave, the other took. merge: all of it; follow: what came back to a merged wallet later; undo: what was left.';

CREATE TABLE ledger.carried_lot (
  into_member uuid NOT NULL,
  into_lot    integer NOT NULL,
  from_member uuid NOT NULL,
  from_lot    integer NOT NULL,
  PRIMARY KEY (into_member, into_lot)
);
CREATE INDEX carried_lot_from ON ledger.carried_lot (from_member, from_lot);
COMMENT ON TABLE ledger.carried_lot IS 'Which lot of another wallet a lot continues since a merge.';

REVOKE ALL ON ledger.carry, ledger.carried_lot FROM PUBLIC, club_app;
GRANT SELECT ON ledger.carry, ledger.carried_lot TO club_app;
ALTER TABLE ledger.carry ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.carry FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id IN (from_member, into_member)));
ALTER TABLE ledger.carried_lot ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON ledger.carried_lot FOR SELECT TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id IN (from_member, into_member)));

DROP FUNCTION IF EXISTS ledger.begin(uuid, text, date, timestamptz);
"""

MERGES = """
CREATE POLICY reach ON member_merge TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id IN (from_id, into_id)));
ALTER TABLE member_merge ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON member_merge TO club_app;

-- who was merged is the same person: their data go together, or stay together
CREATE FUNCTION erase_merged_too() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO public.erasure (member_id, requested_at, requested_by, due_on)
    SELECT m.id, NEW.requested_at, NEW.requested_by, NEW.due_on FROM public.member m
     WHERE m.merged_into = NEW.member_id AND m.erased_at IS NULL
    ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM public.erasure e USING public.member m
     WHERE m.merged_into = OLD.member_id AND e.member_id = m.id AND e.erased_at IS NULL;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER erase_merged_too AFTER INSERT OR DELETE ON erasure
  FOR EACH ROW EXECUTE FUNCTION erase_merged_too();

-- reasons are free text, and what was moved names WeChat users
CREATE FUNCTION forget_merges() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.member_merge
     SET reason = 'erased', moved = '{}', undone_reason = CASE WHEN undone_at IS NOT NULL THEN 'erased' END
   WHERE NEW.id IN (from_id, into_id);
  RETURN NULL;
END $$;
CREATE TRIGGER forget_merges AFTER UPDATE ON member FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_merges();
"""


def upgrade() -> None:
    run_script(LEDGER)
    op.add_column("member", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_member_merged_into"), "member", "member", ["merged_into"], ["id"])
    op.create_check_constraint(
        op.f("ck_member_merged"), "member", "merged_into IS NULL OR (status = 'left' AND merged_into <> id)"
    )
    op.create_index(
        "ix_member_merged_into", "member", ["merged_into"], postgresql_where=sa.text("merged_into IS NOT NULL")
    )
    _merges()
    run_script(MERGES)


def _merges() -> None:
    op.create_table(
        "member_merge",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("from_id", sa.Uuid(), nullable=False),
        sa.Column("into_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("moved", postgresql.JSONB(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("undone_reason", sa.Text(), nullable=True),
        sa.Column("points_returned", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("from_id <> into_id", name=op.f("ck_member_merge_two")),
        sa.CheckConstraint(
            "(undone_at IS NULL) = (undone_by IS NULL) AND (undone_at IS NULL) = (undone_reason IS NULL)"
            " AND (undone_at IS NULL) = (points_returned IS NULL)",
            name=op.f("ck_member_merge_undone"),
        ),
        sa.ForeignKeyConstraint(["from_id"], ["member.id"], name=op.f("fk_member_merge_from_id")),
        sa.ForeignKeyConstraint(["into_id"], ["member.id"], name=op.f("fk_member_merge_into_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_merge")),
    )
    op.create_index(
        "uq_member_merge_standing", "member_merge", ["from_id"], unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )  # fmt: skip
    op.create_index(op.f("ix_member_merge_from_id"), "member_merge", ["from_id"])
    op.create_index(op.f("ix_member_merge_into_id"), "member_merge", ["into_id"])


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
