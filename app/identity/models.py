"""Tables of identity: who signs in, and what they were given to do."""

import re
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.actors import Reach, Role
from app.core.models import id_field, text_field, time_field

GRANTABLE = tuple(role for role in Role if role not in {Role.MEMBER, Role.API_CLIENT})
"""The roles of people: members have their membership, programs their scopes."""

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{2,63}")
"""What accounts may be called; a program's name is its client id, where a colon could not stand."""


class AccountKind(StrEnum):
    """Who is behind an account."""

    PERSON = "person"
    PROGRAM = "program"


def _one_of(*roles: Role) -> str:
    return f"role IN ({', '.join(repr(role.value) for role in roles)})"


def _exactly_for(column: str, reach: Reach) -> str:
    return f"({column} IS NOT NULL) = ({_one_of(*(role for role in GRANTABLE if role.reach is reach))})"


@audited("account", personal=("name",), secret=("password_hash",))
class Account(SQLModel, table=True):
    """Someone or something that signs in: a person (what it may do are its grants) or a program (its scopes).

    A program reaches all dealers, or a region's, or those named; until its last day (China) if it has one.
    Members have no row here: their tokens are issued on their member record.
    """

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("kind IN ('person', 'program')", name="kind"),
        CheckConstraint("kind = 'program' OR scopes = '{}'", name="scopes"),
        CheckConstraint("kind = 'person' OR password_hash IS NULL", name="password"),
        CheckConstraint(
            "kind = 'program' OR (region_code IS NULL AND dealer_codes = '{}' AND last_day IS NULL)", name="reach"
        ),
        CheckConstraint("region_code IS NULL OR dealer_codes = '{}'", name="one_reach"),
        CheckConstraint("NOT (is_active AND is_blocked)", name="blocked"),
        Index("ix_account_deactivated", "deactivated_at", postgresql_where=text("deactivated_at IS NOT NULL")),
        Index("ix_account_narrowed", "narrowed_at", postgresql_where=text("narrowed_at IS NOT NULL")),
    )

    id: UUID = id_field()
    username: str = text_field(unique=True)
    name: str = text_field()
    kind: AccountKind = text_field(default=AccountKind.PERSON)
    scopes: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    region_code: str | None = text_field(default=None, foreign_key="region.code")
    dealer_codes: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    last_day: date | None = None
    password_hash: str | None = text_field(default=None)
    is_active: bool = True
    is_blocked: bool = False
    """Deactivated by headquarters: only who writes accounts there makes it active again."""
    deactivated_at: datetime | None = time_field(default=None)
    """The last time: access tokens from before it stay refused, also when the account is active again."""
    narrowed_at: datetime | None = time_field(default=None)
    """When a grant last ended before its day, or a program's scopes, reach or last day changed: likewise."""
    created_at: datetime = time_field()
    version: int = 1


@audited("grant")
class Grant(SQLModel, table=True):
    """A role given to a person from one day to another, as far as the role reaches: never widened, only ended."""

    __tablename__ = "account_grant"
    __table_args__ = (
        CheckConstraint(_one_of(*GRANTABLE), name="role"),
        CheckConstraint(
            " AND ".join([
                _exactly_for("region_code", Reach.REGION),
                _exactly_for("dealer_code", Reach.DEALER),
                _exactly_for("partner_code", Reach.PARTNER),
                _exactly_for("agency_code", Reach.AGENCY),
            ]),
            name="reach",
        ),
        # ended before its first day: it was never good
        CheckConstraint("valid_until >= valid_from - 1", name="days"),
    )  # fmt: skip

    id: UUID = id_field()
    account_id: UUID = Field(foreign_key="account.id", index=True)
    role: Role = text_field()
    region_code: str | None = text_field(default=None, foreign_key="region.code")
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code", index=True)
    partner_code: str | None = text_field(default=None, foreign_key="partner.code")
    agency_code: str | None = text_field(default=None, foreign_key="agency.code")
    valid_from: date
    valid_until: date | None = None
    granted_by: str = text_field()
    granted_at: datetime = time_field()


@audited("client-secret", secret=("digest",))
class ClientSecret(SQLModel, table=True):
    """A program's secret, of which only the SHA-256 digest is kept: it is 256 random bits, nothing to guess."""

    __tablename__ = "client_secret"

    id: UUID = id_field()
    account_id: UUID = Field(foreign_key="account.id", index=True)
    digest: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = time_field()
    ends_at: datetime | None = time_field(default=None)
