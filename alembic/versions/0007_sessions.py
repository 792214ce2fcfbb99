"""Sessions: sign-ins that last, with refresh tokens that are good once each."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0007"
down_revision = "0006"

GRANTS = "GRANT SELECT, INSERT, UPDATE, DELETE ON login_session, refresh_token TO club_app;"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.create_table(
        "login_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=True),
        sa.CheckConstraint("(account_id IS NULL) <> (member_id IS NULL)", name=op.f("ck_login_session_owner")),
        sa.CheckConstraint("(member_id IS NOT NULL) = (role = 'member')", name=op.f("ck_login_session_role")),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_because IS NULL)", name=op.f("ck_login_session_ending")),
        sa.CheckConstraint(
            "ended_because IN ('signed_out', 'reused', 'lapsed', 'revoked')", name=op.f("ck_login_session_because")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_login_session_account_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_login_session_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_session")),
    )
    op.create_index(op.f("ix_login_session_account_id"), "login_session", ["account_id"])
    op.create_index(op.f("ix_login_session_member_id"), "login_session", ["member_id"])
    op.create_index(
        "ix_login_session_ended", "login_session", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["login_session.id"], name=op.f("fk_refresh_token_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_token")),
    )
    op.create_index(op.f("ix_refresh_token_session_id"), "refresh_token", ["session_id"])
    run_script(GRANTS)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
