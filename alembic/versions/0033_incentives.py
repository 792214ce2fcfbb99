"""Incentives for recruits and referrals with their monthly lists; abuse signals and the numbers of staff."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.migrations import run_script

revision = "0033"
down_revision = "0032"

ROWS = """
-- a chapter sees its own scheme and headquarters'; of headquarters' lists, once approved, its own lines
ALTER TABLE incentive_rule ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON incentive_rule TO club_app
  USING ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[])
         OR (dealer_code IS NULL AND cardinality((SELECT club_reached())::text[]) > 0))
  WITH CHECK ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));
ALTER TABLE incentive_list ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON incentive_list TO club_app
  USING ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[])
         OR (dealer_code IS NULL AND status <> 'draft' AND cardinality((SELECT club_reached())::text[]) > 0))
  WITH CHECK ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));
ALTER TABLE incentive_line ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON incentive_line TO club_app USING (
  (SELECT club_reach()) = 'all' OR (dealer_code = ANY ((SELECT club_reached())::text[])
                                    AND EXISTS (SELECT FROM incentive_list l WHERE l.id = list_id)));
ALTER TABLE signal ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON signal TO club_app USING ((SELECT club_reach()) = 'all');
ALTER TABLE staff_phone ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON staff_phone TO club_app USING ((SELECT club_reach()) = 'all');

GRANT SELECT, INSERT, UPDATE ON incentive_rule, incentive_list TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON incentive_line, signal, staff_phone TO club_app;

CREATE FUNCTION incentive_rules_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF to_jsonb(NEW) - 'valid_until' - 'version' IS DISTINCT FROM to_jsonb(OLD) - 'valid_until' - 'version' THEN
    RAISE EXCEPTION 'incentive rule % only ends', OLD.code USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER incentive_rules_stay BEFORE UPDATE ON incentive_rule
  FOR EACH ROW EXECUTE FUNCTION incentive_rules_stay();

CREATE FUNCTION approved_lists_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT status FROM public.incentive_list WHERE id = coalesce(NEW.list_id, OLD.list_id)) <> 'draft'
     AND (TG_OP <> 'UPDATE' OR NEW.inputs <> '{}' OR to_jsonb(NEW) - 'inputs' <> to_jsonb(OLD) - 'inputs') THEN
    RAISE EXCEPTION 'the lines of an approved list stay' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER approved_lists_stay BEFORE INSERT OR UPDATE OR DELETE ON incentive_line
  FOR EACH ROW EXECUTE FUNCTION approved_lists_stay();

-- inputs tell of a person
CREATE FUNCTION forget_incentive_inputs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.incentive_line SET inputs = '{}' WHERE member_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_incentive_inputs AFTER UPDATE ON member FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_incentive_inputs();
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    _rules()
    _lists()
    _lines()
    _signals()
    run_script(ROWS)


def _rules() -> None:
    op.create_table(
        "incentive_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("label_zh", sa.Text(), nullable=False),
        sa.Column("label_en", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("definition", postgresql.JSONB(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("trigger IN ('enrolment', 'referral_success')", name=op.f("ck_incentive_rule_trigger")),
        sa.CheckConstraint("valid_until >= valid_from", name=op.f("ck_incentive_rule_days")),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_incentive_rule_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incentive_rule")),
        sa.UniqueConstraint("code", name=op.f("uq_incentive_rule_code")),
    )
    op.create_index(op.f("ix_incentive_rule_dealer_code"), "incentive_rule", ["dealer_code"])


def _lists() -> None:
    op.create_table(
        "incentive_list",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("unassigned", sa.Integer(), nullable=False),
        sa.Column("drawn_up_by", sa.Text(), nullable=False),
        sa.Column("drawn_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_by", sa.Text(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("extract(day FROM month) = 1", name=op.f("ck_incentive_list_month")),
        sa.CheckConstraint("status IN ('draft', 'approved', 'paid')", name=op.f("ck_incentive_list_status")),
        sa.CheckConstraint("(status = 'draft') = (approved_at IS NULL)", name=op.f("ck_incentive_list_approved")),
        sa.CheckConstraint("(status = 'paid') = (paid_at IS NOT NULL)", name=op.f("ck_incentive_list_paid")),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_incentive_list_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incentive_list")),
        sa.UniqueConstraint(
            "month", "dealer_code", name=op.f("uq_incentive_list_month_dealer_code"),
            postgresql_nulls_not_distinct=True,
        ),
    )  # fmt: skip
    op.create_index(op.f("ix_incentive_list_dealer_code"), "incentive_list", ["dealer_code"])


def _lines() -> None:
    op.create_table(
        "incentive_line",
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payee", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("happened_on", sa.Date(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('earned', 'late', 'correction', 'failed')", name=op.f("ck_incentive_line_kind")),
        sa.CheckConstraint(
            "(kind = 'failed') = (fault IS NOT NULL) AND (kind = 'failed') = (fen = 0)",
            name=op.f("ck_incentive_line_fault"),
        ),
        sa.ForeignKeyConstraint(["list_id"], ["incentive_list.id"], name=op.f("fk_incentive_line_list_id")),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_incentive_line_dealer_code")),
        sa.ForeignKeyConstraint(["rule_id"], ["incentive_rule.id"], name=op.f("fk_incentive_line_rule_id")),
        sa.PrimaryKeyConstraint("list_id", "line_no", name=op.f("pk_incentive_line")),
    )
    op.create_index("ix_incentive_line_document", "incentive_line", ["document"])
    op.create_index(op.f("ix_incentive_line_dealer_code"), "incentive_line", ["dealer_code"])
    op.create_index(op.f("ix_incentive_line_member_id"), "incentive_line", ["member_id"])


def _signals() -> None:
    op.create_table(
        "signal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("member_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_weight", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('open', 'cleared', 'confirmed')", name=op.f("ck_signal_status")),
        sa.CheckConstraint(
            "(status = 'open') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)"
            " AND (decided_at IS NULL) = (decided_weight IS NULL)",
            name=op.f("ck_signal_decided"),
        ),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_signal_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_signal_kind_key")),
    )
    op.create_index("ix_signal_status", "signal", ["status", "id"])
    op.create_index(op.f("ix_signal_seen_at"), "signal", ["seen_at"])
    op.create_table(
        "staff_phone",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("phone", sa.LargeBinary(), nullable=False),
        sa.Column("phone_index", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "substring(phone FROM 1 FOR 5) = 'gAAAA' AND octet_length(phone_index) = 32",
            name=op.f("ck_staff_phone_phone"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_staff_phone_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_phone")),
        sa.UniqueConstraint("account_id", "phone_index", name=op.f("uq_staff_phone_account_id_phone_index")),
    )
    op.create_index(op.f("ix_staff_phone_phone_index"), "staff_phone", ["phone_index"])


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
