"""What rules gave and from which inputs, what limits them, and what waits for a person."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.migrations import run_script

revision = "0029"
down_revision = "0028"

ROWS = """
ALTER TABLE award ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON award TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM member m WHERE m.id = member_id));
ALTER TABLE audience_member ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON audience_member TO club_app USING ((SELECT club_reach()) = 'all');
ALTER TABLE rule_use ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON rule_use TO club_app USING ((SELECT club_reach()) = 'all');
ALTER TABLE budget ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON budget TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));
ALTER TABLE budget_use ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON budget_use TO club_app USING (
  (SELECT club_reach()) = 'all' OR EXISTS (SELECT FROM budget b WHERE b.code = budget_code));
ALTER TABLE earning_case ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON earning_case TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[])
  OR EXISTS (SELECT FROM member m WHERE m.id = member_id));

GRANT SELECT, INSERT, UPDATE ON award, rule_use, budget, budget_use, earning_case TO club_app;
GRANT SELECT, INSERT, DELETE ON audience_member TO club_app;

-- inputs and reasons tell of a person
CREATE FUNCTION forget_earning_inputs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.award SET inputs = '{}' WHERE member_id = NEW.id;
  UPDATE public.earning_case
     SET values = '{}', reason = 'erased', decision = CASE WHEN status <> 'open' THEN 'erased' END,
         status = CASE status WHEN 'open' THEN 'refused' ELSE status END,
         decided_at = coalesce(decided_at, NEW.erased_at), decided_by = coalesce(decided_by, 'system')
   WHERE member_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_earning_inputs AFTER UPDATE ON member FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_earning_inputs();

-- a batch may hold pending points since
DROP FUNCTION IF EXISTS ledger.earn_batch(uuid[], bigint[], text[], text[], text[], int[], date[], date[], text, timestamptz);
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.add_column("repair_order", sa.Column("rule_no", sa.Integer(), nullable=True))
    op.add_column("import_job", sa.Column("parked", sa.Integer(), nullable=False, server_default="0"))
    _awards()
    _limits()
    _cases()
    run_script(ROWS)


def _awards() -> None:
    op.create_table(
        "award",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("rule_no", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("funder", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("status_points", sa.BigInteger(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("inputs", postgresql.JSONB(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "points >= 0 AND status_points >= 0 AND (points > 0) = (cause IS NOT NULL)", name=op.f("ck_award_points")
        ),
        sa.ForeignKeyConstraint(["rule_no"], ["rule_version.no"], name=op.f("fk_award_rule_no")),
        sa.PrimaryKeyConstraint("document", "attempt", "part", name=op.f("pk_award")),
    )
    op.create_index("ix_award_member", "award", ["member_id", "booked_on"])
    op.create_index("ix_award_rule", "award", ["rule_no", "booked_on"])
    op.create_index(op.f("ix_award_cause"), "award", ["cause"])


def _limits() -> None:
    op.create_table(
        "audience_member",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "member_id", name=op.f("pk_audience_member")),
    )
    op.create_table(
        "rule_use",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("begins", sa.Date(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("span IN ('day', 'month', 'year') AND points >= 0", name=op.f("ck_rule_use_span")),
        sa.ForeignKeyConstraint(["rule_id"], ["rule.id"], name=op.f("fk_rule_use_rule_id")),
        sa.PrimaryKeyConstraint("rule_id", "member_id", "span", "begins", name=op.f("pk_rule_use")),
    )
    op.create_table(
        "budget",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("funder", sa.Text(), nullable=True),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("period IN ('month', 'year', 'whole')", name=op.f("ck_budget_period")),
        sa.CheckConstraint("points >= 0", name=op.f("ck_budget_points")),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_budget_dealer_code")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_budget")),
    )
    op.create_table(
        "budget_use",
        sa.Column("budget_code", sa.Text(), nullable=False),
        sa.Column("begins", sa.Date(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("points >= 0", name=op.f("ck_budget_use_points")),
        sa.ForeignKeyConstraint(["budget_code"], ["budget.code"], name=op.f("fk_budget_use_budget_code")),
        sa.PrimaryKeyConstraint("budget_code", "begins", name=op.f("pk_budget_use")),
    )


def _cases() -> None:
    op.create_table(
        "earning_case",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("values", postgresql.JSONB(), nullable=False),
        sa.Column("rule_no", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("status_points", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('parked', 'budget', 'review')", name=op.f("ck_earning_case_kind")),
        sa.CheckConstraint("status IN ('open', 'approved', 'refused')", name=op.f("ck_earning_case_status")),
        sa.CheckConstraint("(status = 'open') = (decided_at IS NULL)", name=op.f("ck_earning_case_decided")),
        sa.ForeignKeyConstraint(["rule_no"], ["rule_version.no"], name=op.f("fk_earning_case_rule_no")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earning_case")),
        sa.UniqueConstraint(
            "document", "attempt", "rule_no", name=op.f("uq_earning_case_document_attempt_rule_no")
        ),
    )  # fmt: skip
    op.create_index(op.f("ix_earning_case_member_id"), "earning_case", ["member_id"])
    op.create_index(
        "ix_earning_case_open", "earning_case", ["created_at", "id"], postgresql_where=sa.text("status = 'open'")
    )


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
