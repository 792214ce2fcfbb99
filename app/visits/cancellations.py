"""A sale is cancelled (退车): its delivery is taken out of every figure, and what rested on it is undone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.db import raw, unrestricted
from app.members.queries import lock_vehicle
from app.visits import recruitment
from app.visits.delivered import tell_cancelled
from app.visits.deliveries_models import CancelledDelivery


async def cancel(
    session: AsyncSession, actor: Actor, delivery_id: UUID, reason: str, *, now: datetime
) -> CancelledDelivery:
    """Take a delivery back. The car may be delivered anew; the same delivery sent again stays cancelled.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
        WalletClosed: points that rested on it are to be given back by a member who has left.
    """
    seen = await recruitment.delivery(session, actor, delivery_id)
    await lock_vehicle(session, seen.vin)
    found = await recruitment.delivery(session, actor, delivery_id, locked=True)
    cancelled = CancelledDelivery(
        id=found.id, vin=found.vin, dealer_code=found.dealer_code, delivered_on=found.delivered_on, reason=reason,
        cancelled_at=now, cancelled_by=actor.subject,
    )  # fmt: skip
    session.add(cancelled)
    await session.delete(found)
    await session.flush()
    # what rested on the sale may be another chapter's
    await unrestricted(session)
    await tell_cancelled(await raw(session), [found.vin], now)
    return cancelled
