"""The SQL of rules, their versions and frames, and the one condition on what an actor may see of them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.earning.awards_models import Budget
from app.earning.definitions import Definition
from app.earning.rules_models import EarningRule, RuleFrame, RuleStatus, RuleVersion

_PUBLICATION = 7_310_000_028
"""One publication at a time: two rules that exclude each other are not both first."""


class Shown(NamedTuple):
    """A rule, its draft, and its latest published version."""

    rule: EarningRule
    draft: RuleVersion | None
    published: RuleVersion | None


class Other(NamedTuple):
    """What another rule says, on the days on which it holds."""

    code: str
    dealer_code: str | None
    definition: Definition


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """All staff see headquarters' rules, and those of the chapters they reach."""
    return or_(col(EarningRule.dealer_code).is_(None), dealer_visible_to(actor, col(EarningRule.dealer_code)))


async def rule(session: AsyncSession, actor: Actor, rule_id: UUID, *, locked: bool = False) -> EarningRule | None:
    """One rule, if the actor may see it; `locked` for change."""
    query = select(EarningRule).where(col(EarningRule.id) == rule_id, visible_to(actor))
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def rules(
    session: AsyncSession, actor: Actor, *, dealer_code: str | None, after: UUID | None, limit: int
) -> Sequence[EarningRule]:
    """The rules an actor may see, oldest first, from after an id; None does not filter."""
    query = select(EarningRule).where(visible_to(actor)).order_by(col(EarningRule.id)).limit(limit)
    if dealer_code is not None:
        query = query.where(col(EarningRule.dealer_code) == dealer_code)
    if after is not None:
        query = query.where(col(EarningRule.id) > after)
    return (await session.scalars(query)).all()


async def shown(session: AsyncSession, rules: Collection[EarningRule]) -> list[Shown]:
    """Rules with their drafts, as far as the session may see these, and latest published versions."""
    newest = (
        select(col(RuleVersion.rule_id), func.max(col(RuleVersion.version)))
        .where(col(RuleVersion.rule_id).in_([rule.id for rule in rules]))
        .group_by(col(RuleVersion.rule_id), col(RuleVersion.status) == RuleStatus.DRAFT)
    )
    query = select(RuleVersion).where(tuple_(col(RuleVersion.rule_id), col(RuleVersion.version)).in_(newest))
    found = {(row.rule_id, row.status == RuleStatus.DRAFT): row for row in await session.scalars(query)}
    return [Shown(rule, found.get((rule.id, True)), found.get((rule.id, False))) for rule in rules]


async def versions(session: AsyncSession, rule_id: UUID, *, before: int | None, limit: int) -> Sequence[RuleVersion]:
    """A rule's versions, newest first, from below a number; None: from the newest."""
    query = select(RuleVersion).where(col(RuleVersion.rule_id) == rule_id)
    if before is not None:
        query = query.where(col(RuleVersion.version) < before)
    return (await session.scalars(query.order_by(col(RuleVersion.version).desc()).limit(limit))).all()


async def standing(session: AsyncSession, rule_id: UUID) -> Sequence[RuleVersion]:
    """A rule's versions that are or were published and hold for some day, oldest first."""
    query = select(RuleVersion).where(
        col(RuleVersion.rule_id) == rule_id, col(RuleVersion.status) != RuleStatus.DRAFT, _holds()
    )
    return (await session.scalars(query.order_by(col(RuleVersion.version)))).all()


def _holds() -> ColumnElement[bool]:
    return or_(col(RuleVersion.valid_until).is_(None), col(RuleVersion.valid_until) >= col(RuleVersion.valid_from))


async def one_publication_at_a_time(session: AsyncSession) -> None:
    """Wait for whoever publishes at this moment."""
    await session.execute(select(func.pg_advisory_xact_lock(_PUBLICATION)))


async def others_of_group(session: AsyncSession, rule_id: UUID, group: str) -> list[Other]:
    """Published versions of other rules in a stacking group, each with the days on which it holds."""
    query = (
        select(EarningRule, RuleVersion)
        .join(RuleVersion, col(RuleVersion.rule_id) == col(EarningRule.id))
        .where(
            col(EarningRule.id) != rule_id,
            col(RuleVersion.status) != RuleStatus.DRAFT,
            col(RuleVersion.definition)["stacking"]["group"].astext == group,
            _holds(),
        )
        .order_by(col(RuleVersion.no))
    )
    return [
        Other(found.code, found.dealer_code, _as_it_holds(version)) for found, version in await session.execute(query)
    ]


def _as_it_holds(version: RuleVersion) -> Definition:
    return Definition.model_validate(version.definition | {"valid_until": version.valid_until})


async def budgets(session: AsyncSession, codes: Collection[str], *owners: str | None) -> frozenset[str]:
    """Those of some budgets that are a chapter's or headquarters' (None), as far as the session may see them."""
    theirs = or_(*(col(Budget.dealer_code).is_not_distinct_from(owner) for owner in owners))
    return frozenset(await session.scalars(select(col(Budget.code)).where(col(Budget.code).in_(codes), theirs)))


# --- frames ---


async def frame(session: AsyncSession, actor: Actor, frame_id: UUID, *, locked: bool = False) -> RuleFrame | None:
    """One frame, if the actor may see it; `locked` for change."""
    query = select(RuleFrame).where(col(RuleFrame.id) == frame_id, _frame_visible_to(actor))
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def frames(session: AsyncSession, actor: Actor, *, after: UUID | None, limit: int) -> Sequence[RuleFrame]:
    """The general frame and those of the chapters an actor reaches, oldest first, from after an id."""
    query = select(RuleFrame).where(_frame_visible_to(actor)).order_by(col(RuleFrame.id)).limit(limit)
    if after is not None:
        query = query.where(col(RuleFrame.id) > after)
    return (await session.scalars(query)).all()


def _frame_visible_to(actor: Actor) -> ColumnElement[bool]:
    return or_(col(RuleFrame.dealer_code).is_(None), dealer_visible_to(actor, col(RuleFrame.dealer_code)))


async def frame_for(session: AsyncSession, dealer_code: str) -> RuleFrame | None:
    """The frame a chapter's rules have to keep within: its own, else the general one."""
    query = select(RuleFrame).where(
        or_(col(RuleFrame.dealer_code).is_(None), col(RuleFrame.dealer_code) == dealer_code)
    )
    return await session.scalar(query.order_by(col(RuleFrame.dealer_code).asc().nulls_last()).limit(1))
