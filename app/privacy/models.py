"""What partners got. What stays of an erased member lies in the schema `restricted`, which the service cannot read."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Text
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field


@audited("provision", personal=("reason",))
class Provision(SQLModel, table=True):
    """A member's data handed to a partner, with the consent it rests on."""

    __tablename__ = "provision"

    id: UUID = id_field()
    member_id: UUID = Field(foreign_key="member.id", index=True)
    consent_id: UUID = Field(foreign_key="consent.id", index=True)
    partner_code: str = text_field()
    partner_name: str = text_field()
    kinds: list[str] = Field(sa_type=ARRAY(Text))
    reason: str = text_field()
    at: datetime = time_field(index=True)
    recorded_by: str = text_field()
