"""What registrations keep on a member: whom it brought and what it answered is forgotten with it."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Executable, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.holdings import Holding
from app.events.models import ClubEvent
from app.events.registration_models import CheckIn, Companion, Registration


class OwnRegistration(BaseModel):
    """A registration as its member sees it; `answers` is JSON, as it was given."""

    registered_at: datetime
    event: str
    registration_status: str
    party: int
    points: int
    money_fen: int
    answers: str | None
    checked_in_at: datetime | None
    reason: str | None


class OwnCompanion(BaseModel):
    """Somebody whom the member brought, or meant to."""

    event: str
    name: str
    is_minor: bool
    guardian: str | None


def _registrations(member_id: UUID) -> Executable:
    one = Registration
    came = (
        select(col(CheckIn.at))
        .where(col(CheckIn.registration_id) == col(one.id), col(CheckIn.undone_at).is_(None))
        .scalar_subquery()
    )
    return (
        select(
            col(one.registered_at), col(ClubEvent.title).label("event"), col(one.status).label("registration_status"),
            col(one.party), col(one.fee_points).label("points"), col(one.fee_fen).label("money_fen"), col(one.answers),
            came.label("checked_in_at"), col(one.reason),
        )
        .join(ClubEvent, col(ClubEvent.id) == col(one.event_id))
        .where(col(one.member_id) == member_id)
        .order_by(col(one.id))
    )  # fmt: skip


def _companions(member_id: UUID) -> Executable:
    return (
        select(
            col(ClubEvent.title).label("event"), col(Companion.name), col(Companion.is_minor), col(Companion.guardian)
        )
        .join(Registration, col(Registration.id) == col(Companion.registration_id))
        .join(ClubEvent, col(ClubEvent.id) == col(Registration.event_id))
        .where(col(Registration.member_id) == member_id)
        .order_by(col(Companion.id))
    )


async def _forget_answers(session: AsyncSession, member_id: UUID, _: datetime) -> None:
    forgotten = update(Registration).where(col(Registration.member_id) == member_id).values(answers=None, reason=None)
    # a sealed column cannot be compared, which is how the session would look for rows it holds
    await session.execute(forgotten.execution_options(synchronize_session=False))


async def _forget_companions(session: AsyncSession, member_id: UUID, _: datetime) -> None:
    whose = select(col(Registration.id)).where(col(Registration.member_id) == member_id)
    gone = delete(Companion).where(col(Companion.registration_id).in_(whose))
    await session.execute(gone.execution_options(synchronize_session=False))


HOLDINGS = (
    Holding("event_registrations", OwnRegistration, _registrations, _forget_answers),
    Holding("event_companions", OwnCompanion, _companions, _forget_companions),
)
