"""The network, accounts, members, repair orders, settlement."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0002"
down_revision = "0001"


# nothing is deleted but remembered answers and spent uploads; what is written once cannot be rewritten
GRANTS = """
CREATE SEQUENCE member_serial START 100000001;
GRANT USAGE ON SCHEMA public TO club_app;
GRANT USAGE ON SEQUENCE member_serial TO club_app;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO club_app;
GRANT DELETE ON idempotency_record, import_chunk TO club_app;
REVOKE ALL ON alembic_version FROM club_app;
GRANT SELECT ON alembic_version TO club_app;
REVOKE UPDATE ON order_rule, contract, statement, statement_line, import_rejection, member_status_change,
  repair_order FROM club_app;
GRANT UPDATE (cancelled_at) ON repair_order TO club_app;
GRANT UPDATE (status, confirm_by, confirmed_at, confirmed_by, paid_at, payment_reference, version) ON statement TO club_app;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.create_table(
        "idempotency_record",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency_record")),
    )
    op.create_index(op.f("ix_idempotency_record_created_at"), "idempotency_record", ["created_at"], unique=False)
    op.create_table(
        "import_job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("posted", sa.Integer(), nullable=False),
        sa.Column("already_known", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_import_job_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_job")),
    )
    op.create_index(op.f("ix_import_job_owner"), "import_job", ["owner"], unique=False)
    op.create_table(
        "region",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_region")),
    )
    op.create_table(
        "repair_order",
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("order_no", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("labour_fen", sa.BigInteger(), nullable=False),
        sa.Column("parts_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('maintenance', 'repair')", name=op.f("ck_repair_order_kind")),
        sa.CheckConstraint(
            "labour_fen >= 0 AND parts_fen >= 0 AND paid_fen BETWEEN 0 AND labour_fen + parts_fen",
            name=op.f("ck_repair_order_amounts"),
        ),
        sa.PrimaryKeyConstraint("dealer_code", "order_no", "revision", name=op.f("pk_repair_order")),
    )
    op.create_table(
        "statement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Date(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("credit_fen", sa.BigInteger(), nullable=False),
        sa.Column("charge_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirm_by", sa.Date(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payment_reference", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('issued', 'confirmed', 'disputed', 'paid')", name=op.f("ck_statement_status")),
        sa.CheckConstraint("net_fen = credit_fen - charge_fen", name=op.f("ck_statement_net")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement")),
        sa.UniqueConstraint("period", "dealer_code", name=op.f("uq_statement_period_dealer_code")),
    )
    op.create_index("ix_statement_dealer", "statement", ["dealer_code", "period"], unique=False)
    op.create_table(
        "vehicle",
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("check_digit_ok", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("vin ~ '^[A-HJ-NPR-Z0-9]{17}$'", name=op.f("ck_vehicle_vin")),
        sa.PrimaryKeyConstraint("vin", name=op.f("pk_vehicle")),
    )
    op.create_table(
        "dealer",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("region_code", sa.Text(), nullable=False),
        sa.Column("has_after_sales", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_dealer_region_code")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_dealer")),
    )
    op.create_index(op.f("ix_dealer_region_code"), "dealer", ["region_code"], unique=False)
    op.create_table(
        "dispute",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["statement_id"], ["statement.id"], name=op.f("fk_dispute_statement_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
    )
    op.create_index(op.f("ix_dispute_statement_id"), "dispute", ["statement_id"], unique=False)
    op.create_table(
        "import_chunk",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["import_job.id"], name=op.f("fk_import_chunk_job_id")),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_import_chunk")),
    )
    op.create_table(
        "import_rejection",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["import_job.id"], name=op.f("fk_import_rejection_job_id")),
        sa.PrimaryKeyConstraint("job_id", "line", name=op.f("pk_import_rejection")),
    )
    op.create_table(
        "order_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("region_code", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("points_per_yuan", sa.Integer(), nullable=False),
        sa.Column("expiry_months", sa.Integer(), nullable=False),
        sa.Column("funding", sa.Text(), nullable=False),
        sa.CheckConstraint("funding IN ('hq', 'dealer')", name=op.f("ck_order_rule_funding")),
        sa.CheckConstraint("points_per_yuan > 0 AND expiry_months > 0", name=op.f("ck_order_rule_amounts")),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"], name=op.f("fk_order_rule_region_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_rule")),
    )
    op.create_table(
        "statement_line",
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("funder", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("rate_fen_per_thousand", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("direction IN ('credit', 'charge')", name=op.f("ck_statement_line_direction")),
        sa.CheckConstraint("points > 0 AND amount_fen >= 0", name=op.f("ck_statement_line_amounts")),
        sa.ForeignKeyConstraint(["statement_id"], ["statement.id"], name=op.f("fk_statement_line_statement_id")),
        sa.PrimaryKeyConstraint("statement_id", "line_no", name=op.f("pk_statement_line")),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(dealer_code IS NOT NULL) = (role IN ('care_director', 'service_advisor', 'finance_clerk'))",
            name=op.f("ck_account_scope"),
        ),
        sa.CheckConstraint(
            "role IN ('hq', 'care_director', 'service_advisor', 'finance_clerk', 'api_client')",
            name=op.f("ck_account_role"),
        ),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_account_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("username", name=op.f("uq_account_username")),
    )
    op.create_index(op.f("ix_account_dealer_code"), "account", ["dealer_code"], unique=False)
    op.create_table(
        "chapter",
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_chapter_dealer_code")),
        sa.PrimaryKeyConstraint("dealer_code", name=op.f("pk_chapter")),
    )
    op.create_table(
        "contract",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("rate_fen_per_thousand", sa.Integer(), nullable=False),
        sa.Column("charging", sa.Text(), nullable=False),
        sa.Column("confirm_days", sa.Integer(), nullable=False),
        sa.CheckConstraint("charging IN ('redemption', 'issuance')", name=op.f("ck_contract_charging")),
        sa.CheckConstraint("rate_fen_per_thousand >= 0", name=op.f("ck_contract_rate")),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_contract_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract")),
        sa.UniqueConstraint(
            "dealer_code",
            "valid_from",
            name=op.f("uq_contract_dealer_code_valid_from"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_no", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("joined_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("phone ~ '^\\+861[3-9][0-9]{9}$'", name=op.f("ck_member_phone")),
        sa.CheckConstraint("status IN ('active', 'suspended', 'left')", name=op.f("ck_member_status")),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_member_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint("member_no", name=op.f("uq_member_member_no")),
        sa.UniqueConstraint("phone", name=op.f("uq_member_phone")),
    )
    op.create_index(op.f("ix_member_dealer_code"), "member", ["dealer_code"], unique=False)
    op.create_table(
        "application",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('open', 'approved', 'refused', 'withdrawn')", name=op.f("ck_application_status")
        ),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_application_dealer_code")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_application_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
    )
    op.create_index("ix_application_dealer", "application", ["dealer_code", "status", "id"], unique=False)
    op.create_index(
        "uq_application_open",
        "application",
        ["phone", "vin"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "member_status_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("from_status", sa.Text(), nullable=True),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_status_change_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_status_change")),
    )
    op.create_index(op.f("ix_member_status_change_member_id"), "member_status_change", ["member_id"], unique=False)
    op.create_table(
        "ownership",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.CheckConstraint("until IS NULL OR until >= since", name=op.f("ck_ownership_order")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_ownership_member_id")),
        sa.ForeignKeyConstraint(["vin"], ["vehicle.vin"], name=op.f("fk_ownership_vin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ownership")),
    )
    op.create_index(op.f("ix_ownership_member_id"), "ownership", ["member_id"], unique=False)
    op.create_index(op.f("ix_ownership_vin"), "ownership", ["vin"], unique=False)
    op.create_index("uq_ownership_open", "ownership", ["vin"], unique=True, postgresql_where=sa.text("until IS NULL"))
    run_script(GRANTS)


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
