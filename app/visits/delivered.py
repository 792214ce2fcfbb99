"""What follows when cars are delivered, or their sales cancelled, in the transaction that takes it in.

A delivery is an event of its own to its owner, once that is a member; domains above hear of it, too.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import asyncpg

from app.earning import awards
from app.earning.awards import Event
from app.earning.book import book
from app.points.ledger import Request
from app.points.problems import WalletClosed

FEED = "deliveries"
"""Who posts what a delivery earns."""
Told = Callable[[asyncpg.Connection, Sequence[str], datetime], Awaitable[None]]
"""Gets the VINs: of one car, or of thousands at once."""

_ON_DELIVERY: list[Told] = []
_ON_CANCELLATION: list[Told] = []


def register(*, delivered: Told, cancelled: Told) -> None:
    """Let a domain above hear of both."""
    _ON_DELIVERY.append(delivered)
    _ON_CANCELLATION.append(cancelled)


async def tell_delivered(connection: asyncpg.Connection, vins: Sequence[str], now: datetime) -> None:
    """These cars were delivered, and are matched with memberships as far as there are any."""
    if vins:
        for told in _ON_DELIVERY:
            await told(connection, vins, now)


async def tell_cancelled(connection: asyncpg.Connection, vins: Sequence[str], now: datetime) -> None:
    """The sales of these cars were cancelled; their deliveries are no longer there.

    Raises:
        WalletClosed: points are to be given back by a member who has left.
    """
    for told in _ON_CANCELLATION:
        await told(connection, vins, now)


# judged before is judged for good, from what was known then
_JUDGED = """
SELECT document, attempt FROM award WHERE document = ANY ($1)
 UNION SELECT document, attempt FROM earning_case WHERE document = ANY ($1)
"""


async def award_all(connection: asyncpg.Connection, events: Sequence[Event], now: datetime) -> None:
    """Give what rules give for events of one trigger, each once; of who is no active member, a person decides."""
    if not events or not (await book(connection)).of_trigger(events[0].trigger):
        return
    judged = {tuple(row) for row in await connection.fetch(_JUDGED, [event.document for event in events])}
    for event in events:
        if (event.document, event.attempt) in judged:
            continue
        try:
            async with connection.transaction():
                await awards.award(connection, event, Request(FEED, event.document, now))
        except WalletClosed:
            await awards.park(connection, event, "the member is not active", now)
