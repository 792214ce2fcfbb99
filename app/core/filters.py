"""One language for choosing: a JSON tree over a registry of fields, as it is meant.

A tree is `{"and": [tree, …]}`, `{"or": [tree, …]}`, `{"not": tree}` or a condition `{"field", "op", "value"}`. A domain
says what its fields are; here is no I/O. Logic has two values: what is not known does not match, so `not` is always
the rest of everybody. `filter_sql` makes a condition of a filter, `filter_words` says it in words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression

from app.core.actors import Actor, Right
from app.core.catalogue import Language, text
from app.core.problems import FieldError, InvalidPayload, Problem
from app.core.relative_dates import Relative, relative

MAX_DEPTH = 8
"""How deep groups may lie in one another, a condition alone being 1."""
MAX_CONDITIONS = 100
MAX_VALUES = 200
"""How many values a list of one condition may have."""
MAX_TEXT = 200
MAX_NUMBER = 10**15


class FieldNotVisible(Problem):
    """The filter asks for fields that the caller may not see; `fields` names them."""

    status, type = 403, "field-not-visible"

    def __init__(self, *, fields: Sequence[str]) -> None:
        super().__init__(fields=", ".join(fields))


class Kind(StrEnum):
    """What a field's values are; money is whole fen."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    BOOL = "bool"
    CHOICE = "choice"


class Op(StrEnum):
    """What a condition asks of a field."""

    IS = "is"
    IS_NOT = "is_not"
    ONE_OF = "one_of"
    NONE_OF = "none_of"
    STARTS_WITH = "starts_with"
    CONTAINS = "contains"
    LESS = "less"
    AT_MOST = "at_most"
    MORE = "more"
    AT_LEAST = "at_least"
    BETWEEN = "between"
    FILLED = "filled"
    EMPTY = "empty"


_ORDERED = (Op.IS, Op.IS_NOT, Op.LESS, Op.AT_MOST, Op.MORE, Op.AT_LEAST, Op.BETWEEN, Op.FILLED, Op.EMPTY)
_NAMED = (Op.IS, Op.IS_NOT, Op.ONE_OF, Op.NONE_OF, Op.FILLED, Op.EMPTY)
_PARTLY = (Op.STARTS_WITH, Op.CONTAINS)
OPERATORS: Mapping[Kind, tuple[Op, ...]] = {
    Kind.TEXT: (*_NAMED, *_PARTLY),
    Kind.NUMBER: _ORDERED,
    Kind.MONEY: _ORDERED,
    Kind.DATE: _ORDERED,
    Kind.BOOL: (Op.IS, Op.FILLED, Op.EMPTY),
    Kind.CHOICE: _NAMED,
}
"""The operators of each kind of field."""

REST_OF = {Op.IS_NOT: Op.IS, Op.NONE_OF: Op.ONE_OF, Op.EMPTY: Op.FILLED}
"""The rest of everybody: of a member with two cars, `is_not` says that neither is."""
_LISTS = frozenset({Op.ONE_OF, Op.NONE_OF})
_BARE = frozenset({Op.FILLED, Op.EMPTY})


Single = str | int | bool | date | Relative
Value = Single | tuple[Single, ...] | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a field's SQL may lean on: whose row is asked about, and the China date."""

    id: SQLColumnExpression[UUID]
    today: date


def everyone(_: Actor) -> bool:
    """A field for all who may ask at all."""
    return True


def needing(right: Right) -> Callable[[Actor], bool]:
    """A field for those who have a right."""
    return lambda actor: actor.may(right)


