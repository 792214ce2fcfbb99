"""Members' sign-in at the edge."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from app.core.schemas import Input
from app.members.schemas import Phone

WechatCode = Annotated[str, Field(min_length=1, max_length=256, pattern="^[!-~]+$")]


class CodeWanted(Input):
    """Where a code is sent."""

    phone: Phone


class CodeOnItsWay(BaseModel):
    """A code is on its way if the number is an active member's; the answer is the same if it is not."""

    valid_until: datetime


class MemberSignIn(Input):
    """A member's number and the code sent to it."""

    phone: Phone
    code: str = Field(pattern="^[0-9]{6}$", examples=["204913"])


class WechatSignIn(Input):
    """What wx.login gave."""

    code: WechatCode


class PhoneWanted(BaseModel):
    """WeChat knows the user, the club does not yet: ask for the phone number, and send it with this."""

    link_token: str
    valid_until: datetime


class WechatPhone(Input):
    """What the user's consent to show its phone number gave."""

    link_token: str = Field(min_length=1, max_length=1000, pattern="^[!-~]+$")
    code: WechatCode
