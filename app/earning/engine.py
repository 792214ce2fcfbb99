"""What an event earns under a set of rules: evaluated, stacked, capped, shared. Pure, no I/O. Source: docs/rules.md."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from app.core.actors import HEADQUARTERS
from app.earning.definitions import AfterDays, ByActivity, Definition, FixedDate, Mode, Share, UntilEvent
from app.earning.expressions import EvaluationError, Expression, Scope, Scopes, compiled
from app.earning.triggers import Kind, Trigger, Value, day_values
from app.points.rules import last_spendable_day

MOST_POINTS = 1_000_000_000
"""More than this is no award but a slip of the pen."""


class Event(NamedTuple):
    """Something that happened once, and may earn.

    `document` is `type:key` and, with `attempt`, has at most one set of awards. `values` are the typed fields under
    dotted names (`event.*`, `dealer.*`, `member.*`); those of the day are added here.
    """

    trigger: Trigger
    document: str
    member_id: UUID
    dealer_code: str | None
    on: date
    values: Mapping[str, Value]
    attempt: int = 1

    @property
    def place(self) -> str:
        """Where the points are earned: a dealer, or headquarters."""
        return self.dealer_code or HEADQUARTERS


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A version of a rule, ready to be evaluated; `dealer_code` is whose rule it is, null for headquarters'."""

    no: int
    rule_id: UUID
    code: str
    names: Mapping[str, str]
    dealer_code: str | None
    definition: Definition
    condition: Expression | None
    amount: Expression | None
    status_amount: Expression | None
    hold_for_review: Expression | None
    fields: frozenset[str]
    is_limited: bool
    """Whether what was given before matters."""

    @classmethod
    def of(
        cls, no: int, rule_id: UUID, code: str, names: Mapping[str, str], dealer_code: str | None, d: Definition
    ) -> "Rule":
        """Compile a definition.

        Raises:
            ExpressionFault: an expression cannot be used; of a saved definition none is.
        """
        always = None if d.condition == "true" else d.condition
        condition, amount, status, hold = (
            None if source is None else compiled(source, d.trigger, kind)
            for source, kind in (
                (always, Kind.FLAG), (d.amount, Kind.NUMBER), (d.status_amount, Kind.NUMBER),
                (d.hold_for_review, Kind.FLAG),
            )
        )  # fmt: skip
        fields = frozenset(name for one in (condition, amount, status, hold) if one for name in one.names)
        is_limited = bool(d.budgets) or any((d.caps.per_member_day, d.caps.per_member_month, d.caps.per_member_year))
        return cls(no, rule_id, code, names, dealer_code, d, condition, amount, status, hold, fields, is_limited)

    def reaches(self, dealer_code: str | None, on: date) -> bool:
        """Whether what happens at a dealer on a day falls under the rule."""
        return self.dealer_code in (None, dealer_code) and self.definition.is_valid_on(on)


class Verdict(StrEnum):
    """What became of a rule for one event."""

    GIVES = "gives"
    ELSEWHERE = "elsewhere"
    OUT_OF_DATES = "out_of_dates"
    NOT_IN_AUDIENCE = "not_in_audience"
    NOT_MATCHED = "not_matched"
    GIVES_NOTHING = "gives_nothing"
    OUTBID = "outbid"
    NOTHING_TO_RAISE = "nothing_to_raise"
    CAPPED = "capped"
    BUDGET_USED_UP = "budget_used_up"
    HELD = "held"
    FAILED = "failed"


KEPT = (Verdict.BUDGET_USED_UP, Verdict.HELD, Verdict.FAILED)
"""What is not given but kept as a case for a person."""


_STANDING = (Verdict.GIVES, Verdict.HELD)


class Considered(NamedTuple):
    """A rule and what became of it; `reason` is in English, with the figures."""

    rule: Rule
    verdict: Verdict
    points: int = 0
    status_points: int = 0
    reason: str | None = None

    @property
    def gives(self) -> bool:
        """Whether it still stands to give."""
        return self.verdict is Verdict.GIVES


IsIn = Callable[[UUID, UUID], bool]
"""Whether a segment (first) has a member (second)."""


def consider(rules: Iterable[Rule], event: Event, is_in: IsIn) -> list[Considered]:
    """Every rule of the event's trigger, and what it would give before the caps of a time and budgets."""
    rules = [rule for rule in rules if rule.definition.trigger is event.trigger]
    values = scope_of(rules, event)
    return stacked([evaluated(rule, event, values, is_in) for rule in rules])


def scope_of(rules: Iterable[Rule], event: Event) -> Scope:
    """The event's values as far as these rules ask for them, made ready once."""
    names = frozenset(name for rule in rules for name in rule.fields)
    return scope_with(event, Scopes(event.trigger, names))


def scope_with(event: Event, scopes: Scopes) -> Scope:
    """The event's values, those of its day among them."""
    return scopes.next({**day_values(event.on), **event.values} if scopes.asks_day else event.values)


def evaluated(rule: Rule, event: Event, values: Scope, is_in: IsIn) -> Considered:
    """One rule by itself. An error parks this rule for this event and touches nothing else."""
    d = rule.definition
    if rule.dealer_code not in (None, event.dealer_code):
        return Considered(rule, Verdict.ELSEWHERE, reason=f"a rule of {rule.dealer_code}")
    if not d.is_valid_on(event.on):
        return Considered(rule, Verdict.OUT_OF_DATES, reason=f"valid {d.valid_from} to {d.valid_until or 'date'}")
    if d.audience is not None and not is_in(d.audience, event.member_id):
        return Considered(rule, Verdict.NOT_IN_AUDIENCE, reason=f"the member is not in segment {d.audience}")
    one = judged(rule, event, values)
    return Considered(rule, Verdict.NOT_MATCHED, reason=d.condition) if one is None else one


