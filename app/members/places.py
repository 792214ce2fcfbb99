"""Where members are: the one home of every change of chapter. What was before, the database keeps (`member_place`)."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import queries as chapters
from app.core.db import raw
from app.core.problems import InvalidPayload
from app.members.models import Member
from app.members.problems import NoChapter
from app.members.transfer_models import MemberPlace


async def require_chapter(session: AsyncSession, dealer_code: str, pointer: str = "/dealer_code") -> None:
    """Hold a chapter that somebody is to join, so that it is not closed before commit.

    Raises:
        NoChapter: the dealer has none.
        InvalidPayload: there is no such dealer.
    """
    if await chapters.has_chapter(session, dealer_code):
        return
    if await chapters.dealer_exists(await raw(session), dealer_code):
        raise NoChapter
    raise InvalidPayload.at(pointer, "unknown_dealer", value=dealer_code)


async def move(session: AsyncSession, member: Member, to: str | None, on: date) -> None:
    """Put a member, who is locked, into a chapter or on headquarters' roll (None), from a day on."""
    await _from_now_on(session, on)
    member.dealer_code = to
    member.version += 1
    await session.flush()


async def move_all(session: AsyncSession, dealer_code: str, to: str | None, on: date) -> list[UUID]:
    """Put all members of a chapter elsewhere, those who left too, from a day on; who they are."""
    await _from_now_on(session, on)
    connection = await raw(session)
    rows = await connection.fetch(
        "UPDATE member SET dealer_code = $2, version = version + 1 WHERE dealer_code = $1 AND erased_at IS NULL"
        " RETURNING id",
        dealer_code, to,
    )  # fmt: skip
    moved = [member_id for (member_id,) in rows]
    if moved:
        changes = {"dealer_code": (dealer_code, to)}
        await audit.record(connection, Action.CHANGED, "member", moved, changes=changes)
    return moved


async def _from_now_on(session: AsyncSession, on: date) -> None:
    await session.execute(text("SELECT set_config('club.moved_on', :day, true)"), {"day": on.isoformat()})


async def history(session: AsyncSession, member_id: UUID) -> Sequence[MemberPlace]:
    """Where a member was, oldest first."""
    places = select(MemberPlace).where(col(MemberPlace.member_id) == member_id).order_by(col(MemberPlace.since))
    return (await session.scalars(places)).all()
