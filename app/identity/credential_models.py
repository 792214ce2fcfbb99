"""Tables of how accounts prove who they are, beside their password's hash."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import text_field, time_field


@audited("password")
class Credential(SQLModel, table=True):
    """What is known of an account's password; without a row it is as its giver set it, and must be changed."""

    __tablename__ = "credential"

    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    must_change: bool
    """Somebody else set the password: it opens nothing but its own change."""
    is_demo: bool = False
    """An account of the demonstration: neither change nor second factor is asked for. Nothing else sets this."""
    changed_at: datetime = time_field()


@audited("second-factor", secret=("sealed_secret",), untold=("last_step",))
class SecondFactor(SQLModel, table=True):
    """An account's TOTP generator (RFC 6238)."""

    __tablename__ = "second_factor"

    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    sealed_secret: bytes = Field(sa_type=LargeBinary)
    confirmed_at: datetime | None = time_field(default=None)
    """When its owner first showed a code; until then it is being set up and asked for by nobody."""
    last_step: int | None = None
    """The newest half minute whose code was taken: it and those before are used up."""
    created_at: datetime = time_field()


class RecoveryCode(SQLModel, table=True):
    """A code for the day the generator is lost; good once."""

    __tablename__ = "recovery_code"

    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    digest: bytes = Field(sa_type=LargeBinary, primary_key=True)
    used_at: datetime | None = time_field(default=None)


class SignInAttempt(SQLModel, table=True):
    """How often sign-in failed of late from one origin; `key` is a keyed digest, so that no address is stored."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (CheckConstraint("failures >= 0", name="failures"),)

    key: bytes = Field(sa_type=LargeBinary, primary_key=True)
    failures: int
    last_at: datetime = time_field(index=True)
    blocked_until: datetime | None = time_field(default=None)
    good_at: datetime | None = time_field(default=None)
    """When the origin last signed in well."""


@audited("external-identity", personal=("email", "subject"))
class ExternalIdentity(SQLModel, table=True):
    """Whom an account is at the OpenID Connect provider: an e-mail set by headquarters, once linked a `sub`."""

    __tablename__ = "external_identity"
    __table_args__ = (
        UniqueConstraint("issuer", "subject", name="uq_external_identity_subject"),
        CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="link"),
    )

    account_id: UUID = Field(primary_key=True, foreign_key="account.id")
    email: str = text_field(unique=True)
    issuer: str | None = text_field(default=None)
    subject: str | None = text_field(default=None)
    linked_at: datetime | None = time_field(default=None)


class SignInHandover(SQLModel, table=True):
    """A sign-in at the provider on its way back to the front end that asked: good once, for a minute.

    `digest` is the code's, `challenge` the front end's own (RFC 7636, S256).
    """

    __tablename__ = "sign_in_handover"

    digest: bytes = Field(sa_type=LargeBinary, primary_key=True)
    account_id: UUID = Field(foreign_key="account.id", index=True)
    challenge: str = text_field()
    expires_at: datetime = time_field(index=True)
