"""Sign-in at the edge."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from app.core.actors import Role
from app.core.schemas import Input


class SignIn(Input):
    """A staff member's username and password."""

    username: str = Field(min_length=1, max_length=100)
    password: SecretStr = Field(max_length=200)


class AccessToken(BaseModel):
    """A short bearer token."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (the scheme's name)
    expires_at: datetime


class Me(BaseModel):
    """Who the service takes the caller for."""

    subject: str
    role: Role
    dealer_code: str | None
    scopes: list[str]
