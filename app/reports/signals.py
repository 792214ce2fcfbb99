"""Abuse signals: found every night, looked at by headquarters. A signal accuses nobody; a person decides."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor
from app.core.clock import add_months, china_date, month_end, month_of
from app.core.db import Database, new_id
from app.core.editing import require_version
from app.core.problems import NotFound
from app.identity.models import Account
from app.reports import signals_queries as sql
from app.reports.signals_models import Signal, SignalKind, SignalStatus, StaffPhone
from app.reports.signals_schemas import Judgement
from app.settings import Settings

Searches = dict[SignalKind, tuple[str, tuple[Any, ...]]]


async def find(db: Database, settings: Settings, *, now: datetime) -> int:
    """Look for all kinds of signals, and take up those that are new or have grown; how many there are."""
    async with db.transaction() as connection:
        found = sum(
            [
                await _keep(connection, kind, await connection.fetch(query, *given), now)
                for kind, (query, given) in _searches(settings, now).items()
            ]
        )
        await connection.execute(sql.OPEN_AGAIN, now)
        await connection.execute(sql.DECIDED_WITH_CASE)
        await connection.execute(sql.FORGET, now - timedelta(days=settings.keep_signals_days))
    return found


def _searches(settings: Settings, now: datetime) -> Searches:
    today = china_date(now)
    since = today - timedelta(days=settings.signal_days)
    ordered_by = today - timedelta(days=settings.signal_order_days)
    last_month = add_months(month_of(today), -1)
    spike = (
        last_month, month_end(last_month), settings.signal_month_end_days, settings.signal_month_end_percent,
        settings.signal_month_end_points,
    )  # fmt: skip
    return {
        SignalKind.REDEMPTION_WITHOUT_ORDER: (sql.REDEMPTION_WITHOUT_ORDER, (since, ordered_by)),
        SignalKind.SELF_REDEMPTION: (sql.SELF_REDEMPTION, (since, today)),
        SignalKind.MONTH_END_EARNING: (sql.MONTH_END_SPIKE, (*spike, False)),
        SignalKind.MONTH_END_SPENDING: (sql.MONTH_END_SPIKE, (*spike, True)),
        SignalKind.SHARED_PHONE: (sql.SHARED_PHONE, (settings.signal_names_a_phone,)),
        SignalKind.SHARED_DEVICE: (
            sql.SHARED_DEVICE, (now - timedelta(days=settings.signal_days), settings.signal_members_a_device)
        ),
        SignalKind.REFERRAL_RING: (sql.REFERRAL_RING, (settings.signal_ring_members,)),
        SignalKind.HELD_EARNING: (sql.HELD_EARNING, ()),
    }  # fmt: skip


async def _keep(
    connection: asyncpg.Connection, kind: SignalKind, rows: Sequence[asyncpg.Record], now: datetime
) -> int:  # fmt: skip
    await connection.executemany(sql.KEEP, [(new_id(), kind, *row, now) for row in rows])
    return len(rows)


async def page(
    session: AsyncSession, *, kind: SignalKind | None, status: SignalStatus | None, dealer_code: str | None,
    after: UUID | None, limit: int,
) -> Sequence[Signal]:  # fmt: skip
    """Signals, first found first, from after an id; None does not filter."""
    query = select(Signal).order_by(col(Signal.id)).limit(limit)
    asked = {Signal.kind: kind, Signal.status: status, Signal.dealer_code: dealer_code}
    query = query.where(*(col(name) == value for name, value in asked.items() if value))
    if after is not None:
        query = query.where(col(Signal.id) > after)
    return (await session.scalars(query)).all()


async def get(session: AsyncSession, signal_id: UUID) -> Signal:
    """One signal.

    Raises:
        NotFound.
    """
    found = await session.get(Signal, signal_id)
    if found is None:
        raise NotFound("signal")
    return found


async def judge(
    session: AsyncSession, actor: Actor, signal_id: UUID, body: Judgement, *, version: int, now: datetime
) -> Signal:
    """Clear a signal or confirm it; who knows better later says so again.

    Raises:
        NotFound, PreconditionFailed.
    """
    found = await session.get(Signal, signal_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound("signal")
    require_version(found, version)
    found.status, found.decision = SignalStatus(body.status), body.reason
    found.decided_by, found.decided_at, found.decided_weight = actor.subject, now, found.weight
    found.version += 1
    await session.flush()
    return found


async def set_phones(session: AsyncSession, account_id: UUID, phones: Sequence[str]) -> int:
    """Make the mobile numbers of somebody with an account known, in place of those before; how many they are.

    Raises:
        NotFound: there is no such account.
    """
    if await session.get(Account, account_id, with_for_update={"key_share": True}) is None:
        raise NotFound("account")
    await session.execute(delete(StaffPhone).where(col(StaffPhone.account_id) == account_id))
    numbers = dict.fromkeys(phones)
    session.add_all(StaffPhone(account_id=account_id, phone=phone) for phone in numbers)
    await session.flush()
    return len(numbers)
