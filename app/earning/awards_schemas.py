"""Awards, budgets and cases at the edge."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from app.chapters.schemas import DealerCode
from app.core.schemas import Input, Name, Reason, may_be_left_out
from app.earning.awards_models import CaseKind, CaseStatus, Period
from app.earning.definitions import Code
from app.earning.triggers import Trigger


class BudgetCreate(Input):
    """Points that rules may give in each period; rules name the budgets they draw on."""

    code: Code
    name: Name
    dealer_code: DealerCode | None = Field(default=None, description="the chapter whose it is; null: headquarters'")
    funder: str | None = Field(
        default=None, pattern=r"^(HQ|[A-Z0-9]{2,16}|partner:[A-Z0-9_-]{2,32})$",
        description="only what this party funds counts, as the ledger names it: `HQ`, a dealer's code, `partner:CODE`",
    )  # fmt: skip
    period: Period
    points: int = Field(ge=0, le=10**12, strict=True)


class BudgetUpdate(Input):
    """What may change of a budget."""

    name: Name = may_be_left_out()
    points: Annotated[int, Field(ge=0, le=10**12, strict=True)] = may_be_left_out()


class BudgetRead(BaseModel):
    """A budget, and how much of it is used (points) in the current period, which began on `begins`."""

    code: str
    name: str
    dealer_code: str | None
    funder: str | None
    period: Period
    points: int
    used: int
    begins: date
    version: int


class Decision(Input):
    """Why a case is decided so."""

    reason: Reason


class CaseRead(BaseModel):
    """An earning that waits for a person, or waited. `points` are what it would give, or gave."""

    id: UUID
    kind: CaseKind
    status: CaseStatus
    document: str
    trigger: Trigger
    member_id: UUID
    dealer_code: str | None
    booked_on: date
    rule_no: int
    points: int
    status_points: int
    reason: str = Field(description="why it was not given at once, in English")
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision: str | None


class WhyRead(BaseModel):
    """Why an earning gave so many points: the rule as it was, and what it was computed from.

    Members are not told the funder, nor the rule's expressions.
    """

    posting_no: int
    document: str
    points: int
    status_points: int
    rule_no: int
    version: int
    code: str
    names: Mapping[str, str]
    condition: str | None
    amount: str | None
    factor_percent: int | None
    inputs: Mapping[str, Any] = Field(examples=[{"event.paid_fen": 12_345}])
    funder: str | None
