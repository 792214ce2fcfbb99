"""Tables of identity."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Text
from sqlmodel import Field, SQLModel

from app.core.actors import Role
from app.core.models import id_field, text_field, time_field


def _one_of(column: str, *values: Role) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


class Account(SQLModel, table=True):
    """Someone or something that signs in: staff (with a password) or a program (an API client with scopes).

    Members have no row here yet: their tokens are issued on their member record.
    """

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint(_one_of("role", *(role for role in Role if role is not Role.MEMBER)), name="role"),
        CheckConstraint(
            "(dealer_code IS NOT NULL) = (" + _one_of("role", *(role for role in Role if role.is_dealer_staff)) + ")",
            name="scope",
        ),
    )

    id: UUID = id_field()
    username: str = text_field(unique=True)
    name: str = text_field()
    role: Role = text_field()
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code", index=True)
    scopes: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    password_hash: str | None = text_field(default=None)
    is_active: bool = True
    created_at: datetime = time_field()
    version: int = 1
