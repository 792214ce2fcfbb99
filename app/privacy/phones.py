"""A member's new phone number: it is taken over once a code sent to it comes back."""

import math
import secrets
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.db import Database, broken_constraint, unrestricted
from app.core.problems import NotFound, SmsUnavailable
from app.core.sms import Message, Purpose, SmsSender
from app.identity.seals import Seals
from app.members import queries as members
from app.members import sign_in_queries as codes
from app.members.models import Member
from app.members.problems import PhoneTaken, TooManyCodes
from app.members.sign_in_rules import CODE_LIFE, REMEMBERED, wait_for_code
from app.privacy.problems import CodeWrong


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

    def code(self, member_id: UUID, phone: str, code: str) -> bytes:
        """What is kept of the code: good for this member and this number only."""
        return self._seals.digest("phone change code", str(member_id), phone, code)


async def send_code(
    db: Database, session: AsyncSession, slips: Slips, sms: SmsSender, actor: Actor, member_id: UUID, phone: str,
    now: datetime,
) -> datetime:  # fmt: skip
    """Send a code to a member's new number; when the code ends. Limited by member and by number.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        TooManyCodes: this member, or anybody for this number, asked too often.
        SmsUnavailable: there is no provider, or it failed.
    """
    if not sms.can_send:
        raise SmsUnavailable
    if await members.member(session, actor, member_id) is None:
        raise NotFound("member")
    code, until = f"{secrets.randbelow(10**6):06d}", now + CODE_LIFE
    async with db.transaction() as connection:
        # always in this order, so that no two wait for each other
        for row, digest in ((slips.asker(member_id), slips.code(member_id, phone, code)), (slips.number(phone), b"")):
            await _expect(connection, row, digest, until, now)
    await sms.send(phone, Message(Purpose.PHONE_CHANGE, {"code": code}))
    return until


async def _expect(connection: asyncpg.Connection, row: bytes, digest: bytes, until: datetime, now: datetime) -> None:
    sent_at = await codes.lock_number(connection, row, now)
    if wait := wait_for_code(sent_at, now):
        raise TooManyCodes(retry_after_seconds=math.ceil(wait.total_seconds()))
    await codes.keep_code(connection, row, digest, until, [*sent_at, now][-REMEMBERED:])


async def change(
    db: Database, session: AsyncSession, slips: Slips, member: Member, phone: str, code: str, now: datetime
) -> None:
    """Give a member another number.

    Raises:
        CodeWrong: wrong, used, too old or tried too often.
        PhoneTaken: the number is another member's.
    """
    # on a connection of its own: a wrong try counts although the request is refused
    if not await codes.take_code(db.pool, slips.asker(member.id), slips.code(member.id, phone, code), now):
        raise CodeWrong
    await unrestricted(session)
    holder = await members.by_phone(session, phone)
    if holder is not None and holder.id != member.id:
        raise PhoneTaken
    member.phone = phone
    try:
        await session.flush()
    except IntegrityError as error:
        if broken_constraint(error) != "uq_member_phone_index":
            raise
        # another took it at the same moment
        raise PhoneTaken from None
