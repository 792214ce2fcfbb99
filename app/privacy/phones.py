"""A member's new phone number: it is taken over once a code sent to it comes back.

A member who changes it by itself shows also that it is the member still: by a sign-in minutes old, or by a second code
that is sent to the number it has. With the number changes who gets in, so all that rested on the old one ends.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Role
from app.core.db import Database, flush_unless, unrestricted
from app.core.outbound import Detached
from app.core.problems import SmsUnavailable
from app.core.sms import Message, Purpose, SmsSender
from app.identity import session_queries as sessions
from app.identity.seals import Seals
from app.identity.session_models import Ending
from app.identity.sessions import end_all
from app.members import queries as members
from app.members import sign_in
from app.members import sign_in_queries as codes
from app.members.models import Member
from app.members.problems import PhoneTaken
from app.members.sign_in_rules import CODE_LIFE
from app.members.visibility import visible_member
from app.privacy.problems import CodeWrong

FRESH = timedelta(minutes=10)
"""A sign-in not older than this tells that the member itself is there."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a member shows for its new number; `old_code` went to the number it has."""

    phone: str
    code: str
    old_code: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """How messages go out: those an answer waits for, and those it does not."""

    sms: SmsSender
    detached: Detached


@dataclass(frozen=True, slots=True)
class Sent:
    """Codes are on their way; `to_old_too`: one to the number the member has, and both must be shown."""

    valid_until: datetime
    to_old_too: bool


class Slips:
    """What is kept of a change under way; other digests than a sign-in's, so that neither code serves the other."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def asker(self, member_id: UUID) -> bytes:
        """What stands for the member who changes its number."""
        return self._seals.digest("phone change of", str(member_id))

    def number(self, phone: str) -> bytes:
        """What stands for the new number."""
        return self._seals.digest("phone change to", phone)

    def codes(self, member_id: UUID, phone: str, code: str, old_code: str) -> bytes:
        """What is kept of the codes: good for this member and this number only, and together or not at all."""
        return self._seals.digest("phone change codes", str(member_id), phone, code, old_code)


async def send_code(
    db: Database, session: AsyncSession, slips: Slips, sms: SmsSender, actor: Actor, member_id: UUID, phone: str,
    now: datetime,
) -> Sent:  # fmt: skip
    """Send a code to a member's new number, and one to the old when that must be shown, too.

    Limited by member and by number.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        TooManyCodes: this member, or anybody for this number, asked too often.
        SmsUnavailable: there is no provider, or it failed.
    """
    if not sms.can_send:
        raise SmsUnavailable
    member = await visible_member(session, actor, member_id)
    must_show_old = await _must_show_old(session, actor, now)
    code, old_code, until = _fresh(), _fresh() if must_show_old else "", now + CODE_LIFE
    digest = slips.codes(member_id, phone, code, old_code)
    async with db.transaction() as connection:
        # always in this order, so that no two wait for each other
        for row, kept in ((slips.asker(member_id), digest), (slips.number(phone), b"")):
            await sign_in.expect(connection, row, kept, until, now)
    await sms.send(phone, Message(Purpose.PHONE_CHANGE, {"code": code}))
    if must_show_old:
        await sms.send(member.phone, Message(Purpose.PHONE_CHANGE, {"code": old_code}))
    return Sent(until, must_show_old)


def _fresh() -> str:
    return f"{secrets.randbelow(10**6):06d}"


async def _must_show_old(session: AsyncSession, actor: Actor, now: datetime) -> bool:
    """Whether a member asks for itself who did not sign in just now; headquarters has seen to who it is."""
    if actor.role is not Role.MEMBER:
        return False
    opened_at = await sessions.opened_at(session, actor)
    return opened_at is None or now - opened_at > FRESH


async def change(
    db: Database, session: AsyncSession, slips: Slips, post: Post, actor: Actor, member: Member, to: Change,
    now: datetime,
) -> None:  # fmt: skip
    """Give a member another number: its other sessions end, WeChat knows it no longer, and the old number is told.

    Raises:
        CodeWrong: one is wrong or missing, or they are used, too old or tried too often.
        PhoneTaken: the number is another member's.
    """
    # on a connection of its own: a wrong try counts although the request is refused
    shown = slips.codes(member.id, to.phone, to.code, to.old_code)
    if not await codes.take_code(db.pool, slips.asker(member.id), shown, now):
        raise CodeWrong
    await unrestricted(session)
    holder = await members.by_phone(session, to.phone)
    if holder is not None and holder.id != member.id:
        raise PhoneTaken
    old, member.phone = member.phone, to.phone
    # another may take it at the same moment
    await flush_unless(session, "uq_member_phone_index", PhoneTaken)
    if old != to.phone:
        await _end_what_rested_on_it(session, actor, member, now)
        _tell_from_commit(session, post, old)


async def _end_what_rested_on_it(session: AsyncSession, actor: Actor, member: Member, now: datetime) -> None:
    but = actor.session_id if actor.role is Role.MEMBER else None
    await end_all(session, Ending.REVOKED, now, member_id=member.id, but=but)
    await sign_in.forget_wechat(session, member.id)


def _tell_from_commit(session: AsyncSession, post: Post, old: str) -> None:
    def tell(_: object) -> None:
        post.detached.start(post.sms.send(old, Message(Purpose.PHONE_CHANGED, {})))

    if post.sms.can_send:
        event.listen(session.sync_session, "after_commit", tell, once=True)
