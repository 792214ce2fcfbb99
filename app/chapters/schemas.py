"""The network at the edge."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.chapters.rules import is_dealer_code
from app.core.actors import Role
from app.core.schemas import Input, Line, Name, may_be_left_out
from app.identity.account_schemas import Password, Username
from app.identity.queries import StaffMember


def _dealer_code(text: str) -> str:
    if not is_dealer_code(text):
        raise PydanticCustomError("dealer_code_format", "not a dealer code such as BJ001")
    return text


DealerCode = Annotated[str, Field(examples=["BJ001"], max_length=16), AfterValidator(_dealer_code)]
"""Two to sixteen capital letters and digits, some of each."""

RegionCode = Annotated[Line, Field(max_length=16, examples=["BJ"])]
REGION_CODE = r"^[A-Za-z0-9_-]{1,16}$"

StaffRole = Literal[
    Role.CARE_DIRECTOR, Role.CARE_STAFF, Role.GENERAL_MANAGER, Role.SALES_CONSULTANT, Role.SERVICE_ADVISOR,
    Role.FINANCE_CLERK,
]  # fmt: skip


class RegionRead(BaseModel):
    """A regional office (大区)."""

    code: str
    name: str


class RegionCreate(Input):
    """A new regional office."""

    code: Annotated[str, StringConstraints(pattern=REGION_CODE), Field(examples=["BJ"])]
    name: Name


class ChapterRead(BaseModel):
    """A dealer's chapter (分会)."""

    dealer_code: str
    name: str | None
    opened_on: date
    version: int


class DealerRead(BaseModel):
    """A dealer (4S店) with its chapter, if it has one."""

    code: str
    name: str | None
    region_code: str
    has_after_sales: bool
    version: int
    chapter: ChapterRead | None


class DealerCreate(Input):
    """A new dealer in an existing region."""

    code: DealerCode
    name: Name | None = None
    region_code: RegionCode
    has_after_sales: bool


class DealerUpdate(Input):
    """What may change on a dealer; what is left out stays."""

    name: Name | None = None
    region_code: RegionCode = may_be_left_out()
    has_after_sales: bool = may_be_left_out()


class ChapterCreate(Input):
    """The opening of a chapter; today unless said otherwise."""

    name: Name | None = None
    opened_on: date | None = None


class ChapterUpdate(Input):
    """What may change on a chapter."""

    name: Name | None = None


class StaffRead(BaseModel):
    """An account of a dealer's staff, under its grant there from a first to a last day (China dates)."""

    id: UUID
    username: str
    name: str
    role: Role
    dealer_code: str
    valid_from: date
    valid_until: date | None
    is_active: bool
    is_blocked: bool = Field(description="deactivated by headquarters, whose administrators make it active again")
    created_at: datetime
    version: int

    @classmethod
    def of(cls, member: StaffMember) -> "StaffRead":
        """As it is shown."""
        granted = {"role", "dealer_code", "valid_from", "valid_until"}
        return cls(**{
            name: getattr(member.grant if name in granted else member.account, name) for name in cls.model_fields
        })  # fmt: skip


class StaffCreate(Input):
    """A new account of a dealer's staff with its first password."""

    username: Username
    name: Name
    role: StaffRole
    password: Password


class StaffUpdate(Input):
    """What may change on a staff account; inactive accounts cannot sign in."""

    name: Name = may_be_left_out()
    is_active: bool = may_be_left_out()
