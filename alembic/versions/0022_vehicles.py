"""Vehicles have ids, models, warranties and mileages; owners plates and insurance; claims, and service intervals."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0022"
down_revision = "0021"

# what was read stays with the car: who cares for its owner of the day sees it, whoever owned it then
ROWS = """
ALTER TABLE vehicle_mileage ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON vehicle_mileage TO club_app USING (
  (SELECT club_reach()) = 'all'
  OR EXISTS (SELECT FROM ownership o WHERE o.vin = vehicle_mileage.vin AND o.until IS NULL));

ALTER TABLE vehicle_claim ENABLE ROW LEVEL SECURITY;
CREATE POLICY reach ON vehicle_claim TO club_app USING (
  (SELECT club_reach()) = 'all'
  OR EXISTS (SELECT FROM member m WHERE m.id IN (claimant_id, from_member_id))
  OR EXISTS (SELECT FROM application a WHERE a.id = application_id)
  OR status = 'asked'
     AND EXISTS (SELECT FROM ownership o WHERE o.vin = vehicle_claim.vin AND o.until IS NULL));

GRANT SELECT, INSERT, UPDATE ON vehicle_mileage, vehicle_claim, service_interval TO club_app;
GRANT UPDATE ON vehicle TO club_app;

-- proofs and reasons are free text
CREATE FUNCTION forget_vehicle_claims() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.vehicle_claim SET proof = 'erased', objection = NULL, reason = NULL, reference = NULL
   WHERE NEW.id IN (claimant_id, from_member_id);
  RETURN NULL;
END $$;
CREATE TRIGGER forget_vehicle_claims AFTER UPDATE ON member FOR EACH ROW
  WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION forget_vehicle_claims();
"""

# whichever comes first: of a car that was delivered, the feed told the model
MODELS = """
CREATE FUNCTION model_as_delivered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.model := coalesce(NEW.model, (SELECT d.model FROM public.delivery d WHERE d.vin = NEW.vin));
  RETURN NEW;
END $$;
CREATE TRIGGER model_as_delivered BEFORE INSERT ON vehicle FOR EACH ROW EXECUTE FUNCTION model_as_delivered();

CREATE FUNCTION model_of_delivered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.vehicle v SET model = a.model, version = v.version + 1
    FROM added a WHERE v.vin = a.vin AND v.model IS NULL AND a.model IS NOT NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER model_of_delivered AFTER INSERT ON delivery REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION model_of_delivered();
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    _vehicles()
    _mileage()
    _claims()
    _intervals()
    run_script(ROWS)
    run_script(MODELS)


def _vehicles() -> None:
    op.add_column("vehicle", sa.Column("id", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()")))
    op.create_unique_constraint(op.f("uq_vehicle_id"), "vehicle", ["id"])
    op.add_column("vehicle", sa.Column("model", sa.Text(), nullable=True))
    op.add_column("vehicle", sa.Column("warranty_ends_on", sa.Date(), nullable=True))
    op.add_column("vehicle", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("ownership", sa.Column("plate", sa.Text(), nullable=True))
    op.add_column("ownership", sa.Column("purchased_on", sa.Date(), nullable=True))
    op.add_column("ownership", sa.Column("insurance_ends_on", sa.Date(), nullable=True))
    op.create_index(
        "ix_ownership_plate", "ownership", ["plate"],
        postgresql_where=sa.text("plate IS NOT NULL AND until IS NULL"),
    )  # fmt: skip


def _mileage() -> None:
    op.create_table(
        "vehicle_mileage",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("km", sa.Integer(), nullable=False),
        sa.Column("read_on", sa.Date(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("is_drop", sa.Boolean(), nullable=False),
        sa.Column("noted_by", sa.Text(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.Text(), nullable=True),
        sa.CheckConstraint("km >= 0", name=op.f("ck_vehicle_mileage_km")),
        sa.CheckConstraint("source IN ('owner', 'staff', 'workshop')", name=op.f("ck_vehicle_mileage_source")),
        sa.CheckConstraint(
            "(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name=op.f("ck_vehicle_mileage_withdrawn")
        ),
        sa.ForeignKeyConstraint(["vin"], ["vehicle.vin"], name=op.f("fk_vehicle_mileage_vin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vehicle_mileage")),
        sa.UniqueConstraint("document", name=op.f("uq_vehicle_mileage_document")),
    )
    op.create_index("ix_vehicle_mileage_vin", "vehicle_mileage", ["vin", "read_on", "id"])


def _claims() -> None:
    op.create_table(
        "vehicle_claim",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("claimant_id", sa.Uuid(), nullable=True),
        sa.Column("application_id", sa.Uuid(), nullable=True),
        sa.Column("bought_on", sa.Date(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("objection", sa.Text(), nullable=True),
        sa.Column("objected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("from_member_id", sa.Uuid(), nullable=True),
        sa.Column("handed_over", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.CheckConstraint("num_nonnulls(claimant_id, application_id) = 1", name=op.f("ck_vehicle_claim_claimant")),
        sa.CheckConstraint(
            "status IN ('asked', 'accepted', 'refused', 'withdrawn')", name=op.f("ck_vehicle_claim_status")
        ),
        sa.CheckConstraint("(status = 'asked') = (decided_at IS NULL)", name=op.f("ck_vehicle_claim_decided")),
        sa.CheckConstraint(
            "(status = 'accepted') = (handed_over IS NOT NULL)", name=op.f("ck_vehicle_claim_handed_over")
        ),
        sa.ForeignKeyConstraint(["claimant_id"], ["member.id"], name=op.f("fk_vehicle_claim_claimant_id")),
        sa.ForeignKeyConstraint(["from_member_id"], ["member.id"], name=op.f("fk_vehicle_claim_from_member_id")),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_vehicle_claim_application_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vehicle_claim")),
    )
    op.create_index(
        "uq_vehicle_claim_open", "vehicle_claim", ["vin", "claimant_id", "application_id"], unique=True,
        postgresql_nulls_not_distinct=True, postgresql_where=sa.text("status = 'asked'"),
    )  # fmt: skip
    for column in ("claimant_id", "application_id", "from_member_id"):
        op.create_index(op.f(f"ix_vehicle_claim_{column}"), "vehicle_claim", [column])


def _intervals() -> None:
    op.create_table(
        "service_interval",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("months", sa.Integer(), nullable=True),
        sa.Column("km", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("months > 0 AND km > 0", name=op.f("ck_service_interval_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_interval")),
        sa.UniqueConstraint("model", name=op.f("uq_service_interval_model"), postgresql_nulls_not_distinct=True),
    )


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
