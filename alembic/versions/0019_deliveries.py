"""Deliveries, matched with memberships whichever comes first, and the chapters' recruitment plans."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0019"
down_revision = "0018"

ROWS = """
ALTER TABLE delivery ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON delivery TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY (string_to_array((SELECT club_dealer()), ','))
  OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));

ALTER TABLE recruitment_plan ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON recruitment_plan TO club_app USING (
  (SELECT club_reach()) = 'all' OR dealer_code = ANY (string_to_array((SELECT club_dealer()), ','))
  OR dealer_code IN (SELECT code FROM dealer WHERE region_code = (SELECT club_region())));

GRANT SELECT, INSERT, UPDATE ON delivery, recruitment_plan TO club_app;
"""

# of all chapters: who joins one may have got the car from another, whose rows the session under way may not see;
# who was merged (0027 adds the column, and no row is matched before) has become another
MATCHING = """
CREATE FUNCTION match_deliveries(p_vins text[]) RETURNS void
-- planned for the cars at hand: one from the counter, thousands from a file, into a table that was empty a minute ago
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  UPDATE public.delivery d
     SET member_id = o.member_id, matched_on = o.joined_on, matched_by = 'vin',
         owner_name = NULL, phone = NULL, phone_index = NULL
    FROM (SELECT DISTINCT ON (o.vin) o.vin, o.member_id, m.joined_on
            FROM public.ownership o JOIN public.member m ON m.id = o.member_id
           WHERE o.vin = ANY (p_vins) AND m.status <> 'left' ORDER BY o.vin, o.since, o.id) o
   WHERE d.vin = o.vin AND d.owner_kind = 'individual'
     AND (d.matched_on IS NULL OR d.matched_by = 'phone' AND d.member_id <> o.member_id);
  UPDATE public.delivery d
     SET member_id = m.id, matched_on = m.joined_on, matched_by = 'phone',
         owner_name = NULL, phone = NULL, phone_index = NULL
    FROM public.member n JOIN public.member m ON m.id = coalesce(n.merged_into, n.id)
   WHERE d.vin = ANY (p_vins) AND d.owner_kind = 'individual' AND d.matched_on IS NULL
     AND n.phone_index = d.phone_index AND m.status <> 'left';
END $$;
COMMENT ON FUNCTION match_deliveries IS
  'The membership of each individual owner''s car: by VIN the first owner who is a member, else who has the phone number. What the delivery told of the owner is the member''s to keep from then on.';

CREATE FUNCTION match_new_ownerships() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM public.match_deliveries((SELECT array_agg(a.vin) FROM added a));
  RETURN NULL;
END $$;
CREATE TRIGGER match_deliveries AFTER INSERT ON ownership REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION match_new_ownerships();

CREATE FUNCTION match_new_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM public.match_deliveries((
    SELECT array_agg(d.vin) FROM added a JOIN public.delivery d ON d.phone_index = a.phone_index
     WHERE d.matched_on IS NULL));
  RETURN NULL;
END $$;
CREATE TRIGGER match_deliveries AFTER INSERT ON member REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION match_new_members();

CREATE FUNCTION match_changed_member() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM public.match_deliveries(ARRAY(
    SELECT d.vin FROM public.delivery d WHERE d.phone_index = NEW.phone_index AND d.matched_on IS NULL
    UNION SELECT o.vin FROM public.ownership o WHERE o.member_id = NEW.id));
  RETURN NULL;
END $$;
CREATE TRIGGER match_deliveries_anew AFTER UPDATE ON member FOR EACH ROW
  WHEN (NEW.phone_index IS DISTINCT FROM OLD.phone_index AND NEW.phone_index IS NOT NULL
        OR OLD.status = 'left' AND NEW.status <> 'left')
  EXECUTE FUNCTION match_changed_member();

-- that the owner joined stays a figure; who it was goes
CREATE FUNCTION forget_delivered_owner() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.delivery SET member_id = NULL, miss_note = NULL WHERE member_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_delivered_owner AFTER UPDATE ON member FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_delivered_owner();

REVOKE ALL ON FUNCTION match_deliveries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION match_deliveries TO club_app;
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    _deliveries()
    _plans()
    # what an upload holds; those before held orders
    op.add_column("import_job", sa.Column("kind", sa.Text(), nullable=False, server_default="orders"))
    run_script(ROWS)
    run_script(MATCHING)


def _deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("delivered_on", sa.Date(), nullable=False),
        sa.Column("owner_kind", sa.Text(), nullable=False),
        sa.Column("owner_name", sa.Text(), nullable=True),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column("consultant", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("matched_on", sa.Date(), nullable=True),
        sa.Column("matched_by", sa.Text(), nullable=True),
        sa.Column("miss_reason", sa.Text(), nullable=True),
        sa.Column("miss_note", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("vin ~ '^[A-HJ-NPR-Z0-9]{17}$'", name=op.f("ck_delivery_vin")),
        sa.CheckConstraint(
            "owner_kind IN ('individual', 'company', 'government')", name=op.f("ck_delivery_owner_kind")
        ),
        sa.CheckConstraint(
            "(phone IS NULL) = (phone_index IS NULL) AND (phone IS NULL OR"
            " substring(phone FROM 1 FOR 5) = 'gAAAA' AND octet_length(phone_index) = 32)",
            name=op.f("ck_delivery_phone"),
        ),
        sa.CheckConstraint(
            "owner_kind = 'individual' OR (phone IS NULL AND matched_on IS NULL AND closed_at IS NULL)",
            name=op.f("ck_delivery_individual"),
        ),
        sa.CheckConstraint(
            "(matched_on IS NULL) = (matched_by IS NULL) AND (member_id IS NULL OR matched_on IS NOT NULL)"
            " AND matched_by IN ('vin', 'phone')",
            name=op.f("ck_delivery_matched"),
        ),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (miss_reason IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)",
            name=op.f("ck_delivery_closed"),
        ),
        sa.ForeignKeyConstraint(["dealer_code"], ["dealer.code"], name=op.f("fk_delivery_dealer_code")),
        sa.PrimaryKeyConstraint("vin", name=op.f("pk_delivery")),
        sa.UniqueConstraint("id", name=op.f("uq_delivery_id")),
    )
    op.create_index("ix_delivery_dealer", "delivery", ["dealer_code", "delivered_on", "id"])
    op.create_index(op.f("ix_delivery_delivered_on"), "delivery", ["delivered_on"])
    op.create_index(op.f("ix_delivery_member_id"), "delivery", ["member_id"])
    op.create_index(
        "ix_delivery_unmatched_phone", "delivery", ["phone_index"], postgresql_where=sa.text("matched_on IS NULL")
    )
    op.create_index(
        "ix_delivery_miss", "delivery", ["dealer_code", "delivered_on", "id"],
        postgresql_where=sa.text("owner_kind = 'individual' AND matched_on IS NULL AND closed_at IS NULL"),
    )  # fmt: skip


def _plans() -> None:
    op.create_table(
        "recruitment_plan",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("dealer_code", sa.Text(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("target >= 0", name=op.f("ck_recruitment_plan_target")),
        sa.CheckConstraint("extract(day FROM month) = 1", name=op.f("ck_recruitment_plan_month")),
        sa.ForeignKeyConstraint(["dealer_code"], ["chapter.dealer_code"], name=op.f("fk_recruitment_plan_dealer_code")),
        sa.PrimaryKeyConstraint("month", "dealer_code", name=op.f("pk_recruitment_plan")),
    )


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
