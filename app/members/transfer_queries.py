"""The SQL of transfers, and the one condition on which of them an actor may see."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor, Reach
from app.members.models import Member
from app.members.transfer_models import Transfer
from app.members.transfer_rules import OPEN, TransferStatus


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """A member sees its own, a chapter those from it and to it, a region those of its chapters, headquarters all."""
    if actor.reach is Reach.SELF:
        return col(Transfer.member_id) == actor.member_id
    ends = (col(Transfer.from_dealer_code), col(Transfer.to_dealer_code))
    return or_(*(dealer_visible_to(actor, end) for end in ends))


async def transfers(
    session: AsyncSession, actor: Actor, *, status: TransferStatus | None, dealer_code: str | None,
    member_id: UUID | None, after: UUID | None, limit: int,
) -> Sequence[Transfer]:  # fmt: skip
    """The transfers an actor may see, first asked first, from after an id; None does not filter."""
    query = select(Transfer).where(visible_to(actor)).order_by(col(Transfer.id)).limit(limit)
    if after is not None:
        query = query.where(col(Transfer.id) > after)
    if status is not None:
        query = query.where(col(Transfer.status) == status)
    if member_id is not None:
        query = query.where(col(Transfer.member_id) == member_id)
    if dealer_code is not None:
        ends = (col(Transfer.from_dealer_code), col(Transfer.to_dealer_code))
        query = query.where(or_(*(end == dealer_code for end in ends)))
    return (await session.scalars(query)).all()


async def transfer(session: AsyncSession, actor: Actor, transfer_id: UUID) -> Transfer | None:
    """One transfer, if the actor may see it."""
    return await session.scalar(select(Transfer).where(col(Transfer.id) == transfer_id, visible_to(actor)))


async def locked(session: AsyncSession, transfer_id: UUID) -> Transfer:
    """A transfer that is known to be there, for change; its chapters and its member are locked before."""
    found = await session.get(Transfer, transfer_id, with_for_update=True, populate_existing=True)
    assert found is not None
    return found


async def of_member(session: AsyncSession, member_id: UUID) -> Sequence[Transfer]:
    """All transfers of a member, first asked first."""
    query = select(Transfer).where(col(Transfer.member_id) == member_id).order_by(col(Transfer.id))
    return (await session.scalars(query)).all()


async def open_of(session: AsyncSession, member_id: UUID) -> Transfer | None:
    """The transfer a member is waiting for, for change."""
    query = select(Transfer).where(col(Transfer.member_id) == member_id, col(Transfer.status).in_(OPEN))
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))


async def withdraw_open(session: AsyncSession, member_id: UUID, answer: str, by: str, now: datetime) -> None:
    """End the transfer that a member, who is locked, is waiting for, if there is one."""
    found = await open_of(session, member_id)
    if found is not None:
        found.status, found.answer, found.decided_by, found.decided_at = TransferStatus.WITHDRAWN, answer, by, now
        await session.flush()


class Named(NamedTuple):
    """A member as a transfer shows it."""

    member_no: str
    name: str
    dealer_code: str | None


async def named(session: AsyncSession, member_ids: Sequence[UUID]) -> dict[UUID, Named]:
    """The members of transfers that were found, wherever they are now; the session reads all chapters."""
    columns = (col(Member.id), col(Member.member_no), col(Member.name), col(Member.dealer_code))
    rows = await session.execute(select(*columns).where(col(Member.id).in_(member_ids)))
    return {member_id: Named(member_no, name, dealer_code) for member_id, member_no, name, dealer_code in rows}


async def unanswered(session: AsyncSession, today: date) -> Sequence[UUID]:
    """The transfers whose last day for an answer is over."""
    return await _ids(session, col(Transfer.status) == TransferStatus.ASKED, col(Transfer.answer_by) < today)


async def due(session: AsyncSession, today: date) -> Sequence[UUID]:
    """The accepted transfers whose day has come."""
    return await _ids(session, col(Transfer.status) == TransferStatus.ACCEPTED, col(Transfer.effective_on) <= today)


async def _ids(session: AsyncSession, *conditions: ColumnElement[bool]) -> Sequence[UUID]:
    return (await session.scalars(select(col(Transfer.id)).where(*conditions).order_by(col(Transfer.id)))).all()


async def open_around(session: AsyncSession, dealer_code: str) -> Sequence[Transfer]:
    """The open transfers from a chapter and to it, for change."""
    ends = or_(col(Transfer.from_dealer_code) == dealer_code, col(Transfer.to_dealer_code) == dealer_code)
    query = select(Transfer).where(ends, col(Transfer.status).in_(OPEN)).order_by(col(Transfer.id))
    return (await session.scalars(query.with_for_update().execution_options(populate_existing=True))).all()
