"""Draws that anybody can check: the seed is committed to beforehand, and shown with the result.

The order: a draw is prepared before the registration closes, and its commitment shown; who takes part is settled by the
event itself; at the draw somebody names a value that was not known before. Neither who keeps the seed nor who names
the value can choose the winner alone.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.problems import NotFound
from app.events import attendance, contests, life
from app.events.contest_models import EventDraw
from app.events.contest_rules import Entrants, drawn
from app.events.contest_schemas import DrawCreate, Prize, Standing
from app.events.gathering_problems import AlreadyDrawn, DrawPrepared, NobodyToDraw
from app.events.rules import EventKind, EventStatus

_SEED_BYTES = 32
PREPARING = frozenset({EventStatus.APPROVED, EventStatus.PUBLISHED, EventStatus.REGISTRATION})


async def prepare(session: AsyncSession, actor: Actor, event_id: UUID, body: DrawCreate, *, now: datetime) -> EventDraw:
    """Commit to a seed, for good.

    Raises:
        NotFound, Forbidden, DrawPrepared.
        WrongEventKind: it is no draw.
        WrongStatus: who takes part is known already.
        InvalidPayload, PrizeBudget: as `contests.require_granted` says.
    """
    event = await life.held_by(session, actor, event_id)
    contests.require(event, EventKind.DRAW, PREPARING)
    if await session.get(EventDraw, event_id) is not None:
        raise DrawPrepared
    await contests.require_granted(session, event, _each(body.prizes))
    seed = token_bytes(_SEED_BYTES)
    made = EventDraw(
        event_id=event_id, seed=seed, commitment=sha256(seed).digest(), entrants=body.entrants,
        prizes=[prize.model_dump(mode="json") for prize in body.prizes], prepared_by=actor.subject, prepared_at=now,
    )  # fmt: skip
    session.add(made)
    await session.flush()
    return made


def _each(prizes: Sequence[Prize]) -> list[Prize]:
    """One prize after the other, first prize first."""
    return [prize for prize in prizes for _ in range(prize.quantity)]


async def draw(
    session: AsyncSession, actor: Actor, event_id: UUID, public_value: str, *, months: int, now: datetime
) -> EventDraw:
    """Draw the winners, and give them what they won; prizes that nobody is left for are not given.

    Raises:
        NotFound, Forbidden, AlreadyDrawn, NobodyToDraw, WalletClosed.
        WrongStatus: it was not held, or is settled.
    """
    event = await life.held_by(session, actor, event_id)
    contests.require(event, EventKind.DRAW, contests.AWARDING)
    found = await prepared(session, event_id)
    if found.drawn_at is not None:
        raise AlreadyDrawn
    only_who_came = found.entrants == Entrants.ATTENDED
    entries = {
        str(one): member for one, member in await attendance.entries(session, event_id, only_who_came=only_who_came)
    }
    if not entries:
        raise NobodyToDraw
    found.entries = drawn(found.seed, public_value, entries)
    found.public_value, found.drawn_by, found.drawn_at = public_value, actor.subject, now
    await session.flush()
    prizes = _each([Prize.model_validate(prize) for prize in found.prizes])
    standings = [
        Standing(member_id=entries[entry], rank=rank, **prize.model_dump(exclude={"quantity"}))
        for rank, (entry, prize) in enumerate(zip(found.entries, prizes, strict=False), start=1)
    ]
    await contests.write(session, event, standings, by=actor.subject, months=months, now=now)
    return found


async def prepared(session: AsyncSession, event_id: UUID) -> EventDraw:
    """An event's draw.

    Raises:
        NotFound: none is prepared.
    """
    found = await session.get(EventDraw, event_id)
    if found is None:
        raise NotFound("draw")
    return found
