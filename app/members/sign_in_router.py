"""Members' sign-in over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.core.http import Db, Now, Session, Sms, documented
from app.core.outbound import Detached
from app.core.problems import InvalidPayload, MalformedBody, SmsUnavailable, Unexpected
from app.identity.problems import SignInFailed
from app.identity.schemas import AccessToken
from app.identity.session_router import Device, LoginSessions
from app.identity.sessions import SignedIn
from app.members import sign_in
from app.members.problems import (
    LinkExpired,
    NoWechat,
    TooManyCodes,
    WechatBlocked,
    WechatBusy,
    WechatCodeInvalid,
    WechatCodeUsed,
    WechatUnavailable,
)
from app.members.sign_in import Arrival, Slips
from app.members.sign_in_schemas import (
    CodeOnItsWay,
    CodeWanted,
    MemberSignIn,
    PhoneWanted,
    WechatPhone,
    WechatSignIn,
)
from app.members.wechat import MiniProgram

router = APIRouter(
    prefix="/member-sign-in", tags=["member sign-in"], responses=documented(MalformedBody, InvalidPayload, Unexpected)
)


async def _slips(request: Request) -> Slips:
    return Slips(request.app.state.seals)


async def _detached(request: Request) -> Detached:
    detached: Detached = request.app.state.detached
    return detached


async def _arrival(sessions: LoginSessions, device: Device, now: Now) -> Arrival:
    return Arrival(sessions, device, now)


async def _program(request: Request) -> MiniProgram:
    program: MiniProgram = request.app.state.wechat
    return program


SlipsInUse = Annotated[Slips, Depends(_slips)]
Arriving = Annotated[Arrival, Depends(_arrival)]
Program = Annotated[MiniProgram, Depends(_program)]
WECHAT = documented(
    SignInFailed, NoWechat, WechatCodeInvalid, WechatCodeUsed, WechatBlocked, WechatBusy, WechatUnavailable
)
LINKED = WECHAT | documented(SignInFailed, LinkExpired, WechatCodeInvalid)


@router.post("/code", status_code=202, response_model=CodeOnItsWay, responses=documented(TooManyCodes, SmsUnavailable))
async def member_sign_in_code(
    body: CodeWanted, db: Db, slips: SlipsInUse, sms: Sms, detached: Annotated[Detached, Depends(_detached)], now: Now
) -> CodeOnItsWay:
    """Have a one-time code sent to a member's phone: one a minute, five an hour, ten a day for each number.

    The answer says nothing of whether the number is a member's.
    """
    return CodeOnItsWay(valid_until=await sign_in.send_code(db, slips, sms, detached, body.phone, now))


@router.post("", response_model=AccessToken, responses=documented(SignInFailed))
async def member_sign_in(
    body: MemberSignIn, response: Response, db: Db, session: Session, slips: SlipsInUse, arrival: Arriving
) -> SignedIn:
    """Trade a number and the code sent to it for tokens; one is good for five minutes, five tries and one sign-in."""
    response.headers["Cache-Control"] = "no-store"
    return await sign_in.sign_in(db, session, slips, body.phone, body.code, arrival)


@router.post("/wechat", response_model=AccessToken, responses=WECHAT | {202: {"model": PhoneWanted}})
async def member_sign_in_wechat(
    body: WechatSignIn, session: Session, slips: SlipsInUse, program: Program, arrival: Arriving
) -> Response:
    """Trade wx.login's code for tokens; 202 when the club does not know the WeChat user yet."""
    found = await sign_in.wechat_sign_in(session, slips, program, body.code, arrival)
    if isinstance(found, SignedIn):
        return _unstored(200, AccessToken.model_validate(found, from_attributes=True))
    return _unstored(202, PhoneWanted.model_validate(found, from_attributes=True))


@router.post(
    "/wechat/phone",
    response_model=AccessToken,
    responses=LINKED,
)
async def member_sign_in_wechat_phone(
    body: WechatPhone, response: Response, session: Session, slips: SlipsInUse, program: Program, arrival: Arriving
) -> SignedIn:
    """Trade the code of the user's consent to show its phone number for tokens; from now on wx.login's is enough."""
    response.headers["Cache-Control"] = "no-store"
    return await sign_in.wechat_link(session, slips, program, body.link_token, body.code, arrival)


def _unstored(status: int, answer: AccessToken | PhoneWanted) -> Response:
    body = answer.model_dump_json()
    return Response(body, status, headers={"Cache-Control": "no-store"}, media_type="application/json")
