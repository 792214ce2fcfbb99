"""A person of a household is changed by who has read what stands there."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    # the release that is still running writes none
    op.add_column("household_person", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
