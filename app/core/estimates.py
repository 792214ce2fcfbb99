"""What the planner thinks of a query, for choosing how to write it."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from sqlalchemy import BooleanClauseList, ColumnElement, Executable, ScalarSelect, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.operators import and_
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


async def estimated_rows(session: AsyncSession, query: Select[Any]) -> int:
    """How many rows the planner expects of a query, without running it."""
    return int((await _plan(session, query))["Plan Rows"])


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


def _joined(conditions: Iterable[Condition]) -> Iterator[Condition]:
    for condition in conditions:
        if isinstance(condition, BooleanClauseList) and condition.operator is and_:
            yield from _joined(condition.clauses)
        else:
            yield condition
