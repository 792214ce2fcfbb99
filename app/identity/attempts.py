"""Failed sign-ins slow the next one, per origin, so that nobody can lock another person out.

Three counters, of which an attempt meets one or two:
  a device that signed in to this account before (it holds a cookie we signed): its own counter and no other;
  username and address: its own counter; and, unless the account signed in well from there of late,
  the address alone, against one password tried on many names.
An attempt is counted before the password is looked at, so that many at once gain nothing, and forgiven when it is
good.
A refused attempt is not counted: who waits is let in.
"""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.rates import network_of
from app.identity.credential_models import SignInAttempt
from app.identity.problems import TooManyAttempts
from app.identity.rules import delay_after
from app.identity.seals import Seals

KNOWN_FOR = timedelta(days=90)
"""An address from which an account signed in stays known to it for so long."""
_KEPT = timedelta(days=1)
_SWEPT = 20


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in comes from: the network address, and the device's cookie when it has one."""

    address: str
    device: str | None = None

    @property
    def network(self) -> str:
        """The address; of IPv6 its network, which is one subscriber's."""
        return network_of(self.address)


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter: how many failures are free, and how long without an attempt until they are forgotten."""

    key: bytes
    free: int
    memory: timedelta


def device_cookie(seals: Seals, account_id: UUID) -> str:
    """What a device keeps after a good sign-in: a number, and our digest that ties it to the account."""
    number = secrets.token_hex(16)
    return f"{number}.{seals.digest('device', str(account_id), number).hex()}"


async def charge(
    session: AsyncSession, seals: Seals, username: str, account_id: UUID | None, origin: Origin, *, now: datetime
) -> Sequence[Counter]:
    """Count an attempt against its origin; what was counted, for `forgive`.

    Raises:
        TooManyAttempts: the origin must wait; nothing was counted.
    """
    if account_id is not None and (number := _device(seals, account_id, origin.device)) is not None:
        own = Counter(seals.digest("attempts of device", number), 4, timedelta(days=1))
        await _count(session, own, now)
        return [own]
    pair = Counter(seals.digest("attempts of name at address", username, origin.network), 4, timedelta(days=1))
    good_at = await _count(session, pair, now)
    if good_at is not None and now - good_at < KNOWN_FOR:
        return [pair]
    address = Counter(seals.digest("attempts at address", origin.network), 20, timedelta(hours=1))
    await _count(session, address, now)
    return [pair, address]


async def charge_code(session: AsyncSession, seals: Seals, account_id: UUID, *, now: datetime) -> Counter:
    """Count a second factor's try, from wherever: only who knows the password comes so far.

    Raises:
        TooManyAttempts: the account's codes must wait; nothing was counted.
    """
    counter = Counter(seals.digest("codes of account", str(account_id)), 9, timedelta(days=1))
    await _count(session, counter, now)
    return counter


async def forgive(session: AsyncSession, counters: Sequence[Counter], *, now: datetime) -> None:
    """A good sign-in: the origin's own counter (the first) starts again, the others lose what this one added."""
    own, *others = counters
    await session.execute(
        update(SignInAttempt).where(col(SignInAttempt.key) == own.key)
        .values(failures=0, blocked_until=None, good_at=now)
    )  # fmt: skip
    await refund(session, others)


async def refund(session: AsyncSession, counters: Sequence[Counter]) -> None:
    """Take back what an attempt added, no more: it was neither wrong nor complete."""
    await session.execute(
        update(SignInAttempt).where(col(SignInAttempt.key).in_([counter.key for counter in counters]))
        .values(failures=func.greatest(SignInAttempt.failures - 1, 0), blocked_until=None)
    )  # fmt: skip


def _device(seals: Seals, account_id: UUID, cookie: str | None) -> str | None:
    number, _, digest = (cookie or "").partition(".")
    good = seals.digest("device", str(account_id), number).hex()
    return number if compare_digest(good.encode(), digest.encode()) else None


async def _count(session: AsyncSession, counter: Counter, now: datetime) -> datetime | None:
    # the row's lock makes those who try at once wait for one another
    fresh = insert(SignInAttempt).values(key=counter.key, failures=0, last_at=now)
    locked = fresh.on_conflict_do_update(index_elements=["key"], set_={"key": fresh.excluded.key})
    attempt = (await session.scalars(locked.returning(SignInAttempt))).one()
    if attempt.blocked_until is not None and now < attempt.blocked_until:
        raise TooManyAttempts(retry_after_seconds=math.ceil((attempt.blocked_until - now).total_seconds()))
    attempt.failures = 1 if now - attempt.last_at > counter.memory else attempt.failures + 1
    attempt.last_at = now
    delay = delay_after(attempt.failures, counter.free)
    attempt.blocked_until = now + delay if delay else None
    await session.flush()
    return attempt.good_at


async def sweep(session: AsyncSession, *, now: datetime) -> None:
    """Delete some counters that no longer count; every attempt clears more than it makes."""
    stale = (
        select(col(SignInAttempt.key))
        .where(
            col(SignInAttempt.last_at) < now - _KEPT,
            or_(col(SignInAttempt.good_at).is_(None), col(SignInAttempt.good_at) < now - KNOWN_FOR),
        )
        .order_by(col(SignInAttempt.last_at)).limit(_SWEPT).with_for_update(skip_locked=True)
    )  # fmt: skip
    await session.execute(delete(SignInAttempt).where(col(SignInAttempt.key).in_(stale)))
