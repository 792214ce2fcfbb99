"""What the planner thinks of a query, for choosing how to write it."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from sqlalchemy import BinaryExpression, BooleanClauseList, ColumnElement, Executable, ScalarSelect, Select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import iterate

Condition = ColumnElement[bool]
Plan = dict[str, Any]


class _Explain(Executable, ClauseElement):
    inherit_cache = False

    def __init__(self, query: Select[Any]) -> None:
        self.query = query


@compiles(_Explain)
def _explain(element: _Explain, compiler: SQLCompiler, **options: Any) -> str:
    return "EXPLAIN (FORMAT JSON) " + compiler.process(element.query, **options)


async def _plan(session: AsyncSession, query: Select[Any]) -> Plan:
    (plan,) = (await session.execute(_Explain(query))).scalar_one()
    return cast(Plan, plan["Plan"])


async def plan_anew(session: AsyncSession) -> None:
    """Until commit each statement is planned for its values: a plan for any, kept after the fifth time, suits few."""
    await session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


async def estimated_rows(session: AsyncSession, query: Select[Any]) -> int:
    """How many rows the planner expects of a query, without running it."""
    return int((await _plan(session, query))["Plan Rows"])


async def indexed_rows(session: AsyncSession, query: Select[Any]) -> int | None:
    """How many rows the planner expects of a query that it answers from indexes; None: it would read a whole table."""
    plan = await _plan(session, query)
    return int(plan["Plan Rows"]) if _indexed(plan) else None


def _indexed(plan: Plan) -> bool:
    parts = (part for part in plan.get("Plans", ()) if part["Parent Relationship"] not in {"InitPlan", "SubPlan"})
    return plan["Node Type"] != "Seq Scan" and all(map(_indexed, parts))


async def walks(session: AsyncSession, query: Select[Any], index: str) -> bool:
    """Whether the planner would run along this index for the order it gives, passing over what does not match."""
    return _walks(await _plan(session, query), index)


def _walks(plan: Plan, index: str) -> bool:
    if plan["Node Type"] in {"Sort", "Incremental Sort"} or plan.get("Parent Relationship") in {"Inner", "InitPlan"}:
        return False
    return plan.get("Index Name") == index or any(_walks(part, index) for part in plan.get("Plans", ()))


def by_statistics(conditions: Iterable[Condition]) -> tuple[list[Condition], list[Condition]]:
    """The conditions, and what they join by `and`, in two: those for which the planner has statistics, and those over
    values computed row by row, at which it guesses."""
    known: list[Condition] = []
    guessed: list[Condition] = []
    for condition in _joined(conditions):
        computed = any(isinstance(part, ScalarSelect) for part in iterate(condition))
        (guessed if computed else known).append(condition)
    return known, guessed


class Listed(NamedTuple):
    """A condition that wants a column among the values of a query, and the rest of the conditions."""

    query: Select[Any]
    rest: list[Condition]


def listings(conditions: Iterable[Condition], column: ColumnElement[Any]) -> Iterator[Listed]:
    """The conditions, joined by `and`, that want the table's column among a query's values."""
    joined = list(_joined(conditions))
    for condition in joined:
        match condition:
            case BinaryExpression(operator=operators.in_op, left=left, right=ScalarSelect(element=Select() as query)):
                if left.compare(column):
                    yield Listed(query, [one for one in joined if one is not condition])


def _joined(conditions: Iterable[Condition]) -> Iterator[Condition]:
    for condition in conditions:
        if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
            yield from _joined(condition.clauses)
        else:
            yield condition
