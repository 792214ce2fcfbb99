"""Filters as SQL: one condition, its values bind parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, or_, true

from app.core.filters import REST_OF, Condition, Field, Group, Node, Not, Op, Scope, Single, Value, as_it_is
from app.core.relative_dates import Relative

_LAST_CHARACTER = "\U0010ffff"


def compiled(node: Node, scope: Scope) -> ColumnElement[bool]:
    """The filter as one condition, its values bind parameters."""
    match node:
        case Condition(known, op, value):
            return _asked(known, op, value, scope)
        case Not(part):
            return _rest(compiled(part, scope))
        case Group("and", parts):
            return and_(*_all(parts, scope))
        case Group(_, parts):
            return or_(*(compiled(part, scope) for part in parts))


def _all(parts: Sequence[Node], scope: Scope) -> list[ColumnElement[bool]]:
    """Of what someone has several of, such as cars, fields asked for together are those of the same one."""
    conditions: list[ColumnElement[bool]] = []
    of_one: dict[Any, dict[str, Condition]] = {}
    for part in parts:
        if isinstance(part, Condition) and part.op not in REST_OF and part.field.within is not as_it_is:
            together = of_one.setdefault(part.field.within, {})
            # a field asked for twice is that of two
            if together.setdefault(part.field.name, part) is part:
                continue
        conditions.append(compiled(part, scope))
    for within, together in of_one.items():
        conditions.append(within(scope, and_(*(_met(one, scope) for one in together.values()))))
    return conditions


def _rest(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition.is_not(true())


def _asked(known: Field, op: Op, value: Value, scope: Scope) -> ColumnElement[bool]:
    if op in REST_OF:
        return _rest(_asked(known, REST_OF[op], value, scope))
    return known.within(scope, _met(Condition(known, op, value), scope))


def _met(condition: Condition, scope: Scope) -> ColumnElement[bool]:
    """The comparison itself, on one of them."""
    given = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    values = [_bound(one, scope) for one in given]
    return _COMPARED[condition.op](condition.field.column(scope), values)


def _bound(value: Single | None, scope: Scope) -> Any:
    return value.on(scope.today) if isinstance(value, Relative) else value


def starts_with(column: SQLColumnExpression[Any], prefix: str) -> ColumnElement[bool]:
    """Whether a text begins so, by its bytes: what an index with `text_pattern_ops` finds.

    Not LIKE: it is not leakproof, so under row-level security it uses no index.
    """
    return and_(column.op("~>=~")(prefix), column.op("~<~")(prefix + _LAST_CHARACTER))


_COMPARED: Mapping[Op, Callable[[SQLColumnExpression[Any], Sequence[Any]], ColumnElement[bool]]] = {
    Op.IS: lambda column, values: column == values[0],
    Op.ONE_OF: lambda column, values: column.in_(values),
    Op.STARTS_WITH: lambda column, values: starts_with(column, values[0]),
    Op.CONTAINS: lambda column, values: func.strpos(column, values[0]) > 0,
    Op.LESS: lambda column, values: column < values[0],
    Op.AT_MOST: lambda column, values: column <= values[0],
    Op.MORE: lambda column, values: column > values[0],
    Op.AT_LEAST: lambda column, values: column >= values[0],
    Op.BETWEEN: lambda column, values: column.between(*values),
    Op.FILLED: lambda column, _: column.is_not(None),
}
