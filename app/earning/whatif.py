"""What a draft set of rules would have given for a month's real events, against what was given. Changes nothing.

Where real events come from is registered, a source for each trigger, and what points are worth; wiring joins what
domains above know. Caps and budgets are tried from nothing used at the month's beginning; of events held for review
what was held is counted.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from app.core.clock import add_months
from app.core.db import Connection
from app.core.problems import FieldError, InvalidPayload
from app.core.schemas import Input
from app.earning import awards, examples, limits
from app.earning import book as books
from app.earning.book import Book, Judged
from app.earning.definitions import Code, Definition, clash
from app.earning.engine import KEPT, Event, Rule
from app.earning.triggers import Trigger

Source = Callable[[asyncpg.Connection, Book, date, date], Awaitable[list[Event]]]
"""A trigger's events that stand, from a day to before another."""
Worth = Callable[[str, int], int]
"""What points earned at a place (first) are worth in fen."""
Rates = Callable[[Connection, date], Awaitable[Worth]]
"""What points are worth at the rates of a day."""

_SOURCES: dict[Trigger, Source] = {}
_RATES: list[Rates] = []
AT_ONCE = 500
"""Events judged before others have their turn: a month of them takes most of a second."""


def register(trigger: Trigger, source: Source) -> None:
    """Make a trigger's real events known."""
    assert trigger not in _SOURCES, f"{trigger} has a source already"
    _SOURCES[trigger] = source


def register_rates(rates: Rates) -> None:
    """Make known what points are worth."""
    _RATES.append(rates)


class DraftRule(Input):
    """A rule of a draft set, as it would be published."""

    code: Code
    dealer_code: str | None = None
    definition: Definition


class DraftFault(Exception):
    """A draft set cannot be tried; the message says why, a line for each fault."""


class Sum(BaseModel):
    """Points and their worth."""

    points: int = 0
    fen: int = 0


class Row(BaseModel):
    """What one party funds of what is earned at one place, under the draft and as it happened."""

    place: str
    funder: str
    draft: Sum
    happened: Sum


class WhatIf(BaseModel):
    """A month under a draft set. `waiting` counts earnings that a person would have had to decide on, by rule."""

    month: str
    events: int
    draft: Sum
    happened: Sum
    rows: list[Row]
    waiting: dict[str, int]
    not_tried: list[Trigger] = Field(description="triggers of the draft whose events are not kept")
    as_if_in_force: list[str] = Field(description="drafts of other days, tried as if they held the whole month")


