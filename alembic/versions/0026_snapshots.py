"""Month-end figures, frozen."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0026"
down_revision = "0025"

# a month's figures are written once: they can be neither changed nor deleted by the service
ROWS = """
ALTER TABLE network_month ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON network_month TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY (string_to_array((SELECT club_dealer()), ','))
  OR region_code = (SELECT club_region()));

GRANT SELECT, INSERT ON network_month TO club_app;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.create_table(
        "network_month",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("region_code", sa.Text(), nullable=True),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("applying", sa.Integer(), nullable=False),
        sa.Column("owners", sa.Integer(), nullable=False),
        sa.Column("has_chapter", sa.Boolean(), nullable=False),
        sa.Column("has_after_sales", sa.Boolean(), nullable=False),
        sa.Column("new_members", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("joined", sa.Integer(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("extract(day FROM month) = 1", name=op.f("ck_network_month_month")),
        sa.CheckConstraint("(dealer_code IS NULL) = (region_code IS NULL)", name=op.f("ck_network_month_place")),
        sa.CheckConstraint(
            "least(members, applying, owners, new_members, delivered, joined) >= 0 AND joined <= delivered",
            name=op.f("ck_network_month_counts"),
        ),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_network_month_dealer_code")),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_network_month_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_month")),
        sa.UniqueConstraint(
            "month", "dealer_code", name=op.f("uq_network_month_month_dealer_code"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_index("ix_network_month_dealer", "network_month", ["dealer_code"])
    run_script(ROWS)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
