"""What `club verify` runs: each domain's `verify.py` lists its invariants as checks."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import asyncpg


class Check(NamedTuple):
    """One invariant; `run` answers a readable key for each row that disagrees, nothing when all agree."""

    name: str
    description: str
    run: Callable[[asyncpg.Connection], Awaitable[list[str]]]


SHOWN = 20
"""How many disagreeing rows a check names at most."""


def sql_check(name: str, description: str, sql: str) -> Check:
    """A check whose query returns one text column: the rows that disagree. One statement, so one snapshot."""

    async def run(db: asyncpg.Connection) -> list[str]:
        return [text for (text,) in await db.fetch(f"{sql}\nLIMIT $1", SHOWN)]

    return Check(name, description, run)
