"""Saved segments; names are found by their beginning and by pinyin initials."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.core.migrations import run_script
from app.members.pinyin import initials

revision = "0020"
down_revision = "0019"

# who erases clears the name by SQL of its own
INITIALS = """
CREATE FUNCTION clear_initials() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.name_initials := NULL;
  RETURN NEW;
END $$;
CREATE TRIGGER clear_initials BEFORE UPDATE ON member
  FOR EACH ROW WHEN (NEW.erased_at IS NOT NULL AND NEW.name_initials IS NOT NULL) EXECUTE FUNCTION clear_initials();
"""

# all staff read headquarters' segments
ROWS = """
ALTER TABLE segment ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON segment TO club_app
  USING (
    (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_dealers())::text[])
    OR (dealer_code IS NULL AND (SELECT club_reach()) IN ('region', 'dealer'))
    OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())))
  WITH CHECK (
    (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_dealers())::text[])
    OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));
GRANT SELECT, INSERT, UPDATE, DELETE ON segment TO club_app;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    _segments()
    _initials()
    # a member's visits by day: the last, and how many in a year
    op.create_index("ix_repair_order_visits", "repair_order", ["member_id", "business_date"], unique=False)
    op.drop_index(op.f("ix_repair_order_member_id"), table_name="repair_order")
    op.create_index(
        "ix_repair_order_corrections",
        "repair_order",
        ["dealer_code", "order_no", "revision"],
        unique=False,
        postgresql_where=sa.text("revision > 1"),
    )
    run_script(INITIALS)
    run_script(ROWS)


def _segments() -> None:
    op.create_table(
        "segment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("filter", JSONB(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_segment_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint(
            "dealer_code", "name", name=op.f("uq_segment_dealer_code_name"), postgresql_nulls_not_distinct=True
        ),
    )


def _initials() -> None:
    op.add_column("member", sa.Column("name_initials", sa.Text(), nullable=True))
    connection = op.get_bind()
    names = connection.scalars(sa.text("SELECT DISTINCT name FROM member WHERE erased_at IS NULL")).all()
    read = [{"name": name, "initials": initials(name)} for name in names]
    connection.execute(
        sa.text(
            "UPDATE member m SET name_initials = r.initials"
            " FROM jsonb_to_recordset(:read) AS r (name text, initials text)"
            " WHERE m.name = r.name AND m.erased_at IS NULL"
        ).bindparams(sa.bindparam("read", type_=JSONB())),
        {"read": read},
    )
    for column in ("name", "name_initials"):
        op.create_index(f"ix_member_{column}", "member", [column], postgresql_ops={column: "text_pattern_ops"})
    op.create_index(op.f("ix_member_joined_on"), "member", ["joined_on"], unique=False)
    # a chapter's members in the order of its pages
    op.drop_index(op.f("ix_member_dealer_code"), table_name="member")
    op.create_index("ix_member_dealer_code", "member", ["dealer_code", "id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
