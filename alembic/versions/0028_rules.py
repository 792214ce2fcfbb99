"""Earning rules are data: versions that never change once published, the chapters' frame, and the default rule."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core.migrations import run_script

revision = "0028"
down_revision = "0027"

BEGINNING = date(2000, 1, 1)

# what rules say is read by whoever earns by them; drafts, and all writing, are their authors'
ROWS = """
CREATE FUNCTION published_rules_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status = 'draft' AND TG_OP = 'UPDATE' THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' OR NEW.status NOT IN (OLD.status, 'retired')
     OR (NEW.no, NEW.rule_id, NEW.version, NEW.definition, NEW.valid_from, NEW.published_at, NEW.published_by)
        IS DISTINCT FROM
        (OLD.no, OLD.rule_id, OLD.version, OLD.definition, OLD.valid_from, OLD.published_at, OLD.published_by)
     OR coalesce(NEW.valid_until, 'infinity') > coalesce(OLD.valid_until, 'infinity') THEN
    RAISE EXCEPTION 'version % of rule % is published: it only ends earlier', OLD.version, OLD.rule_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER published_rules_stay BEFORE UPDATE OR DELETE ON rule_version
  FOR EACH ROW EXECUTE FUNCTION published_rules_stay();

ALTER TABLE rule ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON rule FOR SELECT TO club_app USING (true);
CREATE POLICY reach ON rule TO club_app
  USING ((SELECT club_reach()) = 'all' OR dealer_code IS NULL OR dealer_code = ANY ((SELECT club_reached())::text[]))
  WITH CHECK ((SELECT club_reach()) = 'all' OR dealer_code = ANY ((SELECT club_reached())::text[]));

ALTER TABLE rule_version ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON rule_version FOR SELECT TO club_app USING (status <> 'draft');
CREATE POLICY reach ON rule_version TO club_app USING (
  (SELECT club_reach()) = 'all'
  OR EXISTS (SELECT FROM rule r WHERE r.id = rule_id AND r.dealer_code = ANY ((SELECT club_reached())::text[])));

ALTER TABLE rule_frame ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON rule_frame TO club_app
  USING ((SELECT club_reach()) = 'all' OR dealer_code IS NULL OR dealer_code = ANY ((SELECT club_reached())::text[]))
  WITH CHECK ((SELECT club_reach()) = 'all');

GRANT SELECT, INSERT, UPDATE ON rule, rule_version TO club_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON rule_frame TO club_app;
"""

Version = tuple[date, int, int, str]
"""From when on, points a yuan, months, who pays."""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    _rules()
    _versions()
    _frames()
    run_script(ROWS)
    _convert()
    op.drop_table("order_rule")


def _rules() -> None:
    op.create_table(
        "rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("label_zh", sa.Text(), nullable=False),
        sa.Column("label_en", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_rule_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule")),
        sa.UniqueConstraint("code", name=op.f("uq_rule_code")),
    )
    op.create_index(op.f("ix_rule_dealer_code"), "rule", ["dealer_code"])


def _versions() -> None:
    op.create_table(
        "rule_version",
        sa.Column("no", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("definition", JSONB(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_by", sa.Text(), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_by", sa.Text(), nullable=True),
        sa.CheckConstraint("status IN ('draft', 'published', 'retired')", name=op.f("ck_rule_version_status")),
        sa.CheckConstraint("(status = 'draft') = (published_at IS NULL)", name=op.f("ck_rule_version_published")),
        sa.CheckConstraint("(published_at IS NULL) = (published_by IS NULL)", name=op.f("ck_rule_version_publisher")),
        sa.CheckConstraint("(status = 'retired') = (retired_at IS NOT NULL)", name=op.f("ck_rule_version_retired")),
        sa.CheckConstraint("(retired_at IS NULL) = (retired_by IS NULL)", name=op.f("ck_rule_version_retirer")),
        sa.ForeignKeyConstraint(["rule_id"], ["rule.id"], name=op.f("fk_rule_version_rule_id")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_rule_version")),
        sa.UniqueConstraint("rule_id", "version", name=op.f("uq_rule_version_rule_id_version")),
    )
    op.create_index(
        "uq_rule_version_draft", "rule_version", ["rule_id"], unique=True,
        postgresql_where=sa.text("status = 'draft'"),
    )  # fmt: skip


def _frames() -> None:
    op.create_table(
        "rule_frame",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=True),
        sa.Column("triggers", ARRAY(sa.Text()), nullable=False),
        sa.Column("most_points_an_award", sa.Integer(), nullable=False),
        sa.Column("most_points_a_member_month", sa.Integer(), nullable=False),
        sa.Column("most_expiry_months", sa.Integer(), nullable=False),
        sa.Column("is_self_funded", sa.Boolean(), nullable=False),
        sa.Column("budget", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "most_points_an_award > 0 AND most_points_a_member_month > 0 AND most_expiry_months > 0",
            name=op.f("ck_rule_frame_bounds"),
        ),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_rule_frame_dealer_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_frame")),
        sa.UniqueConstraint("dealer_code", name=op.f("uq_rule_frame_dealer_code"), postgresql_nulls_not_distinct=True),
    )


def _convert() -> None:
    """The rules for repair orders as they were in `order_rule`: a region's goes before the general one."""
    rows = op.get_bind().execute(
        sa.text(
            "SELECT region_code, valid_from, points_per_yuan, expiry_months, funding FROM order_rule"
            " ORDER BY region_code NULLS FIRST, valid_from, id"
        )
    )
    by_region = {region: [tuple(row[1:]) for row in group] for region, group in groupby(rows, key=lambda row: row[0])}
    general = by_region.pop(None, [])
    if not general or general[0][0] > BEGINNING:
        general = [(BEGINNING, 1, 24, "hq"), *general]
    _publish("orders", "维修保养积分", "Points for repair orders", None, general)
    for region, versions in by_region.items():
        _publish(
            f"orders-{region.lower()}",
            f"维修保养积分（{region}）",
            f"Points for repair orders in {region}",
            region,
            versions,
        )


