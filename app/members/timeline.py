"""Everything that happened to a member, newest first. Other domains register what they know through wiring."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    SelectBase,
    SQLColumnExpression,
    Text,
    cast,
    collate,
    func,
    literal,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Role
from app.core.timeline import Source, beginning, happening
from app.members import queries
from app.members.models import Ownership, StatusChange
from app.members.profile_models import Note
from app.members.review_models import Outcome, VerificationCall
from app.members.rules import MemberStatus
from app.members.vehicle_models import VehicleClaim
from app.members.vehicle_rules import ClaimStatus

Column = SQLColumnExpression[Any]
_SOURCES: dict[str, Source] = {}


def register(*sources: Source) -> None:
    """Make sources known; a name is taken once."""
    for source in sources:
        assert source.name not in _SOURCES, f"there is a source {source.name} already"
        _SOURCES[source.name] = source


def sources() -> Sequence[Source]:
    """Every source."""
    return tuple(_SOURCES.values())


class Position(NamedTuple):
    """A place in a timeline."""

    at: datetime
    source: str
    id: str


class Happening(NamedTuple):
    """One thing that happened; `facts` fill its words."""

    at: datetime
    source: str
    id: str
    kind: str
    facts: dict[str, Any]
    by: str | None


async def timeline(
    session: AsyncSession, actor: Actor, member_id: UUID, *, only: str | None, before: Position | None, limit: int
) -> list[Happening]:
    """What happened to a member, of what an actor may read, newest first, from before a position.

    What happened to those who were merged into the member is told with it, as far as the actor's rows go.

    Args:
        only: a source's name; None: all.
    """
    readable = [source for source in sources() if source.visible(actor) and only in {None, source.name}]
    if not readable:
        return []
    merged = await queries.merged_into(session, member_id)
    parts = [_part(source, member_id) for source in readable]
    parts += [_part(source, other.id, mark=f"@{other.id}") for other in merged for source in readable]
    told = union_all(*parts).subquery()
    # of one moment, the same order whatever the database's locale
    place = (told.c.at, collate(told.c.source, "C"), collate(told.c.id, "C"))
    query = select(told).order_by(*(column.desc() for column in place)).limit(limit)
    if before is not None:
        query = query.where(tuple_(*place) < tuple_(*before))
    # who did it is for the staff
    is_staff = actor.role is not Role.MEMBER
    found = [Happening(*row) for row in await session.execute(query)]
    return found if is_staff else [one._replace(by=None) for one in found]


def _part(source: Source, member_id: UUID, mark: str = "") -> Any:
    """What a source tells of a member; `mark` tells it from what it tells of another."""
    row = source.rows(member_id).subquery()
    name = cast(literal(source.name), Text).label("source")
    return select(row.c.at, name, func.concat(row.c.id, mark).label("id"), row.c.kind, row.c.facts, row.c.by)


# --- what this domain tells ---


def everyone(_: Actor) -> bool:
    """A source for all who may see the member."""
    return True


def staff(actor: Actor) -> bool:
    """A source for those who care for the member, and not for the member."""
    return actor.role is not Role.MEMBER


def _steps(member_id: UUID) -> SelectBase:
    return happening(
        at=col(StatusChange.at), id=col(StatusChange.id), kind=col(StatusChange.to_status),
        facts={"reason": col(StatusChange.reason), "before": col(StatusChange.from_status)},
        by=col(StatusChange.actor),
    ).where(col(StatusChange.member_id) == member_id)  # fmt: skip


def _vehicles(member_id: UUID) -> SelectBase:
    def turn(kind: str, day: SQLColumnExpression[Any]) -> SelectBase:
        told = happening(
            at=beginning(day), id=func.concat(col(Ownership.id), f":{kind}"), kind=literal(kind),
            facts={"vin": col(Ownership.vin)},
        )  # fmt: skip
        return told.where(col(Ownership.member_id) == member_id, day.is_not(None))

    return union_all(turn("owned", col(Ownership.since)), turn("given_up", col(Ownership.until)))


def _claims(member_id: UUID) -> SelectBase:
    def turn(kind: Column, at: Column, said: Column, by: Column) -> SelectBase:
        told = happening(
            at=at, id=func.concat(col(VehicleClaim.id), ":", kind), kind=kind,
            facts={"vin": col(VehicleClaim.vin), "reason": said}, by=by,
        )  # fmt: skip
        return told.where(col(VehicleClaim.claimant_id) == member_id, at.is_not(None))

    claim = VehicleClaim
    asked = turn(literal("asked"), col(claim.asked_at), col(claim.proof), col(claim.asked_by))
    return union_all(asked, turn(col(claim.status), col(claim.decided_at), col(claim.reason), col(claim.decided_by)))


def _calls(member_id: UUID) -> SelectBase:
    call = VerificationCall

    def turn(kind: Column, at: Column, said: Column, by: Column) -> SelectBase:
        told = happening(at=at, id=func.concat(col(call.id), ":", kind), kind=kind, facts={"text": said}, by=by)
        return told.where(col(call.member_id) == member_id, at.is_not(None))

    asked = turn(literal("asked"), col(call.asked_at), col(call.question), col(call.asked_by))
    return union_all(asked, turn(col(call.outcome), col(call.closed_at), col(call.answer), col(call.closed_by)))


def _notes(member_id: UUID) -> SelectBase:
    return happening(
        at=col(Note.written_at), id=col(Note.id), kind=literal("written"), facts={"text": col(Note.text)},
        by=col(Note.written_by),
    ).where(col(Note.member_id) == member_id)  # fmt: skip


register(
    Source("status", tuple(MemberStatus), _steps, everyone),
    Source("vehicle", ("owned", "given_up"), _vehicles, everyone),
    Source("claim", tuple(ClaimStatus), _claims, everyone),
    Source("call", ("asked", *Outcome), _calls, staff),
    Source("note", ("written",), _notes, staff),
)
