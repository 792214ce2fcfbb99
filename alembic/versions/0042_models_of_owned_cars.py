"""Cars are found by model and purchase or insurance in one index: an ownership tells its car's model, too."""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import run_script

revision = "0042"
down_revision = "0041"

# whoever writes an ownership or corrects a model, by whatever way, both tell the same
MODELS = """
UPDATE ownership o SET model = v.model FROM vehicle v WHERE v.vin = o.vin AND v.model IS NOT NULL;

CREATE FUNCTION model_of_owned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.model := (SELECT v.model FROM public.vehicle v WHERE v.vin = NEW.vin);
  RETURN NEW;
END $$;
CREATE TRIGGER model_of_owned BEFORE INSERT ON ownership FOR EACH ROW EXECUTE FUNCTION model_of_owned();

CREATE FUNCTION model_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.ownership SET model = NEW.model WHERE vin = NEW.vin;
  RETURN NULL;
END $$;
CREATE TRIGGER model_changed AFTER UPDATE OF model ON vehicle FOR EACH ROW
  WHEN (OLD.model IS DISTINCT FROM NEW.model) EXECUTE FUNCTION model_changed();
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.add_column("ownership", sa.Column("model", sa.Text(), nullable=True))
    run_script(MODELS)
    for column in ("purchased_on", "insurance_ends_on"):
        op.create_index(
            f"ix_ownership_{column}", "ownership", ["model", column, "member_id"],
            postgresql_where=sa.text(f"{column} IS NOT NULL AND until IS NULL"),
        )  # fmt: skip


def downgrade() -> None:
    raise NotImplementedError("the books are not taken apart: restore a backup instead")
