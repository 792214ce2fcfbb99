"""Accounts, grants and programs at the edge."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from app.core.actors import PROGRAM_SCOPES, Role
from app.core.schemas import BusinessDate, Input, Line, Name, PartnerCode, may_be_left_out
from app.identity.models import USERNAME, Account, AccountKind, Grant
from app.identity.schemas import GrantRead

Username = Annotated[str, StringConstraints(pattern=f"^{USERNAME.pattern}$")]
Password = Annotated[SecretStr, Field(min_length=12, max_length=128)]
Code = Annotated[Line, Field(max_length=16)]


def _scope(text: str) -> str:
    if text not in PROGRAM_SCOPES:
        raise PydanticCustomError("literal_error", "not a scope", {"expected": ", ".join(sorted(PROGRAM_SCOPES))})
    return text


def _in_order(scopes: list[str]) -> list[str]:
    return sorted(set(scopes))


Scope = Annotated[str, Field(json_schema_extra={"enum": sorted(PROGRAM_SCOPES)}), AfterValidator(_scope)]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=len(PROGRAM_SCOPES)), AfterValidator(_in_order)]

Dealers = Annotated[list[Code], Field(max_length=100), AfterValidator(_in_order)]

GrantableRole = Literal[
    Role.HQ_ADMIN, Role.HQ_OPERATIONS, Role.HQ_FINANCE, Role.AUDITOR, Role.REGIONAL_MANAGER, Role.CARE_DIRECTOR,
    Role.CARE_STAFF, Role.GENERAL_MANAGER, Role.SALES_CONSULTANT, Role.SERVICE_ADVISOR, Role.FINANCE_CLERK,
    Role.PARTNER_CLERK, Role.PARTNER_MANAGER, Role.AGENCY_CLERK,
]  # fmt: skip


class GrantGive(Input):
    """A role to give, with the code of the dealer, region, partner or agency it reaches; headquarters' have none."""

    role: GrantableRole
    region_code: Code | None = None
    dealer_code: Code | None = None
    partner_code: PartnerCode | None = None
    agency_code: PartnerCode | None = None
    valid_from: BusinessDate | None = Field(default=None, description="first day (China); today when left out")
    valid_until: BusinessDate | None = Field(default=None, description="last day (China); none when left out")


class GrantEnd(Input):
    """When a grant ends."""

    last_day: BusinessDate | None = Field(default=None, description="last day (China); at once when left out")


class AccountRead(BaseModel):
    """An account with every grant it ever had; a program has scopes instead, dealers or a region, and a last day."""

    id: UUID
    username: str
    name: str
    kind: AccountKind
    scopes: list[str]
    region_code: str | None
    dealer_codes: list[str]
    last_day: date | None
    is_active: bool
    is_blocked: bool = Field(description="deactivated by headquarters, whose administrators make it active again")
    created_at: datetime
    version: int
    grants: list[GrantRead]

    @classmethod
    def of(cls, account: Account, grants: list[Grant]) -> "AccountRead":
        """As it is shown."""
        shown = [GrantRead.model_validate(grant, from_attributes=True) for grant in grants]
        return cls(**{name: getattr(account, name) for name in cls.model_fields if name != "grants"}, grants=shown)


class AccountCreate(Input):
    """A person's new account, with a first password and a first grant."""

    username: Username
    name: Name
    password: Password
    grant: GrantGive


class AccountUpdate(Input):
    """What may change on an account; inactive accounts cannot sign in. What comes after that is a program's."""

    name: Name = may_be_left_out()
    is_active: bool = may_be_left_out()
    scopes: Scopes = may_be_left_out()
    region_code: Code | None = may_be_left_out()
    dealer_codes: Dealers = may_be_left_out()
    last_day: BusinessDate | None = may_be_left_out()


class ProgramCreate(Input):
    """A new program; its username is its client id. It reaches all dealers, unless a region or dealers are named."""

    username: Username
    name: Name
    scopes: Scopes
    region_code: Code | None = Field(default=None, description="it reaches this region's dealers only")
    dealer_codes: Dealers = Field(default_factory=list, description="it reaches these dealers only")
    last_day: BusinessDate | None = Field(default=None, description="the last day (China) on which it gets tokens")


class SecretRotate(Input):
    """How long the secrets a program has stay good beside the new one."""

    overlap_days: int = Field(default=7, ge=0, le=30)


class SecretShown(BaseModel):
    """A new client secret, shown this once."""

    account_id: UUID
    client_id: str
    client_secret: str


class SecretRead(BaseModel):
    """That there is a secret, and when it ends."""

    id: UUID
    created_at: datetime
    ends_at: datetime | None


class ClientToken(BaseModel):
    """A program's access token (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the scheme's name)
    expires_in: int = Field(description="seconds")
    scope: str


class ClientRefusal(BaseModel):
    """Why a program got no token (RFC 6749, 5.2)."""

    error: Literal["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"]
    error_description: str
