"""Members who may be one person: found every night, looked at by somebody who merges or dismisses them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor
from app.core.db import Database, insert_rows, new_id
from app.core.problems import NotFound, WrongStatus
from app.core.vault import Vault
from app.members import queries
from app.members.models import Member
from app.members.review_models import Duplicate, DuplicateKind

Pair = tuple[UUID, UUID]
"""Two members' ids, the smaller first."""

_FINDING = 7_310_000_023
"""Advisory lock: one search at a time."""
_BATCH = 1_000
_NAMESAKES = """
  JOIN member m ON m.id = a.member_id AND m.erased_at IS NULL AND m.merged_into IS NULL
  JOIN member n ON n.id = b.member_id AND n.erased_at IS NULL AND n.merged_into IS NULL AND n.name = m.name
"""
# a car's owners at different times, of one name: the same person under another phone
_BY_VIN = f"""
SELECT DISTINCT a.member_id, b.member_id
  FROM ownership a JOIN ownership b ON b.vin = a.vin AND b.member_id > a.member_id {_NAMESAKES}
"""  # noqa: S608 (a text of ours)
_BY_PLATE = f"""
SELECT DISTINCT a.member_id, b.member_id
  FROM ownership a JOIN ownership b ON b.plate = a.plate AND b.member_id > a.member_id
   AND a.until IS NULL AND b.until IS NULL {_NAMESAKES}
"""  # noqa: S608 (a text of ours)


async def find(db: Database, *, now: datetime) -> int:
    """Look through all members; how many pairs are new. Those not found any more are dropped unless dismissed."""
    async with db.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _FINDING)
        by_vin = await connection.fetch(_BY_VIN)
        by_plate = await connection.fetch(_BY_PLATE)
        found: dict[DuplicateKind, set[Pair]] = {
            DuplicateKind.VIN: {(one, other) for one, other in by_vin},
            DuplicateKind.PHONE: await _by_phone(connection, db.vault),
            DuplicateKind.NAME_PLATE: {(one, other) for one, other in by_plate},
        }
        return sum([await _keep(connection, kind, pairs, now) for kind, pairs in found.items()])


async def _keep(connection: asyncpg.Connection, kind: DuplicateKind, pairs: set[Pair], now: datetime) -> int:
    rows = await connection.fetch("SELECT id, member_id, other_id, dismissed_at FROM duplicate WHERE kind = $1", kind)
    known = {(row["member_id"], row["other_id"]): row for row in rows}
    gone = [row["id"] for pair, row in known.items() if pair not in pairs and row["dismissed_at"] is None]
    await connection.execute("DELETE FROM duplicate WHERE id = ANY ($1)", gone)
    new = [(new_id(), kind, *pair, now) for pair in sorted(pairs - known.keys())]
    await insert_rows(connection, "duplicate", ["id", "kind", "member_id", "other_id", "found_at"], new)
    return len(new)


async def _by_phone(connection: asyncpg.Connection, vault: Vault) -> set[Pair]:
    """Under one data key the index is unique; under two a number can be stored twice."""
    pairs: set[Pair] = set()
    if len(vault.indexes("")) < 2:
        return pairs
    batch: list[asyncpg.Record] = []
    current = "SELECT id, phone FROM member WHERE phone IS NOT NULL AND merged_into IS NULL"
    async for row in connection.cursor(current, prefetch=_BATCH):
        if not vault.is_newest(row["phone"]):
            batch.append(row)
        if len(batch) == _BATCH:
            pairs |= await _sharing(connection, vault, batch)
            batch = []
    return pairs | await _sharing(connection, vault, batch)


async def _sharing(connection: asyncpg.Connection, vault: Vault, rows: Iterable[asyncpg.Record]) -> set[Pair]:
    ids = {index: row["id"] for row in rows for index in vault.indexes(vault.open(row["phone"]))}
    same = await connection.fetch(
        "SELECT id, phone_index FROM member WHERE phone_index = ANY ($1) AND merged_into IS NULL", list(ids)
    )
    found = ((row["id"], ids[row["phone_index"]]) for row in same)
    return {(min(pair), max(pair)) for pair in found if pair[0] != pair[1]}


# --- looking at them ---


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Who may see both members sees that they may be one; none that was merged since."""
    seen = select(col(Member.id)).where(queries.visible_to(actor), col(Member.merged_into).is_(None))
    return and_(col(Duplicate.member_id).in_(seen), col(Duplicate.other_id).in_(seen))


async def duplicates(
    session: AsyncSession, actor: Actor, *, kind: DuplicateKind | None, dismissed: bool, after: UUID | None, limit: int
) -> Sequence[Duplicate]:
    """The open pairs, or those dismissed, oldest first, from after an id."""
    is_open = col(Duplicate.dismissed_at).is_(None)
    query = select(Duplicate).where(visible_to(actor), ~is_open if dismissed else is_open)
    if kind is not None:
        query = query.where(col(Duplicate.kind) == kind)
    if after is not None:
        query = query.where(col(Duplicate.id) > after)
    return (await session.scalars(query.order_by(col(Duplicate.id)).limit(limit))).all()


async def members_of(session: AsyncSession, pairs: Iterable[Duplicate]) -> dict[UUID, Member]:
    """The members of pairs, by id."""
    ids = {member_id for pair in pairs for member_id in (pair.member_id, pair.other_id)}
    found = await session.scalars(select(Member).where(col(Member.id).in_(ids)))
    return {member.id: member for member in found}


async def dismiss(session: AsyncSession, actor: Actor, duplicate_id: UUID, reason: str, *, now: datetime) -> Duplicate:
    """Two members are two persons; they are not found again.

    Raises:
        NotFound: there is no such pair, or it is not the actor's to see.
        WrongStatus: it is dismissed.
    """
    query = select(Duplicate).where(col(Duplicate.id) == duplicate_id, visible_to(actor)).with_for_update()
    pair = await session.scalar(query)
    if pair is None:
        raise NotFound("duplicate")
    if pair.dismissed_at is not None:
        raise WrongStatus(current="dismissed", allowed=["open"])
    pair.dismissed_at, pair.dismissed_by, pair.reason = now, actor.subject, reason
    await session.flush()
    return pair
