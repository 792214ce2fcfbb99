"""When an account or a program last lost something: tokens from before are refused."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.add_column("account", sa.Column("narrowed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_account_narrowed", "account", ["narrowed_at"], postgresql_where=sa.text("narrowed_at IS NOT NULL")
    )


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
