"""Two memberships of one person become one (合并): one goes on for both, until that is undone.

What moves is registered as movers: this domain's own below, those of domains above through wiring. All of it, and the
points, moves in one transaction; what each took along is kept, so that undoing brings back just that, as far as it
still is where it was put. Merges come one after another, and while nobody is enrolled or imported.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Actor
from app.core.db import raw, unrestricted
from app.core.problems import NotFound, WrongStatus
from app.identity.session_models import Ending
from app.identity.sessions import end_all
from app.members import bulk, service
from app.members import merge_queries as merges
from app.members.merge_models import MemberMerge
from app.members.models import Erasure, Member
from app.members.problems import ErasurePending
from app.members.rules import MemberStatus
from app.members.visibility import visible_member
from app.points import ledger
from app.points.ledger import Request
from app.points.problems import AlreadyMerged, MergedSince, NotMerged, SameMember

# --- what moves ---

Move = Callable[[asyncpg.Connection, UUID, UUID], Awaitable[list[str]]]
"""Gives what is the first member's to the second; says what it gave, for `Restore`. Both are locked."""
Restore = Callable[[asyncpg.Connection, UUID, UUID, list[str]], Awaitable[None]]
"""Gives back to the first member what of this is still the second's."""


@dataclass(frozen=True, slots=True)
class Mover:
    """What of a member moves with it in a merge, and back; `name` is what it is called in the merge's record."""

    name: str
    move: Move
    restore: Restore


_MOVERS: dict[str, Mover] = {}


def register(*movers: Mover) -> None:
    """Make movers known; a name is taken once, and kept: merges on record are undone by it."""
    for mover in movers:
        assert mover.name not in _MOVERS, f"there is a mover {mover.name} already"
        _MOVERS[mover.name] = mover


def rows(name: str, table: str, *, column: str = "member_id", key: str = "id::text", only: str = "true") -> Mover:
    """A mover of a table's rows.

    Args:
        column: whose they are.
        key: an SQL expression over `t` by which a row is known again; one of a moment, that it was not changed since.
        only: an SQL condition over `t` on which rows move; $2 is the member that gets them.
    """
    change = f"UPDATE {table} t SET {column} = $2 WHERE {column} = $1 AND {only}"  # noqa: S608 (names of ours)

    async def move(connection: asyncpg.Connection, source: UUID, target: UUID) -> list[str]:
        return [found for (found,) in await connection.fetch(f"{change} RETURNING {key}", source, target)]

    async def restore(connection: asyncpg.Connection, source: UUID, target: UUID, moved: list[str]) -> None:
        await connection.execute(f"{change} AND {key} = ANY ($3::text[])", target, source, moved)

    return Mover(name, move, restore)


def _none_of(table: str, also: str = "true") -> str:
    """The member that gets it has none of its own, which would stay."""
    return f"NOT EXISTS (SELECT FROM {table} o WHERE o.member_id = $2 AND {also})"


register(
    rows("vehicles", "ownership"),
    rows(
        "claims", "vehicle_claim", column="claimant_id",
        only="t.status = 'asked' AND NOT EXISTS (SELECT FROM vehicle_claim o"
        " WHERE o.claimant_id = $2 AND o.vin = t.vin AND o.status = 'asked')",
    ),
    rows("calls", "verification_call", only="t.closed_at IS NULL"),
    rows("notes", "member_note"),
    rows("household", "household_person"),
    rows("attributes", "member_attribute", only=_none_of("member_attribute", "o.attribute_key = t.attribute_key")),
    rows("profile", "member_profile", key="updated_at::text", only=_none_of("member_profile")),
    rows("birth", "member_birth", key="recorded_at::text", only=_none_of("member_birth")),
    rows("wechat", "wechat_user", key="app_id || ' ' || openid"),
)  # fmt: skip


# --- merging ---


