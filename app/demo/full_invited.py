"""Invitations of the full-size network, a part left out to compare with, and what stands for photos in reports."""

import struct
import zlib
from collections.abc import Sequence
from datetime import datetime
from random import Random

from sqlalchemy import select
from sqlmodel import col

from app.demo.full_calendar import IN_THE_WORKSHOP, OPENS, PUBLISHED
from app.demo.full_guests import Guest
from app.demo.full_lives import DAY, Life
from app.events import invitations, photos
from app.events.gathering_models import Invitation
from app.events.gathering_rules import Answer
from app.events.gathering_schemas import InvitationCreate
from app.events.rules import EventKind
from app.members import consent_queries, consents
from app.members.consent_rules import Channel, Decision, Purpose
from app.members.consent_schemas import DoorAnswer, DoorAnswers
from app.members.models import Member

INVITING = IN_THE_WORKSHOP | {EventKind.FAMILY_DAY}
"""Kinds to which chapters invite: what they bring to the workshop shows in the shipped purchases."""
CONTROL_PERCENT = 20
EVERYBODY = InvitationCreate.model_validate(
    {"filter": {"field": "status", "op": "is", "value": "active"}, "control_percent": CONTROL_PERCENT}
)
WIDTH, HEIGHT = 480, 320


async def invite(life: Life, agreeing: Sequence[Guest]) -> None:
    """Invite the chapter's members who agree to be written to; of those who wish to come, the invited do."""
    at = life.plan.starts_at - PUBLISHED + DAY
    await _agree(life, agreeing, at)
    await invitations.invite(life.session, life.planner, life.event.id, EVERYBODY, settings=life.settings, now=at)
    told = select(col(Invitation.member_id)).where(
        col(Invitation.event_id) == life.event.id, ~col(Invitation.is_control)
    )
    invited = set(await life.session.scalars(told))
    life.guests = [guest for guest in life.guests if guest.member_id in invited]
    coming = {guest.member_id for guest in life.guests}
    for guest in agreeing[::2]:
        if guest.member_id in invited:
            answer = Answer.YES if guest.member_id in coming else Answer.NO
            at = life.plan.starts_at - OPENS
            await invitations.answer(life.session, guest.member_id, life.event.id, answer, now=at)


async def _agree(life: Life, guests: Sequence[Guest], at: datetime) -> None:
    version = (await consent_queries.in_force(life.session))[Purpose.MARKETING].notice.version
    yes: DoorAnswers = {Purpose.MARKETING: DoorAnswer(decision=Decision.GIVEN, version=version, channel=Channel.APP)}
    for guest in guests:
        member = await life.session.get_one(Member, guest.member_id)
        await consents.record(life.session, member, yes, by=guest.member_no, at=at)


async def show(life: Life) -> None:
    """Two pictures for the report, the day after."""
    random = life.plan.random
    for _ in range(2):
        content, now = picture(random), life.plan.ends_at + DAY
        await photos.add(life.session, life.planner, life.event.id, "image/png", content, now=now)


def picture(random: Random) -> bytes:
    """What stands for a photo: a PNG of a hill under the sky, in colours by chance."""
    sky, hill, meadow = (
        bytes(random.randint(*span) for span in spans)
        for spans in (
            ((120, 180), (180, 220), (230, 255)), ((90, 140), (110, 150), (90, 140)), ((90, 150), (160, 200), (60, 90))
        )
    )  # fmt: skip
    top, middle = random.randint(60, 120), WIDTH // 2 + random.randint(-40, 40)
    rows = [_row(max(0, y - top), middle, sky, hill) for y in range(HEIGHT * 3 // 4)]
    rows += [b"\0" + meadow * WIDTH] * (HEIGHT - len(rows))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _row(half: int, middle: int, sky: bytes, hill: bytes) -> bytes:
    """A row of pixels, unfiltered: the hill is twice `half` wide."""
    return b"\0" + sky * (middle - half) + hill * (2 * half) + sky * (WIDTH - middle - half)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