def as_it_is(_: Scope, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition


@dataclass(frozen=True, slots=True)
class Field:
    """What can be asked for.

    Attributes:
        column: the value to compare; null is unknown.
        within: for rows that someone has several of: "one of them is such that"; by default the value is someone's own.
        clean: brings a text into the form in which it is stored.
        only_whole: of a text that is shown masked, beginnings and parts would tell piece by piece.
        labels, choice_labels: the words for people; without them the catalogue's under `filter.field` and
            `filter.choice`, which is for fields that do not come from data.
    """

    name: str
    kind: Kind
    column: Callable[[Scope], SQLColumnExpression[Any]]
    within: Callable[[Scope, ColumnElement[bool]], ColumnElement[bool]] = as_it_is
    visible: Callable[[Actor], bool] = everyone
    choices: tuple[str, ...] = ()
    clean: Callable[[str], str] = str.strip
    only_whole: bool = False
    labels: Mapping[Language, str] | None = None
    choice_labels: Mapping[str, Mapping[Language, str]] | None = None

    @property
    def operators(self) -> list[Op]:
        """What can be asked of it."""
        return [op for op in OPERATORS[self.kind] if not (self.only_whole and op in _PARTLY)]

    def label(self, language: Language) -> str:
        """The field's name for people."""
        return self.labels[language] if self.labels else text(language, f"filter.field.{self.name}", {})

    def choice_label(self, choice: str, language: Language) -> str:
        """A choice's name for people."""
        if self.choice_labels is not None:
            return self.choice_labels[choice][language]
        return text(language, f"filter.choice.{self.name}.{choice}", {})


Fields = Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class Condition:
    """A leaf."""

    field: Field
    op: Op
    value: Value


@dataclass(frozen=True, slots=True)
class Group:
    """All of its parts (`and`) or one of them (`or`)."""

    word: Literal["and", "or"]
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The rest of everybody."""

    part: "Node"


Node = Condition | Group | Not

_FROM_A_DAY = frozenset({Op.MORE, Op.AT_LEAST})


def seeks_recent(node: Node) -> bool:
    """Whether all that it finds has a date from some day on; who came last is then likelier to match."""
    match node:
        case Condition(known, op):
            return known.kind is Kind.DATE and op in _FROM_A_DAY
        case Group("and", parts):
            return any(map(seeks_recent, parts))
    return False


# --- reading ---


def parse(tree: object, fields: Fields, actor: Actor, *, at: str = "/filter") -> Node:
    """The tree as it is meant.

    Args:
        at: the JSON pointer of the tree in the payload.

    Raises:
        FieldNotVisible: it asks for what the actor may not see.
        InvalidPayload: every fault with its pointer and code.
    """
    reading = _Reading(fields, actor)
    node = reading.node(tree, at, 1)
    if reading.conditions > MAX_CONDITIONS:
        reading.faults.append(FieldError(at, "filter_too_many", {"limit": MAX_CONDITIONS}))
    if reading.hidden:
        raise FieldNotVisible(fields=sorted(reading.hidden))
    if reading.faults or node is None:
        raise InvalidPayload(errors=reading.faults)
    return node


class _Fault(Exception):
    def __init__(self, pointer: str, code: str, **context: object) -> None:
        self.error = FieldError(pointer, code, context)


@dataclass
class _Reading:
    """One reading of a tree, gathering all that is wrong with it; what is faulty reads as None."""

    fields: Fields
    actor: Actor
    faults: list[FieldError] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    conditions: int = 0

    def node(self, tree: object, at: str, depth: int) -> Node | None:
        try:
            return self._node(tree, at, depth)
        except _Fault as fault:
            self.faults.append(fault.error)
            return None

    def _node(self, tree: object, at: str, depth: int) -> Node | None:
        if depth > MAX_DEPTH:
            raise _Fault(at, "filter_too_deep", limit=MAX_DEPTH)
        match tree:
            case {"field": str(name), "op": str(op), **rest} if rest.keys() <= {"value"}:
                self.conditions += 1
                return self._condition(name, op, [*rest.values()], at)
            case {"not": part, **rest} if not rest:
                found = self.node(part, f"{at}/not", depth + 1)
                return Not(found) if found is not None else None
            case {"and": list(parts), **rest} if not rest:
                return self._group("and", parts, f"{at}/and", depth)
            case {"or": list(parts), **rest} if not rest:
                return self._group("or", parts, f"{at}/or", depth)
        raise _Fault(at, "filter_shape")

    def _group(self, word: Literal["and", "or"], parts: Sequence[object], at: str, depth: int) -> Node | None:
        if not parts:
            raise _Fault(at, "filter_empty_group")
        if len(parts) > MAX_CONDITIONS:
            raise _Fault(at, "filter_too_many", limit=MAX_CONDITIONS)
        read = [self.node(part, f"{at}/{index}", depth + 1) for index, part in enumerate(parts)]
        found = tuple(node for node in read if node is not None)
        return Group(word, found) if len(found) == len(read) else None

    def _condition(self, name: str, op: str, given: Sequence[object], at: str) -> Condition | None:
        known = self.fields.get(name)
        if known is None:
            raise _Fault(f"{at}/field", "filter_unknown_field")
        if not known.visible(self.actor):
            self.hidden.add(name)
            return None
        if op not in known.operators:
            raise _Fault(f"{at}/op", "filter_unknown_operator", allowed=", ".join(known.operators))
        return Condition(known, Op(op), _value(known, Op(op), given, f"{at}/value"))


def _value(known: Field, op: Op, given: Sequence[object], at: str) -> Value:
    if op in _BARE:
        if given:
            raise _Fault(at, "filter_value_unwanted")
        return None
    if not given:
        raise _Fault(at, "missing")
    if op not in _LISTS and op is not Op.BETWEEN:
        return _single(known, given[0], at)
    least, most = (2, 2) if op is Op.BETWEEN else (1, MAX_VALUES)
    values = given[0]
    if not isinstance(values, list) or not least <= len(values) <= most:
        raise _Fault(at, "filter_list", least=least, most=most)
    return tuple(_single(known, value, f"{at}/{index}") for index, value in enumerate(values))


def _single(known: Field, given: object, at: str) -> Single:
    read, code = _READERS[known.kind]
    value = read(known, given)
    if value is None:
        raise _Fault(at, code, choices=", ".join(known.choices), limit=MAX_TEXT)
    return value


def _text(known: Field, given: object) -> str | None:
    if not isinstance(given, str) or len(given) > MAX_TEXT or not given.isprintable():
        return None
    return known.clean(given) or None


def _whole(_: Field, given: object) -> int | None:
    if isinstance(given, bool) or not isinstance(given, int):
        return None
    return given if abs(given) <= MAX_NUMBER else None


def _date(_: Field, given: object) -> date | Relative | None:
    match given:
        case str():
            return _calendar_date(given)
        case {**one} if len(one) == 1:
            ((unit, steps),) = one.items()
            return relative(unit, steps)
    return None


def _calendar_date(given: str) -> date | None:
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return None
    # the calendar's far ends mean infinity to the driver
    return day if len(given) == 10 and 1900 <= day.year <= 2199 else None


def _bool(_: Field, given: object) -> bool | None:
    return given if isinstance(given, bool) else None


def _choice(known: Field, given: object) -> str | None:
    return given if isinstance(given, str) and given in known.choices else None


_READERS: Mapping[Kind, tuple[Callable[[Field, object], Single | None], str]] = {
    Kind.TEXT: (_text, "filter_text"),
    Kind.NUMBER: (_whole, "filter_number"),
    Kind.MONEY: (_whole, "filter_money"),
    Kind.DATE: (_date, "filter_date"),
    Kind.BOOL: (_bool, "filter_bool"),
    Kind.CHOICE: (_choice, "filter_choice"),
}
"""How a kind's values are read, and the code of their fault."""
