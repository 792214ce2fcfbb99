"""What stands behind a session today: an account with a current grant, as the session began with it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.identity import grants
from app.identity.models import Account


@dataclass(frozen=True, slots=True)
class Standing:
    """An actor, and when what it rests on ends; None: not foreseen."""

    actor: Actor
    ends_at: datetime | None = None

    def until(self, moment: datetime) -> datetime:
        """A moment, or the end when that comes first."""
        return min(moment, self.ends_at.astimezone(UTC)) if self.ends_at is not None else moment


def place_of(actor: Actor) -> str | None:
    """The dealer, region, partner or agency an actor is bound to; which of them, its role says."""
    return actor.dealer_code or actor.region_code or actor.partner_code or actor.agency_code


async def of_account(
    session: AsyncSession, account_id: UUID, role: Role, place: str | None, now: datetime
) -> Standing | None:
    """An active account's standing in a role at a place; None when no grant gives it that today."""
    account = await session.get(Account, account_id, populate_existing=True)
    if account is None or not account.is_active:
        return None
    for grant in await grants.current(session, account_id, china_date(now)):
        actor = grants.actor_of(account, grant)
        if (actor.role, place_of(actor)) == (role, place):
            return Standing(actor, grants.ends_at(grant))
    return None
