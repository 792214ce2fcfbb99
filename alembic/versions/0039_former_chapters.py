"""When a chapter was there before it was opened again."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0039"
down_revision = "0038"

GRANTS = "GRANT SELECT, INSERT ON former_chapter TO club_app;"


def upgrade() -> None:
    op.create_table(
        "former_chapter",
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.CheckConstraint("closed_on > opened_on", name=op.f("ck_former_chapter_order")),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_former_chapter_dealer_code")),
        sa.PrimaryKeyConstraint("dealer_code", "opened_on", name=op.f("pk_former_chapter")),
    )
    run_script(GRANTS)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
