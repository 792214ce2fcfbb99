"""What one address, and everybody together, may ask for and get wrong at the members' sign-in.

A number's own limits (`sign_in_rules`) do not hold back who tries a few codes on each of very many numbers.
"""

import logging
from datetime import datetime

import asyncpg

from app.core import tallies
from app.core.db import Connection
from app.core.problems import TooManyRequests
from app.core.rates import network_of
from app.core.tallies import Limit
from app.identity.problems import TooManyAttempts
from app.identity.seals import Seals
from app.settings import Settings

log = logging.getLogger("club.sign_in")


class Gate:
    """Counts codes asked for, and codes that were wrong."""

    def __init__(self, seals: Seals, settings: Settings) -> None:
        self._seals = seals
        self._codes = Limit.of(settings.rate_sign_in_codes)
        self._all_codes = Limit.of(settings.rate_all_sign_in_codes)
        self._failures = Limit.of(settings.rate_sign_in_failures)

    async def ask(self, connection: asyncpg.Connection, address: str, now: datetime) -> None:
        """Count a code that an address asks for, in the transaction that makes it.

        Raises:
            TooManyRequests: it asked for too many, whatever the numbers.
        """
        window = await tallies.count(connection, self._codes, self._key("codes for", address), now)
        if not window.has_room:
            raise TooManyRequests(retry_after_seconds=window.seconds_left(now))

    async def pass_on(self, connection: asyncpg.Connection, now: datetime) -> None:
        """Count a code among everybody's; to be asked last, as all who ask wait for one another until commit.

        Raises:
            TooManyRequests: all together asked for too many.
        """
        window = await tallies.count(connection, self._all_codes, self._seals.digest("sign-in codes"), now)
        if not window.has_room:
            raise TooManyRequests(retry_after_seconds=window.seconds_left(now))
        if window.counted == self._all_codes.most:
            log.error("sign-in codes: %d were asked for, no more are sent until %s", window.counted, window.ends_at)

    async def guess(self, db: Connection, address: str, now: datetime) -> None:
        """Count an attempt before it is looked at, so that many at once gain nothing.

        Raises:
            TooManyAttempts: too many codes from there were wrong.
        """
        window = await tallies.count(db, self._failures, self._key("wrong codes from", address), now)
        if not window.has_room:
            raise TooManyAttempts(retry_after_seconds=window.seconds_left(now))

    async def forgive(self, db: Connection, address: str, now: datetime) -> None:
        """The attempt was good."""
        await tallies.take_back(db, self._key("wrong codes from", address), now)

    def _key(self, what: str, address: str) -> bytes:
        return self._seals.digest("sign-in", what, network_of(address))
