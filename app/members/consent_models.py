"""Tables of consent: the texts members are asked with, and their answers."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.members.consent_rules import Channel, Decision, Purpose


def _one_of(column: str, values: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


@audited("privacy-notice")
class Notice(SQLModel, table=True):
    """The text a member is asked with, once and for all; `renews`: earlier consents count no longer."""

    __tablename__ = "privacy_notice"
    __table_args__ = (CheckConstraint(_one_of("purpose", Purpose), name="purpose"),)

    purpose: Purpose = text_field(primary_key=True)
    version: int = Field(primary_key=True)
    text_zh: str = text_field()
    text_en: str = text_field()
    renews: bool
    published_at: datetime = time_field()
    published_by: str = text_field()


@audited("consent")
class Consent(SQLModel, table=True):
    """One answer of a member; the newest for a purpose (and partner) counts. Written once."""

    __tablename__ = "consent"
    __table_args__ = (
        Index("ix_consent_member_id", "member_id", "purpose", "partner_code", "id"),
        CheckConstraint(_one_of("purpose", Purpose), name="purpose"),
        CheckConstraint(_one_of("decision", Decision), name="decision"),
        CheckConstraint(_one_of("channel", Channel), name="channel"),
        CheckConstraint(
            "(purpose = 'partner') = (partner_code IS NOT NULL AND partner_name IS NOT NULL)", name="partner"
        ),
    )

    id: UUID = id_field()
    member_id: UUID = Field(foreign_key="member.id")
    purpose: Purpose = text_field()
    partner_code: str | None = text_field(default=None)
    partner_name: str | None = text_field(default=None)
    version: int
    decision: Decision = text_field()
    channel: Channel = text_field()
    by_guardian: bool = False
    at: datetime = time_field()
    recorded_by: str = text_field()
