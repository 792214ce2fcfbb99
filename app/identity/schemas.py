"""Sign-in at the edge."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.core.actors import Role
from app.identity.credential_schemas import Proven


class SignIn(Proven):
    """A staff member's username and password, and a code of the second factor where there is one."""

    grant_id: UUID | None = Field(default=None, description="which grant to act under; the oldest when left out")


class AccessToken(BaseModel):
    """A short bearer token, and the refresh token that the next one is had for, once."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the scheme's name)
    expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime


class GrantRead(BaseModel):
    """A role given to a person, as far as it reaches, from a day to a last day (China dates)."""

    id: UUID
    role: Role
    region_code: str | None
    dealer_code: str | None
    partner_code: str | None
    agency_code: str | None
    valid_from: date
    valid_until: date | None
    granted_by: str
    granted_at: datetime


class Me(BaseModel):
    """Who the service takes the caller for; `grants` are those one can sign in under today."""

    subject: str
    role: Role
    dealer_code: str | None
    dealer_codes: list[str] = Field(description="the dealers one is bound to: of a program, all it reaches")
    region_code: str | None
    partner_code: str | None
    agency_code: str | None
    scopes: list[str]
    grants: list[GrantRead]