def judged(rule: Rule, event: Event, values: Scope) -> Considered | None:
    """One rule, of an event that falls under it by place, day and audience; None when its condition does not hold."""
    try:
        if rule.condition is not None and not rule.condition.value(values):
            return None
        return _matched(rule, event, values)
    except EvaluationError as error:
        return Considered(rule, Verdict.FAILED, reason=str(error))


def _matched(rule: Rule, event: Event, values: Scope) -> Considered:
    d = rule.definition
    points = 0 if rule.amount is None else _points(rule.amount, values)
    status = 0 if rule.status_amount is None else _points(rule.status_amount, values)
    if event.dealer_code is None and any(share.party == "dealer" for share in d.funders):
        raise EvaluationError("funded by the dealer, but it happened at none")
    if points == 0 and status == 0 and d.factor_percent is None:
        return Considered(rule, Verdict.GIVES_NOTHING, reason=d.amount)
    if rule.hold_for_review is not None and rule.hold_for_review.value(values):
        return _capped(Considered(rule, Verdict.HELD, points, status, d.hold_for_review))
    return _capped(Considered(rule, Verdict.GIVES, points, status))


def _points(amount: Expression, values: Scope) -> int:
    points = amount.value(values)
    if not 0 <= points <= MOST_POINTS:
        raise EvaluationError(f"{amount.source}: {points} is no number of points from 0 to {MOST_POINTS}")
    return points


def _capped(one: Considered) -> Considered:
    most = one.rule.definition.caps.per_order
    return one if most is None or one.points <= most else one._replace(points=most, reason=f"at most {most} an order")


def stacked(considered: Sequence[Considered]) -> list[Considered]:
    """One rule of each group gives; the group's multipliers raise what it gives, each with lots of its own.

    Several multipliers add up: 150 % and 200 % together make 250 %.
    """
    if len(considered) == 1 and considered[0].rule.definition.factor_percent is None:
        return list(considered)
    winners: dict[str, Considered] = {}
    for one in considered:
        stacking = one.rule.definition.stacking
        if stacking is not None and one.rule.definition.factor_percent is None and one.verdict in _STANDING:
            best = winners.get(stacking.group)
            winners[stacking.group] = one if best is None or _rank(one) > _rank(best) else best
    return [_placed(one, winners) for one in considered]


def _rank(one: Considered) -> tuple[int, int]:
    stacking = one.rule.definition.stacking
    assert stacking is not None
    by_points = stacking.mode is Mode.BEST
    return (one.points, stacking.priority) if by_points else (stacking.priority, one.points)


def _placed(one: Considered, winners: Mapping[str, Considered]) -> Considered:
    stacking = one.rule.definition.stacking
    if stacking is None or one.verdict not in _STANDING:
        return one
    winner = winners.get(stacking.group)
    if one.rule.definition.factor_percent is not None:
        return _raised(one, one.rule.definition.factor_percent, winner)
    if winner is one or winner is None:
        return one
    reason = f"{winner.rule.code} gives in group {stacking.group}"
    return Considered(one.rule, Verdict.OUTBID, reason=reason)


def _raised(one: Considered, factor: int, winner: Considered | None) -> Considered:
    points = 0 if winner is None else winner.points * (factor - 100) // 100
    if winner is None or points == 0:
        return Considered(one.rule, Verdict.NOTHING_TO_RAISE, reason="no other rule of its group gives enough")
    # what waits for a person is not raised behind that person's back
    verdict = Verdict.HELD if Verdict.HELD in (one.verdict, winner.verdict) else Verdict.GIVES
    return _capped(one._replace(verdict=verdict, points=points, reason=f"{factor} % of {winner.rule.code}"))


def shared(points: int, funders: Sequence[Share], dealer_code: str | None) -> list[tuple[str, int]]:
    """Points split by the funders' shares: largest remainder first, ties in the order written; none empty.

    Returns:
        the ledger's code of each funder, and its points.
    """
    if len(funders) == 1:
        return [(party_code(funders[0].party, dealer_code), points)]
    exact = [points * share.percent / Decimal(100) for share in funders]
    whole = [int(part) for part in exact]
    by_remainder = sorted(range(len(funders)), key=lambda at: whole[at] - exact[at])
    for at in by_remainder[: points - sum(whole)]:
        whole[at] += 1
    parts = [(party_code(share.party, dealer_code), part) for share, part in zip(funders, whole, strict=True)]
    return [(funder, part) for funder, part in parts if part] or parts[:1]


def party_code(party: str, dealer_code: str | None) -> str:
    """The ledger's code of a rule's funder: HQ, the dealer where it was earned, or `partner:CODE` as it stands."""
    if party == "hq":
        return HEADQUARTERS
    if party == "dealer":
        assert dealer_code is not None
        return dealer_code
    return party


class Days(NamedTuple):
    """The first and the last day on which points can be spent.

    `activity_months`: the last day is the earliest, and moves to so many months after the member's newest earning;
    None: it stands.
    """

    first: date
    last: date
    activity_months: int | None = None


@lru_cache(maxsize=4096)
def days(rule: Rule, on: date) -> Days:
    """When what a rule gives for a day can be spent; until an event: the latest. It lasts one day at least."""
    d = rule.definition
    match d.pending:
        case AfterDays(days=later) | UntilEvent(at_most_days=later):
            first = on + timedelta(days=later)
        case _:
            first = on
    last = d.expiry.on if isinstance(d.expiry, FixedDate) else last_spendable_day(on, d.expiry.months)
    return Days(first, max(first, last), d.expiry.months if isinstance(d.expiry, ByActivity) else None)
