"""Repair orders and imports at the edge."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from app.core.schemas import Input, Reason
from app.core.tabular import Row
from app.visits.rules import COLUMNS


class OrderCreate(Input):
    """A closed repair order. Money in whole fen; (dealer_code, order_no) names the document."""

    dealer_code: str = Field(min_length=2, max_length=16)
    order_no: str = Field(min_length=1, max_length=64)
    vin: str = Field(min_length=17, max_length=17)
    closed_at: AwareDatetime
    kind: Literal["maintenance", "repair"]
    labour_fen: int = Field(ge=0, lt=10**12, strict=True)
    parts_fen: int = Field(ge=0, lt=10**12, strict=True)
    paid_fen: int = Field(ge=0, lt=10**12, strict=True)
    mileage_km: int | None = Field(default=None, ge=0, lt=10**7, strict=True, description="what the car had run")

    def row(self) -> Row:
        """The order as a line of a file, so that one rule judges both."""
        values = self.model_dump() | {"closed_at": self.closed_at.isoformat()}
        mileage = [] if self.mileage_km is None else [str(self.mileage_km)]
        return Row(1, [*(str(values[name]) for name in COLUMNS), *mileage])


class OrderSearch(Input):
    """What the orders sought have; a body, since vehicles do not belong into URLs and what logs them."""

    vin: str = Field(min_length=17, max_length=17)
    dealer_code: str | None = Field(default=None, min_length=2, max_length=16)


class OrderRead(BaseModel):
    """An accepted order, newest revision, and what it earned."""

    dealer_code: str
    order_no: str
    revision: int
    vin: str
    closed_at: datetime
    business_date: date
    kind: str
    labour_fen: int
    parts_fen: int
    paid_fen: int
    points: int
    member_id: UUID | None
    cancelled_at: datetime | None


class CancellationCreate(Input):
    """Why an order leaves the books."""

    reason: Reason


class ImportRead(BaseModel):
    """An import and how far it is: read = posted + already_known + refused."""

    id: UUID
    status: Literal["queued", "running", "done", "failed"]
    dry_run: bool
    fault: str | None = Field(description="why a file could not be read to its end")
    bytes: int
    read: int
    posted: int
    already_known: int
    refused: int
    points: int
    parked: int = Field(description="earnings of posted orders that wait for a person; their rows say why")
    created_at: datetime
    finished_at: datetime | None
