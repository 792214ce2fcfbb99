"""How often one caller may ask: library `limits`, over counters of this process or those of CLUB_LIMITS_STORAGE."""

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from functools import lru_cache
from typing import Any

from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from app.core.actors import Actor, Role
from app.core.problems import TooManyRequests
from app.settings import Settings

log = logging.getLogger("club.edge")
_MOST_WINDOWS = 200_000
_V6_NETWORK_BITS = 64
_REDIS: dict[str, Any] = {
    "implementation": "redispy",
    # every request waits for its counter: not long, and not once more
    "socket_connect_timeout": 0.5,
    "socket_timeout": 0.5,
    "retry": None,
}


class Windows(Storage):
    """Counters of this process, each with the moment its window ends.

    The library's own walks through all its keys as often as it is asked: with ten thousand callers that is a
    millisecond a request. This one forgets ended windows as new ones begin, and never keeps more than 200,000.
    """

    STORAGE_SCHEME = ["async+process"]  # noqa: RUF012 - as the library declares it

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: float | str | bool) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """What going wrong looks like: nothing can."""
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, in a new window when the last one has ended."""
        now = time.time()
        count, ends = self._windows.get(key, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + expiry
            self._windows.pop(key, None)
            self._forget(now)
        self._windows[key] = (count + amount, ends)
        return count + amount

    def _forget(self, now: float) -> None:
        # oldest beginning first; two go for one that comes
        for _ in range(2):
            if self._windows:
                key, (count, ends) = self._windows.popitem(last=False)
                if ends > now and len(self._windows) < _MOST_WINDOWS - 1:
                    self._windows[key] = (count, ends)
                    self._windows.move_to_end(key, last=False)
                    return

    async def get(self, key: str) -> int:
        """The count in the present window."""
        count, ends = self._windows.get(key, (0, 0.0))
        return count if ends > time.time() else 0

    async def get_expiry(self, key: str) -> float:
        """When the window ends (seconds since the epoch)."""
        return self._windows.get(key, (0, time.time()))[1]

    async def check(self) -> bool:
        """Whether it works."""
        return True

    async def reset(self) -> int | None:
        """Forget all."""
        count = len(self._windows)
        self._windows.clear()
        return count

    async def clear(self, key: str) -> None:
        """Forget one."""
        self._windows.pop(key, None)


class Rates:
    """A request counts once: against its account or its program, or against its address when nobody signed in."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(_counters(settings))
        self._address = parse(settings.rate_address)
        self._account = parse(settings.rate_account)
        self._client = parse(settings.rate_client)

    async def count(self, actor: Actor | None, address: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: the caller's window is full.
        """
        if actor is None:
            await self._hit(self._address, "address", network_of(address))
        elif actor.role is Role.API_CLIENT:
            await self._hit(self._client, "client", actor.subject)
        else:
            # a member's number is not an account's name
            kind = "member" if actor.role is Role.MEMBER else "account"
            await self._hit(self._account, kind, actor.subject)

    async def _hit(self, limit: RateLimitItem, kind: str, whom: str) -> None:
        try:
            if await self._limiter.hit(limit, kind, whom):
                return
            ends, _ = await self._limiter.get_window_stats(limit, kind, whom)
        except StorageError as error:
            # a limit guards the service; without its counters the service goes on
            log.warning("limits are not kept: %s", type(error.storage_error).__name__)
            return
        raise TooManyRequests(retry_after_seconds=max(1, math.ceil(ends - time.time())))


def _counters(settings: Settings) -> Storage:
    given = settings.limits_storage.get_secret_value() if settings.limits_storage else "process://"
    options = _REDIS if given.startswith("redis") else {}
    storage = storage_from_string(f"async+{given}", wrap_exceptions=True, **options)
    assert isinstance(storage, Storage)
    return storage


@lru_cache(4096)
def network_of(address: str) -> str:
    """What an address counts as: itself, or its /64, since an IPv6 host has all of one.

    An IPv4 address mapped into IPv6, as a socket for both tells it, is that IPv4 address.
    """
    if ":" not in address:
        return address
    try:
        if mapped := ipaddress.IPv6Address(address).ipv4_mapped:
            return str(mapped)
        return str(ipaddress.IPv6Network((address, _V6_NETWORK_BITS), strict=False))
    except ValueError:
        return address
