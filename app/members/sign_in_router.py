"""Members' sign-in over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Db, Now, Requires, Session, Sms, documented
from app.core.outbound import Detached
from app.core.problems import InvalidPayload, MalformedBody, NotFound, SmsUnavailable, Unexpected
from app.identity.problems import SignInFailed, TooManyAttempts
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
from app.members.sign_in_gate import Gate
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

access = APIRouter(prefix="/members/{member_id}", tags=["member sign-in"], responses=GUARDED | documented(NotFound))
"""What a member is known by, and for how long."""

Officer = Annotated[Actor, Depends(Requires(Right.PRIVACY_WRITE))]
OfficerOrSelf = Annotated[Actor, Depends(Requires(Right.PRIVACY_WRITE, Right.OWN_CARD))]


async def _slips(request: Request) -> Slips:
    return Slips(request.app.state.seals)


async def _detached(request: Request) -> Detached:
    detached: Detached = request.app.state.detached
    return detached


async def _gate(request: Request) -> Gate:
    return Gate(request.app.state.seals, request.app.state.settings)


async def _address(request: Request) -> str:
    return request.client.host if request.client else ""


Address = Annotated[str, Depends(_address)]


async def _arrival(sessions: LoginSessions, device: Device, address: Address, now: Now) -> Arrival:
    return Arrival(sessions, device, address, now)


async def _program(request: Request) -> MiniProgram:
    program: MiniProgram = request.app.state.wechat
    return program


SlipsInUse = Annotated[Slips, Depends(_slips)]
GateInUse = Annotated[Gate, Depends(_gate)]
Arriving = Annotated[Arrival, Depends(_arrival)]
Program = Annotated[MiniProgram, Depends(_program)]
WECHAT = documented(
    SignInFailed, NoWechat, WechatCodeInvalid, WechatCodeUsed, WechatBlocked, WechatBusy, WechatUnavailable
)
LINKED = WECHAT | documented(SignInFailed, LinkExpired, WechatCodeInvalid)


@router.post("/code", status_code=202, response_model=CodeOnItsWay, responses=documented(TooManyCodes, SmsUnavailable))
async def member_sign_in_code(
    body: CodeWanted, db: Db, slips: SlipsInUse, gate: GateInUse, sms: Sms,
    detached: Annotated[Detached, Depends(_detached)], address: Address, now: Now,
) -> CodeOnItsWay:  # fmt: skip
    """Have a one-time code sent to a member's phone: one a minute, five an hour, ten a day for each number.

    One address may ask for thirty an hour. The answer says nothing of whether the number is a member's.
    """
    until = await sign_in.send_code(db, slips, gate, sms, detached, body.phone, address, now)
    return CodeOnItsWay(valid_until=until)


@router.post("", response_model=AccessToken, responses=documented(SignInFailed, TooManyAttempts))
async def member_sign_in(
    body: MemberSignIn, response: Response, db: Db, session: Session, slips: SlipsInUse, gate: GateInUse,
    arrival: Arriving,
) -> SignedIn:  # fmt: skip
    """Trade a number and the code sent to it for tokens; one is good for five minutes, five tries and one sign-in."""
    response.headers["Cache-Control"] = "no-store"
    return await sign_in.sign_in(db, session, slips, gate, body.phone, body.code, arrival)


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


@access.delete("/wechat", status_code=204)
async def member_unlink_wechat(member_id: UUID, actor: OfficerOrSelf, session: Session) -> None:
    """WeChat lets nobody in as this member any more, until a phone number is shown again; sessions go on."""
    await sign_in.unlink_wechat(session, actor, member_id)


@access.delete("/sessions", status_code=204)
async def member_end_sessions(member_id: UUID, actor: Officer, session: Session, now: Now) -> None:
    """End all sessions of a member, as one does who has lost the telephone and calls headquarters."""
    await sign_in.end_sessions(session, actor, member_id, now)


def _unstored(status: int, answer: AccessToken | PhoneWanted) -> Response:
    body = answer.model_dump_json()
    return Response(body, status, headers={"Cache-Control": "no-store"}, media_type="application/json")
