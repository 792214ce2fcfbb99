"""Taking one earning back by hand; domains above register what goes back with it."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg

from app.core.db import Database
from app.points import ledger
from app.points.ledger import Posting, Request

Before = Callable[[asyncpg.Connection, UUID, int, str, Request], Awaitable[None]]
"""Told of an earning (member, posting number) that is about to be reversed for a reason, in its transaction."""

_BEFORE: list[Before] = []


def register(before: Before) -> None:
    """Have a domain told of every reversal by hand."""
    _BEFORE.append(before)


async def reverse(
    db: Database, member_id: UUID, posting_no: int, *, reason: str, request: Request, dry_run: bool
) -> Posting:
    """Reverse an earning, and what belongs to it.

    Raises: as `ledger.reverse`.
    """
    async with db.transaction(undo=dry_run) as connection:
        for tell in _BEFORE:
            await tell(connection, member_id, posting_no, reason, request)
        return await ledger.reverse(
            connection, member_id, posting_no, cause=f"reversal:{posting_no}", reason=reason, request=request
        )
