"""Tables of earning."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import SQLModel

from app.core.models import id_field, text_field
from app.earning.rules import Funding


class OrderRule(SQLModel, table=True):
    """What a repair order earns; a region's rule wins over the general one. Never changed, only followed by another."""

    __tablename__ = "order_rule"
    __table_args__ = (
        CheckConstraint("funding IN ('hq', 'dealer')", name="funding"),
        CheckConstraint("points_per_yuan > 0 AND expiry_months > 0", name="amounts"),
    )

    id: UUID = id_field()
    region_code: str | None = text_field(default=None, foreign_key="region.code")
    valid_from: date
    points_per_yuan: int
    expiry_months: int
    funding: Funding = text_field()
