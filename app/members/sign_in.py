"""How members sign in: by a code sent to their phone, or as a WeChat user whose phone number WeChat vouches for.

Nobody learns here whether a number is a member's. A code is made and kept for any number in the same way, and whether
it is sent is found out after the answer. What a number can be asked is limited alike, and who asks is limited, too.
"""

import math
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import refusals
from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Actor, Role
from app.core.db import Database
from app.core.outbound import Detached
from app.core.problems import SmsUnavailable
from app.core.sms import Message, Purpose, SmsSender
from app.identity.problems import SignInFailed
from app.identity.seals import Seals
from app.identity.session_models import Ending
from app.identity.sessions import Sessions, SignedIn, end_all
from app.members import queries
from app.members import sign_in_queries as codes
from app.members.models import Member
from app.members.problems import LinkExpired, TooManyCodes
from app.members.rules import MemberStatus, parse_mobile
from app.members.sign_in_gate import Gate
from app.members.sign_in_rules import CODE_LIFE, LINK_LIFE, REMEMBERED, wait_for_code
from app.members.visibility import visible_member
from app.members.wechat import MiniProgram


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who comes, when and with what: what the session begins with."""

    sessions: Sessions
    device: str
    address: str
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
    db: Database, slips: Slips, gate: Gate, sms: SmsSender, detached: Detached, phone: str, address: str, now: datetime
) -> datetime:
    """Have a code sent to a number if it is an active member's; when the code ends.

    Raises:
        TooManyCodes: this number was asked for too often.
        TooManyRequests: this address asked too often, or everybody together did.
        SmsUnavailable: no provider is configured.
    """
    if not sms.can_send:
        raise SmsUnavailable
    code, until = f"{secrets.randbelow(10**6):06d}", now + CODE_LIFE
    async with db.transaction() as connection:
        await gate.ask(connection, address, now)
        await expect(connection, slips.number(phone), slips.code(phone, code), until, now)
        await gate.pass_on(connection, now)
    detached.start(_send_to_member(db, sms, phone, code))
    return until


async def expect(connection: asyncpg.Connection, whose: bytes, digest: bytes, until: datetime, now: datetime) -> None:
    """Expect a code in place of the one before, and count that it was sent.

    Args:
        whose: what stands for the number or member that is limited.
        digest: what is kept of the code; nothing when it is kept elsewhere.

    Raises:
        TooManyCodes: too many were sent of late.
    """
    sent_at = await codes.lock_number(connection, whose, now)
    if wait := wait_for_code(sent_at, now):
        raise TooManyCodes(retry_after_seconds=math.ceil(wait.total_seconds()))
    await codes.keep_code(connection, whose, digest, until, [*sent_at, now][-REMEMBERED:])


async def _send_to_member(db: Database, sms: SmsSender, phone: str, code: str) -> None:
    async with db.session() as session:
        member = await queries.by_phone(session, phone)
    if member is not None and member.status == MemberStatus.ACTIVE:
        await sms.send(phone, Message(Purpose.SIGN_IN, {"code": code}))


async def sign_in(
    db: Database, session: AsyncSession, slips: Slips, gate: Gate, phone: str, code: str, arrival: Arrival
) -> SignedIn:
    """Begin a session for the member who has this phone and the code sent to it.

    Raises:
        SignInFailed: wrong, used, too old or tried too often; or no active member's number.
        TooManyAttempts: too many codes from this address were wrong; nothing was looked at.
    """
    # on connections of their own: a wrong try counts although the request is refused
    await gate.guess(db.pool, arrival.address, arrival.now)
    is_good = await codes.take_code(db.pool, slips.number(phone), slips.code(phone, code), arrival.now)
    # looked up either way, and recorded either way: neither answer nor time tells whose number it is
    refusals.concern("member", await queries.id_by_phone(session, phone))
    if not is_good:
        raise SignInFailed
    signed_in = await _open(session, await queries.by_phone(session, phone), arrival)
    await gate.forgive(db.pool, arrival.address, arrival.now)
    return signed_in


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


# --- ending ---


async def unlink_wechat(session: AsyncSession, actor: Actor, member_id: UUID) -> None:
    """A member's WeChat users are nobody from now on; sessions that began by them go on.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
    """
    await visible_member(session, actor, member_id)
    await forget_wechat(session, member_id)


async def forget_wechat(session: AsyncSession, member_id: UUID) -> None:
    """As `unlink_wechat`, for whoever has seen to the rest."""
    if await codes.forget_wechat(session, member_id):
        await audit.record(session, Action.DELETED, "wechat-user", [member_id])


async def end_sessions(session: AsyncSession, actor: Actor, member_id: UUID, now: datetime) -> None:
    """End all of a member's sessions.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
    """
    await visible_member(session, actor, member_id)
    await end_all(session, Ending.REVOKED, now, member_id=member_id)
