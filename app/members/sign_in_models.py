"""Tables of how members prove who they are."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, DateTime, LargeBinary
from sqlmodel import Field, SQLModel

from app.core.models import text_field, time_field


class SignInCode(SQLModel, table=True):
    """The newest code asked for under a number, member's or not; the number and the code as keyed digests only."""

    __tablename__ = "sign_in_code"
    __table_args__ = (CheckConstraint("tries >= 0", name="tries"),)

    phone_digest: bytes = Field(sa_type=LargeBinary, primary_key=True)
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Null when the code was used."""
    expires_at: datetime = time_field(index=True)
    tries: int = 0
    sent_at: list[datetime] = Field(default_factory=list, sa_type=ARRAY(DateTime(timezone=True)))
    """When the last ten codes were asked for, oldest first."""


class WechatUser(SQLModel, table=True):
    """A WeChat user of a mini-program who has shown, by a phone number WeChat vouches for, which member it is."""

    __tablename__ = "wechat_user"

    app_id: str = text_field(primary_key=True)
    openid: str = text_field(primary_key=True)
    member_id: UUID = Field(foreign_key="member.id", index=True)
    linked_at: datetime = time_field()
