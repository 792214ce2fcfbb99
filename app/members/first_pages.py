"""How a page of members is looked for: walked by id, gathered before it is sorted, or along an index's short list."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, inspect, literal_column, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.core.estimates import Listed, by_statistics, estimated_rows, indexed_rows, listings, plan_anew, walks
from app.members.models import Member

FEW = 20_000
"""So many matches are gathered and sorted faster than all members are walked by id."""
SHORT, LONG = 5_000, 25_000
"""Lists of so many ids are sorted faster than members are walked: where the newest are likely to match, where not.
The planner expects half of what there is, since it guesses at row-level security."""

Condition = ColumnElement[bool]
_id: ColumnElement[UUID] = col(Member.id)  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Page:
    """The members within reach on whom all conditions hold, by id, from after one."""

    reached: Condition
    conditions: Sequence[Condition]
    after: UUID | None
    limit: int
    newest_first: bool

    @property
    def beyond(self) -> list[Condition]:
        """After the last page."""
        if self.after is None:
            return []
        return [_id < self.after if self.newest_first else _id > self.after]

    def ordered(self, place: ColumnElement[UUID]) -> ColumnElement[UUID]:
        """By id as pages are."""
        return place.desc() if self.newest_first else place

    def walk(self) -> Select[Member]:
        """All members by id until there are enough."""
        query = select(Member).where(self.reached, *self.conditions, *self.beyond)
        return query.order_by(self.ordered(_id)).limit(self.limit)

    def gathered(self, matching: Select[UUID], guessed: Sequence[Condition]) -> Select[Member]:
        """Those who match by statistics first: few may stand at the walk's end."""
        found = matching.cte("few").prefix_with("MATERIALIZED")
        few = select(found)
        first = few if guessed else few.order_by(self.ordered(found.c.id)).limit(self.limit)
        return select(Member).where(_id.in_(first), *guessed).order_by(self.ordered(_id)).limit(self.limit)

    def along(self, listed: Listed) -> Select[Member]:
        """The members of a list one by one, on whom the rest holds, too."""
        (member_id,) = listed.query.selected_columns
        # OFFSET 0: neither the order nor the looking up is the planner's to change
        ids = listed.query.distinct().order_by(self.ordered(member_id)).offset(literal_column("0")).subquery("listed")
        rows = select(Member).where(_id == ids.c[0], self.reached, *listed.rest, *self.beyond)
        member = aliased(Member, rows.offset(literal_column("0")).lateral("found"))
        query = select(member).select_from(ids.join(inspect(member).selectable, true()))
        return query.order_by(self.ordered(ids.c[0])).limit(self.limit)


async def quickest(session: AsyncSession, page: Page) -> Select[Member]:
    """The query of a page: the planner would walk also where matches stand late, so it is asked what it knows."""
    if not page.conditions:
        return page.walk()
    await plan_anew(session)
    if not await walks(session, page.walk(), "pk_member"):
        return page.walk()
    known, guessed = by_statistics(page.conditions)
    matching = select(_id).where(page.reached, *known, *page.beyond)
    if known and await estimated_rows(session, matching) <= FEW:
        return page.gathered(matching, guessed)
    listed = await _shortest(session, page.conditions, SHORT if page.newest_first else LONG)
    return page.along(listed) if listed else page.walk()


async def _shortest(session: AsyncSession, conditions: Sequence[Condition], most: int) -> Listed | None:
    """The condition whose members an index lists, such as one of cars, if there are at most so many."""
    shortest = None
    for listed in listings(conditions, inspect(Member).local_table.c.id):
        rows = await indexed_rows(session, listed.query)
        if rows is not None and rows <= most:
            shortest, most = listed, rows
    return shortest
