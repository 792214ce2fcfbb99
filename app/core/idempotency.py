"""Writes that are not postings, under an Idempotency-Key: done once, answered alike. The ledger keeps its own keys."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from app.core.models import IdempotencyRecord
from app.core.problems import KeyConflict
from app.core.vault import vault_for

KEPT = timedelta(days=7)


async def once(
    session: AsyncSession,
    *,
    caller: str,
    key: str | None,
    request: BaseModel,
    now: datetime,
    action: Callable[[], Awaitable[BaseModel]],
    status: int = 201,
    target: str = "",
) -> Response:
    """The answer of `action`, done once per (caller, key) in this session's transaction; without a key simply done.

    Args:
        target: what the path names beside the body; the same body for another target is other content.

    Raises:
        KeyConflict: the key was used with other content.
    """
    if key is None:
        return _json(status, (await action()).model_dump_json())
    content = f"request:{type(request).__name__}:{target}:{request.model_dump_json()}"
    # keyed, as it may hold a phone number: without the data keys nobody finds it by trying all there are
    vault = vault_for(session.get_bind().dialect)
    # a second request with the key waits here until the first has committed
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{caller}\n{key}", 2))))
    first = await session.get(IdempotencyRecord, (caller, key))
    if first is not None:
        if first.request_hash not in vault.indexes(content):
            raise KeyConflict
        return _json(first.status, first.body)
    body = (await action()).model_dump_json()
    digest = vault.index(content)
    session.add(
        IdempotencyRecord(caller=caller, key=key, request_hash=digest, status=status, body=body, created_at=now)
    )
    return _json(status, body)


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request that may carry an Idempotency-Key; called with its content and what it does, that is done `once`."""

    session: AsyncSession
    caller: str
    key: str | None
    now: datetime
    status: int
    target: str

    async def __call__(self, content: BaseModel, action: Callable[[], Awaitable[BaseModel]]) -> Response:
        """The answer of `action`; the first one again, where the same content came under this key before.

        Raises:
            KeyConflict: the key was used with other content.
        """
        return await once(
            self.session, caller=self.caller, key=self.key, request=content, now=self.now, action=action,
            status=self.status, target=self.target,
        )  # fmt: skip


def _json(status: int, body: str) -> Response:
    return Response(body, status, media_type="application/json")


async def forget(pool: asyncpg.Pool, now: datetime) -> None:
    """Drop answers older than the promised time."""
    await pool.execute("DELETE FROM idempotency_record WHERE created_at < $1", now - KEPT)
