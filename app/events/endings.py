"""The end of a registration before its event: seats and place are given up, points given back.

Whoever ends one has locked the event, and offers the seats to the next (`waiting.fill`).
"""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.events import registration_fees
from app.events import registration_queries as queries
from app.events.models import ClubEvent
from app.events.registration_models import Registration
from app.events.registration_rules import RegistrationStatus

LEFT = "the member left"


async def end(
    session: AsyncSession, registration: Registration, by: str, reason: str | None, grace: timedelta, now: datetime
) -> None:
    """Cancel a live registration. `grace`: how long points that expired meanwhile are good for."""
    await registration_fees.give_back(session, registration, reason or "cancelled", grace, by=by, now=now)
    registration.status = RegistrationStatus.CANCELLED
    registration.ended_by, registration.ended_at, registration.reason = by, now, reason


async def end_of_who_left(session: AsyncSession, event: ClubEvent, by: str, grace: timedelta, now: datetime) -> None:
    """Cancel for members who left the club; points go to who goes on for them, if anybody does."""
    for registration in await queries.of_who_left(session, event.id):
        await end(session, registration, by, LEFT, grace, now)
    await session.flush()
