"""Sessions at the edge."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr

from app.core.actors import Role
from app.core.schemas import Input


class Refresh(Input):
    """The refresh token last handed out."""

    refresh_token: SecretStr = Field(max_length=100)


class SessionRead(BaseModel):
    """A sign-in that goes on; `current`: the one this request is made with."""

    id: UUID
    role: Role
    place: str | None = Field(description="the dealer, region, partner or agency the role is bound to")
    device: str = Field(description="the User-Agent it began with")
    opened_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    current: bool


class JsonWebKey(BaseModel):
    """A public key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    alg: str
    use: str


class JsonWebKeys(BaseModel):
    """The public keys that verify access tokens (RFC 7517)."""

    keys: list[JsonWebKey]
