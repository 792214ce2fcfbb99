"""The rules in force, and what they may ask of members, read from the database: a book for one batch of events."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.chapters import queries as chapters
from app.core.db import Connection
from app.earning.definitions import Definition
from app.earning.engine import Considered, Event, Rule, Verdict, consider, judged, scope_with, stacked
from app.earning.expressions import Scopes
from app.earning.tiers import NOBODYS, Tiers, tiers_of
from app.earning.triggers import Trigger, Value

_RULES = """
SELECT v.no, v.rule_id, r.code, r.label_zh, r.label_en, r.dealer_code, v.definition::text AS definition, v.valid_until
  FROM rule_version v JOIN rule r ON r.id = v.rule_id
 WHERE v.status <> 'draft'
 ORDER BY r.code, v.no"""


class Choice(NamedTuple):
    """Rules to be considered together, the fields and segments that they name, and if they ask about the member."""

    rules: Sequence[Rule]
    fields: frozenset[str]
    audiences: frozenset[UUID]
    asks_member: bool
    scopes: Scopes
    """Where the values of their events are made ready."""

    @classmethod
    def of(cls, trigger: Trigger, rules: Sequence[Rule]) -> "Choice":
        """These rules of a trigger."""
        fields = frozenset(name for rule in rules for name in rule.fields)
        audiences = frozenset(rule.definition.audience for rule in rules if rule.definition.audience)
        asks_member = bool(audiences) or any(name.startswith("member.") for name in fields)
        return cls(rules, fields, audiences, asks_member, Scopes(trigger, fields))


@dataclass(frozen=True, slots=True)
class Book:
    """Rules that were published, in force or not, and the dealers (code to region) as known at one moment."""

    rules: Sequence[Rule]
    dealers: Mapping[str, str]
    turns: Sequence[date]
    """The days on which other rules are in force than on the day before, in order."""
    own: frozenset[str]
    """The dealers whose chapters have rules of their own."""
    _reached: dict[tuple[Trigger, str | None, int], "Choice"] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rules: Sequence[Rule], dealers: Mapping[str, str]) -> "Book":
        """A book of these rules."""
        ends = (rule.definition.valid_until for rule in rules)
        turns = {rule.definition.valid_from for rule in rules} | {end + timedelta(days=1) for end in ends if end}
        return cls(rules, dealers, sorted(turns), frozenset(rule.dealer_code for rule in rules if rule.dealer_code))

    def knows(self, dealer_code: str) -> bool:
        """Whether there is such a dealer."""
        return dealer_code in self.dealers

    def reached(self, event: Event) -> "Choice":
        """The rules under which an event falls by its place and day."""
        place = event.dealer_code if event.dealer_code in self.own else None
        key = (event.trigger, place, bisect_right(self.turns, event.on))
        if (found := self._reached.get(key)) is None:
            rules = [rule for rule in self.of_trigger(event.trigger) if rule.reaches(event.dealer_code, event.on)]
            found = self._reached[key] = Choice.of(event.trigger, rules)
        return found

    def version(self, no: int) -> Rule:
        """A version by its number."""
        return next(rule for rule in self.rules if rule.no == no)

    def of_trigger(self, trigger: Trigger) -> Sequence[Rule]:
        """The rules of a trigger, whether or not an event falls under them."""
        return [rule for rule in self.rules if rule.definition.trigger is trigger]


async def book(connection: Connection) -> Book:
    """The rules and dealers as they stand."""
    rows = await connection.fetch(_RULES)
    return Book.of([_rule(*row) for row in rows], await chapters.dealer_regions(connection))


@lru_cache(maxsize=4096)
def _rule(
    no: int, rule_id: UUID, code: str, zh: str, en: str, dealer_code: str | None, definition: str, until: date | None
) -> Rule:
    # it holds as long as it stands, which may be shorter than it was written, and not a day when it was replaced whole
    standing = Definition.model_validate_json(definition).model_copy(update={"valid_until": until})
    return Rule.of(no, rule_id, code, {"zh": zh, "en": en}, dealer_code, standing)


Judged = tuple[Event, list[Considered]]
"""An event, and what became of each rule for it."""


class Facts(NamedTuple):
    """What is known of members: a row of each who is asked about, and their tiers where a rule asks for them."""

    rows: Mapping[UUID, asyncpg.Record]
    tiers: Tiers

    def told(self, event: Event) -> Event:
        """The event, with what is known of its member beside what it says itself."""
        known = self.rows.get(event.member_id)
        if known is None:
            return event
        joined, on = known["joined_on"], event.on
        months = (on.year - joined.year) * 12 + on.month - joined.month - (on.day < joined.day)
        member: dict[str, Value] = {
            "member.joined_on": joined.isoformat(), "member.months": max(0, months),
            "member.chapter": known["chapter"], "member.region": known["region"], "member.source": known["source"],
            "member.tier": self.tiers.on(event.member_id, on),
        }  # fmt: skip
        return event._replace(values={**member, **event.values})

    def is_in(self, segment_id: UUID, member_id: UUID) -> bool:
        """Whether a segment has a member."""
        known = self.rows.get(member_id)
        return known is not None and segment_id in known["segments"]


_NOTHING_KNOWN = Facts({}, NOBODYS)

_FACTS = """
SELECT m.id, m.joined_on, coalesce(m.dealer_code, '') AS chapter, coalesce(d.region_code, '') AS region, m.source,
       ARRAY(SELECT segment_id FROM audience_member a WHERE a.member_id = m.id AND a.segment_id = ANY ($2)) AS segments
  FROM member m LEFT JOIN dealer d ON d.code = m.dealer_code WHERE m.id = ANY ($1)"""


async def considered(
    connection: asyncpg.Connection, book: Book, events: Sequence[Event], *, every: bool = False
) -> list[Judged]:
    """What each event, with what was asked about its member, earns before the caps of a time and budgets.

    Args:
        every: tell of every rule of the trigger, also of those that the event does not fall under or match.
    """
    choices = [
        Choice.of(event.trigger, book.of_trigger(event.trigger)) if every else book.reached(event) for event in events
    ]
    facts = await _facts(connection, [one for one in zip(events, choices, strict=True) if one[1].asks_member])
    judging = _everything_told if every else _judged
    return [judging(event, choice, facts) for event, choice in zip(events, choices, strict=True)]


async def tried(connection: asyncpg.Connection, event: Event, rule: Rule) -> tuple[Event, Considered]:
    """One rule by itself, whatever its days are."""
    choice = Choice.of(event.trigger, [rule])
    event, found = _judged(event, choice, await _facts(connection, [(event, choice)]))
    return event, found[0] if found else Considered(rule, Verdict.NOT_MATCHED, reason="the event does not match")


async def _facts(connection: asyncpg.Connection, asked: Sequence[tuple[Event, Choice]]) -> Facts:
    if not asked:
        return _NOTHING_KNOWN
    member_ids = list({event.member_id for event, _ in asked})
    audiences = {segment_id for _, choice in asked for segment_id in choice.audiences}
    rows = await connection.fetch(_FACTS, member_ids, list(audiences))
    asks_tier = any("member.tier" in choice.fields for _, choice in asked)
    tiers = await tiers_of(connection, member_ids) if asks_tier else NOBODYS
    return Facts({row["id"]: row for row in rows}, tiers)


def _judged(event: Event, choice: Choice, facts: Facts) -> Judged:
    rules = choice.rules
    if choice.asks_member:
        event = facts.told(event)
    if choice.audiences:
        rules = [rule for rule in rules if _is_for(event.member_id, rule.definition.audience, facts)]
    values = scope_with(event, choice.scopes)
    return event, stacked([one for rule in rules if (one := judged(rule, event, values)) is not None])


def _is_for(member_id: UUID, audience: UUID | None, facts: Facts) -> bool:
    return audience is None or facts.is_in(audience, member_id)


def _everything_told(event: Event, choice: Choice, facts: Facts) -> Judged:
    event = facts.told(event)
    return event, consider(choice.rules, event, facts.is_in)