def read(path: Path) -> list[Rule]:
    """The rules of a JSON file: a list of `{"code", "dealer_code", "definition"}`.

    Raises:
        DraftFault: it cannot be read, or a rule of it is wrong.
    """
    try:
        drafts = TypeAdapter(list[DraftRule]).validate_json(path.read_bytes())
    except OSError as error:
        raise DraftFault(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        faults = [f"{'/'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise DraftFault("\n".join(faults)) from None
    try:
        return rules_of(drafts)
    except InvalidPayload as refused:
        lines = [f"{fault.pointer}: {fault.code} {fault.context}" for fault in refused.errors]
        raise DraftFault("\n".join(lines)) from None


def rules_of(drafts: Sequence[DraftRule], pointer: str = "") -> list[Rule]:
    """A draft set, ready to be tried.

    Raises:
        InvalidPayload: an expression cannot be used, an example gives other points, or it is not clear which rule of a
            group goes first.
    """
    found = [
        fault
        for index, draft in enumerate(drafts)
        for fault in (
            *examples.faults(draft.definition, draft.dealer_code, f"{pointer}/{index}/definition"),
            *_clashes(draft, drafts[:index], f"{pointer}/{index}/definition/stacking"),
        )
    ]
    if found:
        raise InvalidPayload(errors=found)
    return [
        Rule.of(number, UUID(int=number), draft.code, {}, draft.dealer_code, draft.definition)
        for number, draft in enumerate(drafts, 1)
    ]


def _clashes(draft: DraftRule, others: Sequence[DraftRule], pointer: str) -> list[FieldError]:
    found = [
        (clash(draft.definition, other.definition), other) for other in others if other.dealer_code == draft.dealer_code
    ]
    return [FieldError(pointer, code, {"other": other.code}) for code, other in found if code]


async def run(
    connection: asyncpg.Connection, drafts: Sequence[Rule], month: date, dealer_code: str | None = None
) -> WhatIf:
    """Try a draft set on a month's events of its triggers.

    Args:
        dealer_code: a chapter: the drafts take the place of its own rules, beside headquarters' in force, and are tried
            on what happened there. None: they are the whole programme.
    """
    end = add_months(month, 1)
    triggers = sorted({rule.definition.trigger for rule in drafts})
    tried = [trigger for trigger in triggers if trigger in _SOURCES]
    in_force = await books.book(connection)
    beside = [rule for rule in in_force.rules if rule.dealer_code is None] if dealer_code else []
    book = Book.of([*(_holding(rule, month, end) for rule in drafts), *beside], in_force.dealers)
    events = [event for trigger in tried for event in await _SOURCES[trigger](connection, book, month, end)]
    kinds = {*tried, *(event.document.partition(":")[0] for event in events)}
    events = [event for event in events if dealer_code in (None, event.dealer_code)]
    draft, waiting = _given(await _judged(connection, book, events))
    happened = await _happened(connection, kinds, month, end, dealer_code)
    (rates,) = _RATES
    worth = await rates(connection, month)
    rows = [_row(key, draft, happened, worth) for key in sorted({*draft, *happened})]
    return WhatIf(
        month=f"{month:%Y-%m}", events=len(events), draft=_total(row.draft for row in rows),
        happened=_total(row.happened for row in rows), rows=rows, waiting=waiting,
        not_tried=[trigger for trigger in triggers if trigger not in _SOURCES],
        as_if_in_force=[rule.code for rule in drafts if not _holds(rule, month, end)],
    )  # fmt: skip


def _holds(rule: Rule, month: date, end: date) -> bool:
    d = rule.definition
    return d.valid_from < end and (d.valid_until is None or d.valid_until >= month)


def _holding(rule: Rule, month: date, end: date) -> Rule:
    # what is to be published holds from a day to come: on the past month it would give nothing
    if _holds(rule, month, end):
        return rule
    return replace(rule, definition=rule.definition.model_copy(update={"valid_from": month, "valid_until": None}))


async def _judged(connection: asyncpg.Connection, book: Book, events: list[Event]) -> list[Judged]:
    events.sort(key=lambda event: (event.on, event.document))
    judged: list[Judged] = []
    for begin in range(0, len(events), AT_ONCE):
        judged += await books.considered(connection, book, events[begin : begin + AT_ONCE])
        await asyncio.sleep(0)
    return await limits.rehearsed(connection, judged)


def _given(judged: Sequence[Judged]) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """Points by place and funder, and how often each rule waits for a person."""
    points: defaultdict[tuple[str, str], int] = defaultdict(int)
    waiting: defaultdict[str, int] = defaultdict(int)
    for event, considered in judged:
        for lot in awards.lots_of(event, considered):
            points[event.place, lot.funder] += lot.points
        for one in considered:
            if one.verdict in KEPT:
                waiting[one.rule.code] += 1
    return points, dict(sorted(waiting.items()))


# an earning that was reversed did not happen
_HAPPENED = """
SELECT p.place, l.funder, sum(l.granted)::bigint
  FROM ledger.lot l JOIN ledger.posting p USING (member_id, posting_no)
 WHERE l.granted_on >= $1 AND l.granted_on < $2 AND l.is_live
   AND split_part(split_part(l.document, ':', 1), '.', 1) = ANY ($3::text[]) AND p.place = coalesce($4, p.place)
 GROUP BY 1, 2"""


async def _happened(
    connection: asyncpg.Connection, kinds: Iterable[str], begin: date, end: date, dealer_code: str | None
) -> dict[tuple[str, str], int]:
    """What documents of some kinds gave; most are called as their trigger."""
    rows = await connection.fetch(_HAPPENED, begin, end, list(kinds), dealer_code)
    return {(place, funder): points for place, funder, points in rows}


def _row(
    key: tuple[str, str], draft: Mapping[tuple[str, str], int], happened: Mapping[tuple[str, str], int], worth: Worth
) -> Row:
    place, funder = key
    draft_sum, happened_sum = (
        Sum(points=points, fen=worth(place, points)) for points in (draft.get(key, 0), happened.get(key, 0))
    )
    return Row(place=place, funder=funder, draft=draft_sum, happened=happened_sum)


def _total(sums: Iterable[Sum]) -> Sum:
    listed = list(sums)
    return Sum(points=sum(one.points for one in listed), fen=sum(one.fen for one in listed))