async def merge(
    session: AsyncSession, actor: Actor, from_id: UUID, into_id: UUID, reason: str, *, now: datetime
) -> MemberMerge:
    """Let one member go on for another, too, who has left from then on.

    Raises:
        NotFound: one of them is not there, or not the actor's to see.
        SameMember, AlreadyMerged.
        ErasurePending: one has asked to be erased.
        WrongStatus: one is not active.
        HoldsOpen: points of the one that is to end are held for a purchase.
    """
    source, target = await _both(session, actor, from_id, into_id)
    if source.merged_into or target.merged_into:
        raise AlreadyMerged
    for member in (source, target):
        await _require_unerased(session, member)
        if member.status != MemberStatus.ACTIVE:
            raise WrongStatus(current=member.status, allowed=(MemberStatus.ACTIVE,))
    merged = MemberMerge(from_id=from_id, into_id=into_id, reason=reason, actor=actor.subject, at=now, points=0)
    posting = await ledger.merge(
        await raw(session), from_id, into_id, cause=f"merge:{merged.id}", reason=reason,
        request=Request(actor.subject, f"merge:{merged.id}", now),
    )  # fmt: skip
    merged.points = posting.points
    merged.moved = await _move(session, from_id, into_id)
    session.add(merged)
    await merges.follow(session, from_id, into_id)
    source.merged_into = into_id
    await service.step(session, source, MemberStatus.LEFT, reason, actor.subject, now)
    await end_all(session, Ending.LAPSED, now, member_id=from_id)
    await audit.record(session, Action.CHANGED, "member", [into_id], changes={"goes_on_for": (None, from_id)})
    return merged


async def undo(session: AsyncSession, actor: Actor, merge_id: UUID, reason: str, *, now: datetime) -> MemberMerge:
    """Part two members again: each has what it had, but for what was spent or changed since.

    Raises:
        NotFound: there is no such merge, or one of the two is not the actor's to see.
        NotMerged: it was undone before.
        MergedSince: who went on was merged itself; that is undone first.
        ErasurePending: who went on has asked to be erased, with whom was merged.
        WalletClosed: who went on is not active.
    """
    seen = await found(session, actor, merge_id)
    source, target = await _both(session, actor, seen.from_id, seen.into_id)
    merged = await merges.locked(session, merge_id)
    if merged.undone_at is not None:
        raise NotMerged
    if target.merged_into:
        raise MergedSince
    await _require_unerased(session, target)
    posting = await ledger.unmerge(
        await raw(session), source.id, target.id, cause=f"merge:{merge_id}", reason=reason,
        request=Request(actor.subject, f"unmerge:{merge_id}", now),
    )  # fmt: skip
    await _restore(session, merged)
    source.merged_into = None
    await service.step(session, source, MemberStatus.ACTIVE, reason, actor.subject, now)
    await merges.stand_behind(session, source.id)
    merged.undone_at, merged.undone_by, merged.undone_reason = now, actor.subject, reason
    merged.points_returned = -posting.points
    await session.flush()
    await audit.record(session, Action.CHANGED, "member", [target.id], changes={"goes_on_for": (source.id, None)})
    return merged


async def found(session: AsyncSession, actor: Actor, merge_id: UUID) -> MemberMerge:
    """One merge.

    Raises:
        NotFound: there is none, or neither of its members is the actor's to see.
    """
    merged = await merges.merge(session, actor, merge_id)
    if merged is None:
        raise NotFound("merge")
    return merged


async def _both(session: AsyncSession, actor: Actor, from_id: UUID, into_id: UUID) -> tuple[Member, Member]:
    """The two members, locked, and from then on the session sees all that is theirs."""
    await bulk.lock(await raw(session))
    by_id = {one: await visible_member(session, actor, one, locked=True) for one in sorted((from_id, into_id))}
    if from_id == into_id:
        raise SameMember
    await unrestricted(session)
    return by_id[from_id], by_id[into_id]


async def _require_unerased(session: AsyncSession, member: Member) -> None:
    if await session.get(Erasure, member.id) is not None:
        raise ErasurePending


async def _move(session: AsyncSession, from_id: UUID, into_id: UUID) -> dict[str, list[str]]:
    await session.flush()
    connection = await raw(session)
    return {name: moved for name, mover in _MOVERS.items() if (moved := await mover.move(connection, from_id, into_id))}


async def _restore(session: AsyncSession, merged: MemberMerge) -> None:
    connection = await raw(session)
    for name in reversed(list(_MOVERS)):
        if moved := merged.moved.get(name):
            await _MOVERS[name].restore(connection, merged.from_id, merged.into_id, moved)
