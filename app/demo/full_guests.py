"""Who comes to events and claims perks in the full-size network: the same few of each chapter, who so have a past.

Who earns points by it has no purchases among the shipped ones: what those owners spend follows from their orders alone.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from random import Random
from typing import NamedTuple
from uuid import UUID

from app.core.actors import Actor, Role
from app.core.db import Database
from app.demo.full import FIRST_SERIAL, GIVEN
from app.events.registration_schemas import CompanionCreate, RegistrationCreate

REGULARS = 40
"""Of each chapter."""


class Guest(NamedTuple):
    """A member who takes part."""

    member_id: UUID
    member_no: str
    name: str

    @property
    def actor(self) -> Actor:
        """The member, signed in."""
        return Actor(self.member_no, Role.MEMBER, None, self.member_id)


class Regulars(NamedTuple):
    """Each chapter's: `new` came with the full size, `shipped` have their purchases shipped."""

    new: Mapping[str, Sequence[Guest]]
    shipped: Mapping[str, Sequence[Guest]]


async def regulars(database: Database, chapters: Sequence[str], before: date) -> Regulars:
    """The members of chapters who had joined before a day; always in the same order."""
    rows = await database.pool.fetch(
        """SELECT m.dealer_code, right(o.vin, 6)::int AS serial, m.id, m.member_no, m.name
             FROM member m JOIN ownership o ON o.member_id = m.id AND o.until IS NULL
            WHERE m.dealer_code = ANY ($1) AND m.joined_on < $2 AND m.status = 'active' ORDER BY serial""",
        chapters, before,
    )  # fmt: skip
    found: tuple[dict[str, dict[Guest, None]], ...] = defaultdict(dict), defaultdict(dict)
    for chapter, serial, *guest in rows:
        of_chapter = found[serial >= FIRST_SERIAL][chapter]
        if len(of_chapter) < REGULARS:
            of_chapter[Guest(*guest)] = None
    shipped, new = ({chapter: list(some) for chapter, some in one.items()} for one in found)
    return Regulars(new, shipped)


def party(random: Random, guest: Guest, persons: int) -> RegistrationCreate:
    """A member's party of so many; every other companion is a child of the member's."""
    companions = [
        CompanionCreate(
            name=guest.name[0] + random.choice(GIVEN), is_minor=(is_child := number % 2 == 1),
            guardian=guest.name if is_child else None,
        )
        for number in range(persons - 1)
    ]  # fmt: skip
    return RegistrationCreate(companions=companions, answers={})
