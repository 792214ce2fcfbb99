"""What events keep on a member: what it was told."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Executable, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.holdings import Holding
from app.events.models import ClubEvent, EventNotice


class OwnEventNotice(BaseModel):
    """A notice as its member sees it."""

    at: datetime
    event: str
    notice_kind: str
    reason: str | None


def _notices(member_id: UUID) -> Executable:
    notice = EventNotice
    return (
        select(
            col(notice.at), col(ClubEvent.title).label("event"), col(notice.kind).label("notice_kind"),
            col(notice.reason),
        )
        .join(ClubEvent, col(ClubEvent.id) == col(notice.event_id))
        .where(col(notice.member_id) == member_id)
        .order_by(col(notice.id))
    )  # fmt: skip


async def _forget_notices(session: AsyncSession, member_id: UUID, _: datetime) -> None:
    await session.execute(delete(EventNotice).where(col(EventNotice.member_id) == member_id))


HOLDINGS = (Holding("event_notices", OwnEventNotice, _notices, _forget_notices),)
