"""Caps of a time and budgets: judged under the lock of their counters, in the transaction that posts.

Counters are locked before anything of the ledger: each member's of a rule in key order, then the budgets by code.
Rules without limits come here never.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.earning.awards_models import Period
from app.earning.book import Judged
from app.earning.engine import Considered, Event, Rule, Verdict, shared

EVER = date(2000, 1, 1)
"""When the one period of a budget without periods begins."""


class Cap(NamedTuple):
    """A counter of what a rule gave a member."""

    rule_id: UUID
    member_id: UUID
    span: str
    begins: date


class Purse(NamedTuple):
    """A budget in one of its periods."""

    code: str
    begins: date


def purse(code: str, period: Period, on: date) -> Purse:
    """A budget in the period of a day."""
    begins = {Period.MONTH: on.replace(day=1), Period.YEAR: on.replace(month=1, day=1), Period.WHOLE: EVER}
    return Purse(code, begins[period])


@dataclass(frozen=True, slots=True)
class Budget:
    """What a budget allows in each period; with a `funder` only points that this party funds count."""

    code: str
    period: Period
    points: int
    funder: str | None

    def purse(self, on: date) -> Purse:
        """The budget in the period of a day."""
        return purse(self.code, self.period, on)

    def needs(self, rule: Rule, event: Event, points: int) -> int:
        """How many points it takes out of the budget to give so many under a rule."""
        if self.funder is None:
            return points
        lots = shared(points, rule.definition.funders, event.dealer_code)
        return sum(part for funder, part in lots if funder == self.funder)


def caps(rule: Rule, member_id: UUID, on: date) -> dict[Cap, int]:
    """The counters of a rule's caps for a member on a day, and the most each may come to."""
    c = rule.definition.caps
    spans = (
        ("day", on, c.per_member_day),
        ("month", on.replace(day=1), c.per_member_month),
        ("year", on.replace(month=1, day=1), c.per_member_year),
    )
    return {Cap(rule.rule_id, member_id, span, begins): most for span, begins, most in spans if most is not None}


def is_limited(judged: Iterable[Judged]) -> bool:
    """Whether any of these needs the counters."""
    return any(one.gives and one.rule.is_limited for _, considered in judged for one in considered)


async def within_limits(connection: asyncpg.Connection, judged: Sequence[Judged]) -> list[Judged]:
    """The same, each rule giving no more than its caps and budgets leave; what is given is counted.

    The counters stay locked until the transaction ends.
    """
    limited = [(event, one) for event, considered in judged for one in considered if one.gives and one.rule.is_limited]
    if not limited:
        return list(judged)
    counters = await _locked(connection, limited)
    kept = [(event, [counters.judged(event, one) for one in considered]) for event, considered in judged]
    await counters.write(connection)
    return kept


async def rehearsed(connection: asyncpg.Connection, judged: Sequence[Judged]) -> list[Judged]:
    """The same as if nothing had been given or drawn before; nothing is locked or counted."""
    codes = {code for _, considered in judged for one in considered for code in one.rule.definition.budgets}
    counters = _Counters(await _budgets(connection, codes) if codes else {}, {}, {})
    return [(event, [counters.judged(event, one) for one in considered]) for event, considered in judged]


async def give_back(connection: asyncpg.Connection, given: Sequence[tuple[Event, Considered]]) -> None:
    """Count points out again that were given under limits and are reversed now."""
    counters = await _locked(connection, [(event, one) for event, one in given if one.rule.is_limited])
    for event, one in given:
        counters.count(event, one, -one.points)
    await counters.write(connection)