def _publish(code: str, zh: str, en: str, region: str | None, versions: Sequence[Version]) -> None:
    rule_id = op.get_bind().scalar(
        sa.text(
            "INSERT INTO rule (id, code, label_zh, label_en, created_by, created_at, version)"
            " VALUES (gen_random_uuid(), :code, :zh, :en, 'migration', now(), 1) RETURNING id"
        ),
        {"code": code, "zh": zh, "en": en},
    )
    statement = sa.text(
        "INSERT INTO rule_version (rule_id, version, status, definition, valid_from, valid_until, published_at,"
        " published_by) VALUES (:rule_id, :version, 'published', :definition, :first, :last, now(), 'migration')"
    )
    for number, (version, last) in enumerate(zip(versions, _last_days(versions), strict=True), 1):
        definition = json.dumps(_definition(version, region))
        op.get_bind().execute(
            statement,
            {"rule_id": rule_id, "version": number, "definition": definition, "first": version[0], "last": last},
        )


def _last_days(versions: Sequence[Version]) -> Iterable[date | None]:
    return [*(version[0] - timedelta(days=1) for version in versions[1:]), None]


def _definition(version: Version, region: str | None) -> dict[str, Any]:
    first, per_yuan, months, funding = version
    example = {
        "fields": {"kind": "maintenance", "paid_fen": 123_456}, "member": {},
        "dealer": {"code": "XX001", "region": region or "XX"}, "on": first.isoformat(), "points": 1_234 * per_yuan,
    }  # fmt: skip
    return {
        "trigger": "repair_order",
        "condition": "true" if region is None else f'dealer.region == "{region}"',
        "amount": "event.paid_fen / 100" if per_yuan == 1 else f"event.paid_fen / 100 * {per_yuan}",
        "factor_percent": None, "status_amount": None,
        "funders": [{"party": funding, "percent": "100"}],
        "pending": {"kind": "at_once"},
        "expiry": {"kind": "rolling_months", "months": months},
        "caps": {"per_order": None, "per_member_day": None, "per_member_month": None, "per_member_year": None},
        "budgets": [],
        "stacking": {"group": "orders", "mode": "priority", "priority": 0 if region is None else 100},
        "audience": None, "hold_for_review": None,
        "valid_from": first.isoformat(), "valid_until": None,
        "examples": [example],
    }  # fmt: skip


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
