"""What earning tells of a member's timeline: what rules could not give by themselves, and what a person decided.

For the staff who read rules: a member is told of the points once they are given, and of a case by its own data.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import SelectBase, SQLColumnExpression, func, literal, select, union_all
from sqlmodel import col

from app.core.actors import Actor, Right
from app.core.timeline import Source, happening
from app.earning.awards_models import CaseKind, CaseStatus, EarningCase
from app.earning.rules_models import EarningRule, RuleVersion

Column = SQLColumnExpression[Any]


def _cases(member_id: UUID) -> SelectBase:
    case = EarningCase
    rule = (
        select(col(EarningRule.label_zh))
        .join(RuleVersion, col(RuleVersion.rule_id) == col(EarningRule.id))
        .where(col(RuleVersion.no) == col(case.rule_no))
        .scalar_subquery()
    )

    def turn(step: str, kind: Column, at: Column, said: Column, by: Column) -> SelectBase:
        told = happening(
            at=at, id=func.concat(col(case.id), f":{step}"), kind=kind,
            facts={"rule": rule, "points": col(case.points), "reason": said}, by=by,
        )  # fmt: skip
        return told.where(col(case.member_id) == member_id, at.is_not(None))

    kept = turn("kept", col(case.kind), col(case.created_at), col(case.reason), literal(None))
    return union_all(
        kept, turn("decided", col(case.status), col(case.decided_at), col(case.decision), col(case.decided_by))
    )


def _reader(actor: Actor) -> bool:
    return actor.may(Right.RULES_READ)


SOURCES = (
    Source("earning_case", (*CaseKind, CaseStatus.APPROVED, CaseStatus.REFUSED), _cases, _reader),
)  # fmt: skip