class _Counters:
    """The locked counters and what is added to them."""

    def __init__(self, budgets: Mapping[str, Budget], caps: Mapping[Cap, int], purses: Mapping[Purse, int]) -> None:
        self.budgets, self.caps, self.purses = budgets, caps, purses
        self.added: defaultdict[Cap | Purse, int] = defaultdict(int)

    def judged(self, event: Event, one: Considered) -> Considered:
        """A rule for one event as far as its limits let it give."""
        if not (one.gives and one.rule.is_limited):
            return one
        most = caps(one.rule, event.member_id, event.on)
        caps_left = [points - self.caps.get(cap, 0) - self.added[cap] for cap, points in most.items()]
        points = max(0, min([one.points, *caps_left]))
        if points < one.points:
            one = one._replace(points=points, reason=f"its cap leaves {points} of {one.points}")
        if points == 0 and caps_left:
            return one._replace(verdict=Verdict.CAPPED, status_points=0)
        for code in one.rule.definition.budgets:
            if fault := self._lacks(code, event, one):
                return one._replace(verdict=Verdict.BUDGET_USED_UP, reason=fault)
        self.count(event, one, points)
        return one

    def _lacks(self, code: str, event: Event, one: Considered) -> str | None:
        budget = self.budgets.get(code)
        if budget is None:
            return f"there is no budget {code}"
        purse = budget.purse(event.on)
        left = max(0, budget.points - self.purses.get(purse, 0) - self.added[purse])
        needed = budget.needs(one.rule, event, one.points)
        return f"budget {code} has {left} of {needed} points left from {purse.begins}" if needed > left else None

    def count(self, event: Event, one: Considered, points: int) -> None:
        """Add points given, or below zero taken back, to every counter of the rule."""
        for cap in caps(one.rule, event.member_id, event.on):
            self.added[cap] += points
        for code in one.rule.definition.budgets:
            if budget := self.budgets.get(code):
                taken = budget.needs(one.rule, event, abs(points))
                self.added[budget.purse(event.on)] += taken if points > 0 else -taken

    async def write(self, connection: asyncpg.Connection) -> None:
        """Keep what was added."""
        of_caps = [(*key, points) for key, points in self.added.items() if isinstance(key, Cap) and points]
        of_purses = [(*key, points) for key, points in self.added.items() if isinstance(key, Purse) and points]
        if of_caps:
            await connection.execute(_ADD_TO_CAPS, *_columns(of_caps))
        if of_purses:
            await connection.execute(_ADD_TO_PURSES, *_columns(of_purses))


_LOCK_CAPS = """
INSERT INTO rule_use AS u (rule_id, member_id, span, begins, points)
SELECT *, 0 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::date[])
ON CONFLICT (rule_id, member_id, span, begins) DO UPDATE SET points = u.points
RETURNING rule_id, member_id, span, begins, points"""

# who was merged into a member gets nothing more: what was given before counts for both, and stays where it was counted
_OF_MERGED = """
SELECT u.rule_id, m.merged_into, u.span, u.begins, u.points FROM rule_use u JOIN member m ON m.id = u.member_id
 WHERE m.merged_into = ANY ($1::uuid[]) AND u.rule_id = ANY ($2::uuid[])"""

_LOCK_PURSES = """
INSERT INTO budget_use AS u (budget_code, begins, points)
SELECT *, 0 FROM unnest($1::text[], $2::date[])
ON CONFLICT (budget_code, begins) DO UPDATE SET points = u.points
RETURNING budget_code, begins, points"""

_ADD_TO_CAPS = """
UPDATE rule_use u SET points = u.points + a.points
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::date[], $5::bigint[]) a (rule_id, member_id, span, begins, points)
 WHERE (u.rule_id, u.member_id, u.span, u.begins) = (a.rule_id, a.member_id, a.span, a.begins)"""

_ADD_TO_PURSES = """
UPDATE budget_use u SET points = u.points + a.points
  FROM unnest($1::text[], $2::date[], $3::bigint[]) a (code, begins, points)
 WHERE (u.budget_code, u.begins) = (a.code, a.begins)"""


async def _locked(connection: asyncpg.Connection, limited: Sequence[tuple[Event, Considered]]) -> _Counters:
    # an upsert of what is there locks the row; in key order, so that two batches never wait for each other crosswise
    of_caps = sorted({cap for event, one in limited for cap in caps(one.rule, event.member_id, event.on)})
    used_of_caps = await _used(connection, of_caps) if of_caps else {}
    codes = {code for _, one in limited for code in one.rule.definition.budgets}
    budgets = await _budgets(connection, codes) if codes else {}
    purses = {
        budgets[code].purse(event.on)
        for event, one in limited
        for code in one.rule.definition.budgets
        if code in budgets
    }
    used = await connection.fetch(_LOCK_PURSES, *_columns(sorted(purses))) if purses else []
    return _Counters(budgets, used_of_caps, {Purse(*key): points for *key, points in used})


async def _used(connection: asyncpg.Connection, caps: Sequence[Cap]) -> Counter[Cap]:
    rows = await connection.fetch(_LOCK_CAPS, *_columns(caps))
    rows += await connection.fetch(_OF_MERGED, {cap.member_id for cap in caps}, {cap.rule_id for cap in caps})
    used = Counter[Cap]()
    for *key, points in rows:
        used[Cap(*key)] += points
    return used


async def _budgets(connection: asyncpg.Connection, codes: Iterable[str]) -> dict[str, Budget]:
    # FOR KEY SHARE would let the amount change meanwhile
    rows = await connection.fetch(
        "SELECT code, period, points, funder FROM budget WHERE code = ANY ($1) ORDER BY code FOR SHARE", list(codes)
    )
    return {row["code"]: Budget(row["code"], Period(row["period"]), row["points"], row["funder"]) for row in rows}


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
