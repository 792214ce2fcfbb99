"""Incentives for recruits and referrals: headquarters' scheme for chapters, and each chapter's for its staff."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.db import flush_unless
from app.core.editing import require_version
from app.core.problems import FieldError, Forbidden, InvalidPayload, NotFound
from app.earning import examples
from app.earning.rules_problems import RuleExists
from app.members.segments import owner
from app.referrals import incentives_queries as queries
from app.referrals.incentives_models import IncentiveRule
from app.referrals.incentives_schemas import Ending, IncentiveRuleCreate, IncentiveTerms

_POINTERS = (("/amount", "/amount_fen"), ("/points", "/fen"))
"""What a rule for points calls otherwise."""


async def create(session: AsyncSession, actor: Actor, body: IncentiveRuleCreate, *, now: datetime) -> IncentiveRule:
    """Put a rule in force.

    Raises:
        NotFound: the chapter is not the actor's to write for, or there is none.
        RuleExists: the code is in use.
        InvalidPayload: an expression cannot be used, or an example gives another amount.
    """
    dealer_code = await owner(session, actor, body.dealer_code)
    if faults := _faults(body.terms, dealer_code):
        raise InvalidPayload(errors=faults)
    made = IncentiveRule(
        **body.model_dump(include={"code", "label_zh", "label_en"}), dealer_code=dealer_code,
        trigger=body.terms.as_points.trigger, definition=body.terms.model_dump(mode="json"),
        valid_from=body.terms.valid_from, valid_until=body.terms.valid_until, created_by=actor.subject, created_at=now,
    )  # fmt: skip
    session.add(made)
    await flush_unless(session, "uq_incentive_rule_code", RuleExists)
    return made


def _faults(terms: IncentiveTerms, dealer_code: str | None) -> list[FieldError]:
    return [
        replace(fault, pointer=_pointer(fault.pointer))
        for fault in examples.faults(terms.as_points, dealer_code, "/terms")
    ]


def _pointer(pointer: str) -> str:
    for theirs, ours in _POINTERS:
        if pointer.endswith(theirs):
            return pointer.removesuffix(theirs) + ours
    return pointer


async def get(session: AsyncSession, actor: Actor, rule_id: UUID) -> IncentiveRule:
    """A rule of headquarters, or of a chapter that the actor reaches.

    Raises:
        NotFound.
    """
    found = await queries.rule(session, actor, rule_id)
    if found is None:
        raise NotFound("rule")
    return found


async def end(
    session: AsyncSession, actor: Actor, rule_id: UUID, body: Ending, *, version: int, now: datetime
) -> IncentiveRule:
    """Set a rule's last day, which is never put off and never past: what may be paid already stays as it is.

    Raises:
        NotFound, PreconditionFailed.
        Forbidden: it is headquarters' and the actor a chapter's.
        InvalidPayload: the day is past, or later than the rule's last day.
    """
    rule = await queries.rule(session, actor, rule_id, locked=True)
    if rule is None:
        raise NotFound("rule")
    if rule.dealer_code is None and actor.reach is not Reach.ALL:
        raise Forbidden
    require_version(rule, version)
    earliest = max(china_date(now), rule.valid_from)
    last_day = body.last_day or earliest
    if last_day < earliest or (rule.valid_until is not None and last_day > rule.valid_until):
        raise InvalidPayload.at("/last_day", "incentive_ending", earliest=earliest)
    rule.valid_until = last_day
    rule.version += 1
    await session.flush()
    return rule
