"""Members as lists show them."""

from datetime import date

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.filters import seeks_recent
from app.core.paging import Page, id_after, next_cursor
from app.members import queries, segments
from app.members.schemas import MemberRead, MemberSearch, VehicleRead, member_read
from app.members.service import Profile


async def found_by(
    session: AsyncSession, actor: Actor, search: MemberSearch, *, limit: int, cursor: str | None, today: date
) -> Page[MemberRead]:
    """A page of the members an actor may see for whom everything said in a search holds.

    Raises:
        FieldNotVisible, InvalidPayload: as `filters.parse` says of its filter.
    """
    conditions, newest_first = queries.sought(**search.model_dump(exclude={"filter"})), False
    if search.filter is not None:
        node = await segments.read(session, actor, search.filter)
        conditions.append(segments.condition(node, today))
        newest_first = seeks_recent(node)
    return await member_page(session, actor, *conditions, limit=limit, cursor=cursor, newest_first=newest_first)


async def member_page(
    session: AsyncSession, actor: Actor, *conditions: ColumnElement[bool], limit: int, cursor: str | None,
    newest_first: bool = False, include_merged: bool = False,
) -> Page[MemberRead]:  # fmt: skip
    """A page of the members an actor may see and on whom all conditions hold, in the order they were taken in, or
    newest first."""
    found = await queries.members(
        session, actor, *conditions, after=id_after(cursor), limit=limit + 1, newest_first=newest_first,
        include_merged=include_merged,
    )  # fmt: skip
    vehicles = await queries.vehicles_of(session, [member.id for member in found])
    # read one by one what is shown, and no more: it is recorded
    items = [profile_read(actor, Profile(member, vehicles.get(member.id, []))) for member in found[:limit]]
    return Page[MemberRead](items=items, next_cursor=next_cursor(found, limit, lambda member: (str(member.id),)))


def profile_read(actor: Actor, profile: Profile) -> MemberRead:
    """A member with its vehicles, as the actor may see it."""
    vehicles = [VehicleRead(**vehicle._asdict()) for vehicle in profile.vehicles]
    return member_read(actor, profile.member, vehicles)
