"""Tables of headquarters' materials and gifts, and of what chapters ask for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.chapters.materials_rules import MaterialKind, RequestStatus
from app.core.models import id_field, text_field, time_field


@audited("material")
class Material(SQLModel, table=True):
    """Something that headquarters keeps for the chapters; `stock` is what is neither sent nor promised.

    `version` counts changes of the entry, not of its stock, which changes by `MaterialMovement` only.
    """

    __tablename__ = "material"
    __table_args__ = (
        CheckConstraint("kind IN ('material', 'gift')", name="kind"),
        CheckConstraint("stock >= 0", name="stock"),
    )

    id: UUID = id_field()
    name: str = text_field(unique=True)
    kind: MaterialKind = text_field()
    unit: str = text_field()
    description: str | None = text_field(default=None)
    is_offered: bool = True
    stock: int = Field(default=0, sa_type=BigInteger)
    version: int = 1


@audited("material_request", personal=("note", "reason", "difference"))
class MaterialRequest(SQLModel, table=True):
    """What a chapter asks headquarters for, until it has it."""

    __tablename__ = "material_request"
    __table_args__ = (
        Index("ix_material_request_dealer", "dealer_code", "id"),
        CheckConstraint(
            "status IN ('asked', 'approved', 'refused', 'withdrawn', 'shipped', 'received')", name="status"
        ),
        CheckConstraint(
            "(status = 'asked') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)", name="decided"
        ),
        CheckConstraint(
            "(status IN ('shipped', 'received')) = (shipped_at IS NOT NULL)"
            " AND (shipped_at IS NULL) = (tracking_no IS NULL)",
            name="shipped",
        ),
        CheckConstraint("(status = 'received') = (received_at IS NOT NULL)", name="received"),
    )

    id: UUID = id_field()
    dealer_code: str = text_field(foreign_key="chapter.dealer_code")
    status: RequestStatus = text_field(default=RequestStatus.ASKED)
    note: str | None = text_field(default=None)
    asked_by: str = text_field()
    asked_at: datetime = time_field()
    reason: str | None = text_field(default=None)
    decided_by: str | None = text_field(default=None)
    decided_at: datetime | None = time_field(default=None)
    carrier: str | None = text_field(default=None)
    tracking_no: str | None = text_field(default=None)
    shipped_by: str | None = text_field(default=None)
    shipped_at: datetime | None = time_field(default=None)
    difference: str | None = text_field(default=None)
    received_by: str | None = text_field(default=None)
    received_at: datetime | None = time_field(default=None)


@audited("material_request_line")
class MaterialRequestLine(SQLModel, table=True):
    """So many of one material; `approved` of them are sent, `received` is what arrived."""

    __tablename__ = "material_request_line"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("approved BETWEEN 0 AND quantity", name="approved"),
        CheckConstraint("received >= 0", name="received"),
    )

    request_id: UUID = Field(foreign_key="material_request.id", primary_key=True)
    material_id: UUID = Field(foreign_key="material.id", primary_key=True)
    quantity: int
    approved: int | None = None
    received: int | None = None


class MaterialMovement(SQLModel, table=True):
    """A change of a material's stock: their sum is the stock. `request_id`: approved (less), or withdrawn (more)."""

    __tablename__ = "material_movement"
    __table_args__ = (
        Index("ix_material_movement_material", "material_id", "id"),
        CheckConstraint("change <> 0", name="change"),
    )

    id: UUID = id_field()
    material_id: UUID = Field(foreign_key="material.id")
    request_id: UUID | None = Field(default=None, foreign_key="material_request.id", index=True)
    change: int
    reason: str | None = text_field(default=None)
    at: datetime = time_field()
    by: str = text_field()
