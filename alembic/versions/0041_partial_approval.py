"""Headquarters may approve less of a material than was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"

APPROVED = """
UPDATE material_request_line l SET approved = quantity
  FROM material_request r WHERE r.id = l.request_id AND r.status IN ('approved', 'shipped', 'received')
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.add_column("material_request_line", sa.Column("approved", sa.Integer(), nullable=True))
    op.execute(APPROVED)
    op.create_check_constraint(
        op.f("ck_material_request_line_approved"), "material_request_line", "approved BETWEEN 0 AND quantity"
    )


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
