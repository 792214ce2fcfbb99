"""How members sign in: by a code sent to their phone, or as a WeChat user whose phone number WeChat vouches for.

Nobody learns here whether a number is a member's. A code is made and kept for any number in the same way, and whether
it is sent is found out after the answer. What a number can be asked is limited alike.
"""

import math
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Role
from app.core.db import Database
from app.core.outbound import Detached
from app.core.problems import SmsUnavailable
from app.core.sms import Message, Purpose, SmsSender
from app.identity.problems import SignInFailed
from app.identity.seals import Seals
from app.identity.sessions import Sessions, SignedIn
from app.members import queries
from app.members import sign_in_queries as codes
from app.members.models import Member
from app.members.problems import LinkExpired, TooManyCodes
from app.members.rules import MemberStatus, parse_mobile
from app.members.sign_in_rules import CODE_LIFE, LINK_LIFE, REMEMBERED, wait_for_code
from app.members.wechat import MiniProgram


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who comes, when and with what: what the session begins with."""

    sessions: Sessions
    device: str
    now: datetime


class Slips:
    """What is handed out and kept of a sign-in under way, under the service's secrets."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def number(self, phone: str) -> bytes:
        """What stands for a number in the table of codes."""
        return self._seals.digest("sign-in number", phone)

    def code(self, phone: str, code: str) -> bytes:
        """What is kept of a number's code."""
        return self._seals.digest("sign-in code", phone, code)

    def link(self, app_id: str, openid: str, until: datetime) -> str:
        """A token with which a WeChat user is known again until a moment."""
        parts = ("wechat", str(int(until.timestamp())), app_id, openid)
        return self._seals.seal("\n".join(parts).encode()).decode()

    def openid(self, link_token: str, app_id: str, now: datetime) -> str | None:
        """The WeChat user of a token; None when it is not ours, of another mini-program, or over."""
        kind, until, of_app, openid = (
            (self._seals.opened(link_token) or b"").decode(errors="replace").split("\n") + [""] * 4
        )[:4]
        if kind != "wechat" or of_app != app_id or datetime.fromtimestamp(int(until), UTC) <= now:
            return None
        return openid


# --- by SMS ---


async def send_code(
    db: Database, slips: Slips, sms: SmsSender, detached: Detached, phone: str, now: datetime
) -> datetime:
    """Have a code sent to a number if it is an active member's; when the code ends.

    Raises:
        TooManyCodes: this number was asked for too often.
        SmsUnavailable: no provider is configured.
    """
    if not sms.can_send:
        raise SmsUnavailable
    code, until = f"{secrets.randbelow(10**6):06d}", now + CODE_LIFE
    number = slips.number(phone)
    async with db.transaction() as connection:
        sent_at = await codes.lock_number(connection, number, now)
        if wait := wait_for_code(sent_at, now):
            raise TooManyCodes(retry_after_seconds=math.ceil(wait.total_seconds()))
        recent = [*sent_at, now][-REMEMBERED:]
        await codes.keep_code(connection, number, slips.code(phone, code), until, recent)
    detached.start(_send_to_member(db, sms, phone, code))
    return until


async def _send_to_member(db: Database, sms: SmsSender, phone: str, code: str) -> None:
    async with db.session() as session:
        member = await queries.by_phone(session, phone)
    if member is not None and member.status == MemberStatus.ACTIVE:
        await sms.send(phone, Message(Purpose.SIGN_IN, {"code": code}))


async def sign_in(
    db: Database, session: AsyncSession, slips: Slips, phone: str, code: str, arrival: Arrival
) -> SignedIn:
    """Begin a session for the member who has this phone and the code sent to it.

    Raises:
        SignInFailed: wrong, used, too old or tried too often; or no active member's number.
    """
    # on a connection of its own: a wrong try counts although the request is refused
    if not await codes.take_code(db.pool, slips.number(phone), slips.code(phone, code), arrival.now):
        raise SignInFailed
    return await _open(session, await queries.by_phone(session, phone), arrival)


async def _open(session: AsyncSession, member: Member | None, arrival: Arrival) -> SignedIn:
    if member is None:
        raise SignInFailed
    actor = Actor(member.member_no, Role.MEMBER, member_id=member.id)
    return await arrival.sessions.open_session(
        session, actor, member_id=member.id, now=arrival.now, device=arrival.device
    )


# --- by WeChat ---


@dataclass(frozen=True, slots=True)
class Unknown:
    """A WeChat user of whom no active member is known, and the token with which it comes back."""

    link_token: str
    valid_until: datetime


async def wechat_sign_in(
    session: AsyncSession, slips: Slips, program: MiniProgram, code: str, arrival: Arrival
) -> SignedIn | Unknown:
    """Begin a session for the member a WeChat user is known to be.

    Raises: what `MiniProgram.openid` raises.
    """
    openid = await program.openid(code)
    member = await codes.member_of(session, program.app_id, openid)
    if member is not None:
        return await _open(session, member, arrival)
    until = arrival.now + LINK_LIFE
    return Unknown(slips.link(program.app_id, openid, until), until)


async def wechat_link(
    session: AsyncSession, slips: Slips, program: MiniProgram, link_token: str, phone_code: str, arrival: Arrival
) -> SignedIn:
    """Begin a session for the member who has the WeChat user's phone number, and know the user from now on.

    Raises:
        LinkExpired: the token is over, or none of ours.
        SignInFailed: no active member has the number.
        What `MiniProgram.phone` raises.
    """
    openid = slips.openid(link_token, program.app_id, arrival.now)
    if openid is None:
        raise LinkExpired
    phone = parse_mobile(await program.phone(phone_code) or "")
    member = await queries.by_phone(session, phone) if phone is not None else None
    signed_in = await _open(session, member, arrival)
    assert member is not None
    await codes.know(session, program.app_id, openid, member.id, arrival.now)
    return signed_in
