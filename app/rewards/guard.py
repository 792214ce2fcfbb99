"""What a counter may look up and guess in an hour, so that nobody leafs through the roll or tries codes out."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from app.core import tallies
from app.core.actors import Actor
from app.core.db import Connection
from app.core.problems import TooManyRequests
from app.core.tallies import Limit, Window
from app.identity.seals import Seals
from app.points.problems import ConfirmationWrong
from app.settings import Settings

_A_MOMENT_SECONDS = 1


class Guard:
    """Counts by account. A process has one: `request.app.state.guard`."""

    def __init__(self, seals: Seals, settings: Settings) -> None:
        self._seals = seals
        self._lookups = Limit.of(settings.rate_lookups)
        self._misses = Limit.of(settings.rate_lookup_misses)
        self._wrong_codes = Limit.of(settings.rate_wrong_codes)
        self._under_way: Counter[str] = Counter()
        self._shut: dict[str, Window] = {}

    async def look_up(self, db: Connection, actor: Actor, now: datetime) -> None:
        """Count a look-up before it is made.

        Raises:
            TooManyRequests: the account looked up too many, or found nobody too often.
        """
        _require_room(await tallies.look(db, self._misses, self._key("misses", actor), now), now)
        _require_room(await tallies.count(db, self._lookups, self._key("look-ups", actor), now), now)

    async def miss(self, db: Connection, actor: Actor, now: datetime) -> None:
        """Count a look-up that found nobody."""
        await tallies.count(db, self._misses, self._key("misses", actor), now)

    @asynccontextmanager
    async def guessing(self, db: Connection, actor: Actor, now: datetime) -> AsyncIterator[None]:
        """A member's code is judged in this block; when it is wrong, that counts.

        A good code costs no look at the database: the process remembers whom it has to refuse. One that does not know
        yet that an account guessed too often elsewhere learns so by the next wrong code. No more codes are judged at
        once than may be wrong.

        Raises:
            TooManyRequests: too many were wrong.
        """
        who = actor.subject
        if (window := self._shut.get(who)) is not None and window.ends_at > now:
            _require_room(window, now)
        if self._under_way[who] >= self._wrong_codes.most:
            raise TooManyRequests(retry_after_seconds=_A_MOMENT_SECONDS)
        self._under_way[who] += 1
        try:
            yield
        except ConfirmationWrong:
            await self._wrong(db, actor, now)
            raise
        finally:
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who]

    async def _wrong(self, db: Connection, actor: Actor, now: datetime) -> None:
        window = await tallies.count(db, self._wrong_codes, self._key("wrong codes", actor), now)
        if window.counted >= self._wrong_codes.most:
            self._shut = {who: window for who, window in self._shut.items() if window.ends_at > now}
            self._shut[actor.subject] = window._replace(has_room=False)

    def _key(self, what: str, actor: Actor) -> bytes:
        return self._seals.digest("counter", what, actor.role.reach, actor.subject)


def _require_room(window: Window, now: datetime) -> None:
    if not window.has_room:
        raise TooManyRequests(retry_after_seconds=window.seconds_left(now))
