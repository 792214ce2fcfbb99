"""Passwords, second factors and identities at a provider, at the edge."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from app.core.schemas import Input

Otp = Annotated[str, StringConstraints(strip_whitespace=True, min_length=6, max_length=40, pattern=r"^[0-9A-Za-z-]+$")]
"""Six digits of the generator, or a recovery code."""


def _is_email(value: str) -> str:
    name, at, host = value.rpartition("@")
    if not (name and at and "." in host and "@" not in name):
        raise PydanticCustomError("email_format", "not an e-mail address")
    return value


Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^\s\x00-\x1f\x7f]+$"),
    AfterValidator(_is_email),
]


class Proven(Input):
    """Who one is, proven as at sign-in."""

    username: str = Field(min_length=1, max_length=100)
    password: SecretStr = Field(max_length=200)
    otp: Otp | None = Field(default=None, description="of the second factor, where one is in place; or a recovery code")


class PasswordChange(Proven):
    """The old password as proof, and the new one."""

    new_password: SecretStr = Field(max_length=200, description="at least 12 characters, not a common one")


class SecondFactorConfirm(Input):
    """The password once more, and the first code that the generator shows."""

    username: str = Field(min_length=1, max_length=100)
    password: SecretStr = Field(max_length=200)
    otp: Otp


class EnrolmentRead(BaseModel):
    """What an authenticator app is set up with, shown this once."""

    uri: str = Field(description="otpauth://…, which holds the secret")
    qr_svg: str = Field(description="the same as a QR code: a data URI of an SVG image")


class RecoveryCodesRead(BaseModel):
    """Codes for when the generator is lost, each good once; shown this once."""

    recovery_codes: list[str]


class PasswordReset(Input):
    """An initial password, to be changed at the next sign-in."""

    password: SecretStr = Field(max_length=200)


class ExternalIdentitySet(Input):
    """The e-mail under which the person stands at the identity provider."""

    email: Email


class HandoverTake(Input):
    """The code that a front end was given in its address, and the secret whose challenge it asked with."""

    code: SecretStr = Field(max_length=100)
    verifier: Annotated[SecretStr, Field(min_length=43, max_length=128)] = Field(
        description="RFC 7636: 43 to 128 of A-Z a-z 0-9 - . _ ~"
    )


class ExternalIdentityRead(BaseModel):
    """The e-mail awaited, and since when the identity is linked."""

    email: str
    linked_at: datetime | None
