"""Referrals and their leads; sales that were cancelled."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0032"
down_revision = "0031"

# whoever cares for the referrer tells what the timeline has of it; whose lead it is, is the service's to say
ROWS = """
ALTER TABLE referral ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON referral TO club_app USING (
  (SELECT club_reach()) = 'all' OR referrer_id = (SELECT club_member())
  OR dealer_code = ANY ((SELECT club_reached())::text[])
  OR EXISTS (SELECT FROM member m WHERE m.id = referrer_id));

ALTER TABLE referral_step ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON referral_step TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM referral r WHERE r.id = referral_id));

ALTER TABLE cancelled_delivery ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON cancelled_delivery TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

GRANT SELECT, INSERT, UPDATE ON referral, referral_step TO club_app;
GRANT SELECT, INSERT, UPDATE ON cancelled_delivery TO club_app;
GRANT DELETE ON delivery TO club_app;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    _referrals()
    _steps()
    _cancelled()
    run_script(ROWS)


def _referrals() -> None:
    live = "status IN ('open', 'following', 'ordered')"
    op.create_table(
        "referral",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("referrer_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_name", sa.Text(), nullable=True),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("consultant", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_on", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("may_contact", sa.Boolean(), nullable=False),
        sa.Column("permission_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("horizon", sa.Text(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("escalated", sa.Text(), nullable=True),
        sa.Column("ordered_on", sa.Date(), nullable=True),
        sa.Column("vin", sa.Text(), nullable=True),
        sa.Column("delivered_on", sa.Date(), nullable=True),
        sa.Column("buyer_id", sa.Uuid(), nullable=True),
        sa.Column("is_repurchase", sa.Boolean(), nullable=False),
        sa.Column("buyer_awarded", sa.Boolean(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "status IN ('asked', 'refused', 'appealed', 'open', 'following', 'ordered', 'delivered', 'cancelled',"
            " 'lost', 'lapsed', 'superseded', 'withdrawn')",
            name=op.f("ck_referral_status"),
        ),
        sa.CheckConstraint(
            "(phone IS NULL) = (phone_index IS NULL) AND (phone IS NULL OR"
            " substring(phone FROM 1 FOR 5) = 'gAAAA' AND octet_length(phone_index) = 32)",
            name=op.f("ck_referral_phone"),
        ),
        sa.CheckConstraint(
            "phone IS NOT NULL OR status NOT IN ('asked', 'appealed', 'open', 'following', 'ordered')",
            name=op.f("ck_referral_known"),
        ),
        sa.CheckConstraint("horizon IN ('month', 'quarter', 'half_year', 'later')", name=op.f("ck_referral_horizon")),
        sa.CheckConstraint("escalated IN ('chapter', 'headquarters')", name=op.f("ck_referral_escalated")),
        sa.CheckConstraint(
            "(status IN ('delivered', 'cancelled')) <= (delivered_on IS NOT NULL AND vin IS NOT NULL)",
            name=op.f("ck_referral_delivered"),
        ),
        sa.CheckConstraint("valid_until >= registered_on", name=op.f("ck_referral_window")),
        sa.ForeignKeyConstraint(["referrer_id"], ["member.id"], name=op.f("fk_referral_referrer_id")),
        sa.ForeignKeyConstraint(["buyer_id"], ["member.id"], name=op.f("fk_referral_buyer_id")),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_referral_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral")),
    )
    op.create_index("uq_referral_live", "referral", ["phone_index"], unique=True, postgresql_where=sa.text(live))
    op.create_index(
        "uq_referral_sold", "referral", ["vin"], unique=True, postgresql_where=sa.text("status = 'delivered'")
    )
    op.create_index("ix_referral_dealer", "referral", ["dealer_code", "id"])
    op.create_index(
        "ix_referral_success", "referral", ["dealer_code", "delivered_on"],
        postgresql_where=sa.text("status = 'delivered'"),
    )  # fmt: skip
    op.create_index("ix_referral_phone_index", "referral", ["phone_index"])
    op.create_index("ix_referral_vin", "referral", ["vin"], postgresql_where=sa.text("vin IS NOT NULL"))
    op.create_index(op.f("ix_referral_referrer_id"), "referral", ["referrer_id"])
    op.create_index(op.f("ix_referral_buyer_id"), "referral", ["buyer_id"])


def _steps() -> None:
    op.create_table(
        "referral_step",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("horizon", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["referral_id"], ["referral.id"], name=op.f("fk_referral_step_referral_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral_step")),
    )
    op.create_index(op.f("ix_referral_step_referral_id"), "referral_step", ["referral_id"])


def _cancelled() -> None:
    op.create_table(
        "cancelled_delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("delivered_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_cancelled_delivery_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cancelled_delivery")),
    )
    op.create_index(op.f("ix_cancelled_delivery_vin"), "cancelled_delivery", ["vin"])


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
