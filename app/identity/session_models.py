"""Tables of sessions."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from app.core.actors import Role
from app.core.models import id_field, text_field, time_field


class Ending(StrEnum):
    """Why a session ended before its time."""

    SIGNED_OUT = "signed_out"
    """its owner ended it"""
    REUSED = "reused"
    """a used refresh token came back: somebody has a copy"""
    LAPSED = "lapsed"
    """what it rested on ended: the grant, the account, the membership"""
    REVOKED = "revoked"
    """a new password, another phone, a decision of headquarters"""


class LoginSession(SQLModel, table=True):
    """One sign-in and what followed from it: a family of refresh tokens.

    `place` is the dealer, region, partner or agency that the role is bound to.
    """

    __tablename__ = "login_session"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (member_id IS NULL)", name="owner"),
        CheckConstraint("(member_id IS NOT NULL) = (role = 'member')", name="role"),
        CheckConstraint("(ended_at IS NULL) = (ended_because IS NULL)", name="ending"),
        CheckConstraint("ended_because IN ('signed_out', 'reused', 'lapsed', 'revoked')", name="because"),
        Index("ix_login_session_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    id: UUID = id_field()
    account_id: UUID | None = Field(default=None, foreign_key="account.id", index=True)
    member_id: UUID | None = Field(default=None, foreign_key="member.id", index=True)
    role: Role = text_field()
    place: str | None = text_field(default=None)
    device: str = text_field()
    opened_at: datetime = time_field()
    refreshed_at: datetime = time_field()
    expires_at: datetime = time_field()
    ended_at: datetime | None = time_field(default=None)
    ended_because: Ending | None = text_field(default=None)


class RefreshToken(SQLModel, table=True):
    """One refresh token of a session, by its SHA-256 digest; a used one is kept, to be known when it comes back."""

    __tablename__ = "refresh_token"

    digest: bytes = Field(sa_type=LargeBinary, primary_key=True)
    session_id: UUID = Field(foreign_key="login_session.id", ondelete="CASCADE", index=True)
    issued_at: datetime = time_field()
    used_at: datetime | None = time_field(default=None)
