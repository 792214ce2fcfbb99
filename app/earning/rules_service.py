"""Earning rules: written as drafts, tried on their examples, published, retired; and headquarters' frame."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.db import flush_unless, raw, unrestricted
from app.core.editing import change, require_version
from app.core.problems import (
    FieldError,
    Forbidden,
    InvalidPayload,
    NotFound,
    WrongStatus,
)
from app.earning import audiences, examples, frames, funders, whatif
from app.earning import rules_queries as queries
from app.earning.definitions import Definition, clash, stored
from app.earning.rules_models import EarningRule, RuleFrame, RuleStatus, RuleVersion
from app.earning.rules_problems import FrameExists, RuleExists
from app.earning.rules_queries import Shown
from app.earning.rules_schemas import FrameCreate, FrameUpdate, RuleCreate, RuleUpdate, WhatIfAsk
from app.members import segment_queries as segments
from app.members.segments import owner

AT = "/definition"
_A_DAY = timedelta(days=1)


async def get(session: AsyncSession, actor: Actor, rule_id: UUID) -> Shown:
    """A rule of headquarters, or of a chapter that the actor reaches.

    Raises:
        NotFound.
    """
    found = await queries.rule(session, actor, rule_id)
    if found is None:
        raise NotFound("rule")
    return await _shown(session, found)


async def create(session: AsyncSession, actor: Actor, body: RuleCreate, *, now: datetime) -> Shown:
    """Write a rule as a draft.

    Raises:
        NotFound: the chapter is not the actor's to write for, or there is none.
        RuleExists: the code is in use.
        InvalidPayload: as `_judge` says.
    """
    dealer_code = await owner(session, actor, body.dealer_code)
    made = EarningRule(
        code=body.code, dealer_code=dealer_code, label_zh=body.label_zh, label_en=body.label_en,
        created_by=actor.subject, created_at=now,
    )  # fmt: skip
    await _judge(session, actor, made, body.definition)
    session.add(made)
    await flush_unless(session, "uq_rule_code", RuleExists())
    session.add(_draft(made, body.definition, version=1))
    await session.flush()
    return await _shown(session, made)


async def update(session: AsyncSession, actor: Actor, rule_id: UUID, body: RuleUpdate, *, version: int) -> Shown:
    """Change a rule's labels; a definition replaces the draft, or begins the next one.

    Raises:
        NotFound, PreconditionFailed.
        Forbidden: it is headquarters' and the actor a chapter's.
        InvalidPayload: as `_judge` says.
    """
    rule = await _for_change(session, actor, rule_id, version)
    change(rule, body.model_dump(include={"label_zh", "label_en"}, exclude_unset=True))
    if "definition" in body.model_fields_set:
        await _judge(session, actor, rule, body.definition)
        await _redraft(session, rule, body.definition)
    await session.flush()
    return await _shown(session, rule)


async def _redraft(session: AsyncSession, rule: EarningRule, definition: Definition) -> None:
    _, draft, published = await _shown(session, rule)
    if draft is None:
        session.add(_draft(rule, definition, version=published.version + 1 if published else 1))
        return
    draft.definition = stored(definition)
    draft.valid_from, draft.valid_until = definition.valid_from, definition.valid_until


async def publish(session: AsyncSession, actor: Actor, rule_id: UUID, *, version: int, now: datetime) -> Shown:
    """Put a rule's draft in force from its first day on; the version before it ends the day before.

    What is earned already stays as it was, also when the first day is a past one.

    Raises:
        NotFound, PreconditionFailed.
        Forbidden: it is headquarters' and the actor a chapter's.
        WrongStatus: there is no draft.
        InvalidPayload: as `_judge` says, or it has no example.
    """
    await queries.one_publication_at_a_time(session)
    rule = await _for_change(session, actor, rule_id, version)
    _, draft, published = await _shown(session, rule)
    if draft is None:
        raise _wrong_status(published, RuleStatus.DRAFT)
    definition = Definition.model_validate(draft.definition)
    await _judge(session, actor, rule, definition)
    if not definition.examples:
        raise InvalidPayload.at(f"{AT}/examples", "rule_example_missing")
    for earlier in await queries.standing(session, rule.id):
        _end(earlier, definition.valid_from - _A_DAY)
    draft.status, draft.published_at, draft.published_by = RuleStatus.PUBLISHED, now, actor.subject
    rule.version += 1
    await session.flush()
    if definition.audience is not None:
        await audiences.choose(session, definition.audience, now=now)
    return await _shown(session, rule)


async def retire(
    session: AsyncSession, actor: Actor, rule_id: UUID, last_day: date | None, *, version: int, now: datetime
) -> Shown:
    """End a rule: events after its last day earn nothing by it any more, late ones of before still do.

    Raises:
        NotFound, PreconditionFailed.
        Forbidden: it is headquarters' and the actor a chapter's.
        WrongStatus: no version of it is in force, or to come.
    """
    rule = await _for_change(session, actor, rule_id, version)
    last_day = last_day or china_date(now)
    ended = [
        one for one in await queries.standing(session, rule.id) if one.valid_until is None or one.valid_until > last_day
    ]
    if not ended:
        raise _wrong_status((await _shown(session, rule)).published, RuleStatus.PUBLISHED)
    for one in ended:
        _end(one, last_day)
        one.status, one.retired_at, one.retired_by = RuleStatus.RETIRED, now, actor.subject
    rule.version += 1
    await session.flush()
    return await _shown(session, rule)


async def what_if(session: AsyncSession, actor: Actor, body: WhatIfAsk) -> whatif.WhatIf:
    """Try drafts on a month: the whole programme, or a chapter's own rules on what happened there. Changes nothing.

    Raises:
        NotFound: the chapter is not the actor's to write for, or there is none.
        InvalidPayload: a draft is another chapter's, or as `whatif.rules_of` says.
    """
    chapter = await owner(session, actor, body.dealer_code)
    drafts = [draft.model_copy(update={"dealer_code": draft.dealer_code or chapter}) for draft in body.rules]
    for index, draft in enumerate(drafts):
        if chapter is not None and draft.dealer_code != chapter:
            raise InvalidPayload.at(f"/rules/{index}/dealer_code", "not_your_dealer", value=draft.dealer_code)
    found = whatif.rules_of(drafts, "/rules")
    # members who are now of other chapters have orders there, too
    await unrestricted(session)
    return await whatif.run(await raw(session), found, body.month, chapter)


def _end(version: RuleVersion, last_day: date) -> None:
    if version.valid_until is None or version.valid_until > last_day:
        version.valid_until = last_day


def _wrong_status(published: RuleVersion | None, needed: RuleStatus) -> WrongStatus:
    return WrongStatus(current=published.status if published else RuleStatus.DRAFT, allowed=[needed])


def _draft(rule: EarningRule, definition: Definition, *, version: int) -> RuleVersion:
    return RuleVersion(
        rule_id=rule.id, version=version, definition=stored(definition), valid_from=definition.valid_from,
        valid_until=definition.valid_until,
    )  # fmt: skip


async def _for_change(session: AsyncSession, actor: Actor, rule_id: UUID, version: int) -> EarningRule:
    rule = await queries.rule(session, actor, rule_id, locked=True)
    if rule is None:
        raise NotFound("rule")
    if rule.dealer_code is None and actor.reach is not Reach.ALL:
        raise Forbidden
    require_version(rule, version)
    return rule


async def _shown(session: AsyncSession, rule: EarningRule) -> Shown:
    return (await queries.shown(session, [rule]))[0]


# --- what a definition is held against ---


async def _judge(session: AsyncSession, actor: Actor, rule: EarningRule, definition: Definition) -> None:
    """Refuse a definition.

    Raises:
        InvalidPayload: an expression cannot be used, an example gives other points, the audience, a budget or a
            funder is unknown, the chapter's frame is left, or it is not clear which rule of its group goes first.
    """
    faults = examples.faults(definition, rule.dealer_code, AT)
    faults += await _audience_faults(session, actor, rule, definition)
    bounds = await queries.frame_for(session, rule.dealer_code) if rule.dealer_code else None
    faults += await _budget_faults(session, rule, definition, bounds)
    faults += _frame_faults(rule, definition, bounds)
    faults += await funders.faults(session, definition, rule.dealer_code, AT)
    faults += await _group_faults(session, rule, definition)
    if faults:
        raise InvalidPayload(errors=faults)


async def _audience_faults(
    session: AsyncSession, actor: Actor, rule: EarningRule, definition: Definition
) -> list[FieldError]:
    if definition.audience is None:
        return []
    segment = await segments.segment(session, actor, definition.audience)
    if segment is not None and segment.dealer_code in (None, rule.dealer_code):
        return []
    return [FieldError(f"{AT}/audience", "rule_unknown_segment", {})]


async def _budget_faults(
    session: AsyncSession, rule: EarningRule, definition: Definition, bounds: RuleFrame | None
) -> list[FieldError]:
    known = await queries.budgets(session, definition.budgets, rule.dealer_code)
    if bounds is not None and bounds.budget is not None:
        # headquarters' money for chapters, which they do not see otherwise
        known |= {bounds.budget}
    unknown = [code for code in definition.budgets if code not in known]
    return [FieldError(f"{AT}/budgets", "rule_unknown_budget", {"budget": code}) for code in unknown]


def _frame_faults(rule: EarningRule, definition: Definition, bounds: RuleFrame | None) -> list[FieldError]:
    if rule.dealer_code is None:
        return []
    if bounds is None:
        return [FieldError(AT, "frame_missing", {})]
    return frames.outside(definition, bounds, AT)


async def _group_faults(session: AsyncSession, rule: EarningRule, definition: Definition) -> list[FieldError]:
    if definition.stacking is None:
        return []
    faults = []
    for other in await queries.others_of_group(session, rule.id, definition.stacking.group):
        if other.dealer_code == rule.dealer_code:
            code = clash(definition, other.definition)
        else:
            # two chapters' groups never meet; headquarters' is not for chapters to join
            code = "rule_group_taken" if None in (other.dealer_code, rule.dealer_code) else None
        if code is not None:
            faults.append(FieldError(f"{AT}/stacking", code, {"other": other.code}))
    return faults


# --- headquarters' frame ---


async def create_frame(session: AsyncSession, actor: Actor, body: FrameCreate) -> RuleFrame:
    """Allow chapters rules of their own, within bounds.

    Raises:
        NotFound: there is no such chapter.
        InvalidPayload: there is no such budget.
        FrameExists: it has a frame already.
    """
    await owner(session, actor, body.dealer_code)
    await _require_budget(session, body.budget, body.dealer_code)
    made = RuleFrame(**body.model_dump(mode="json"))
    session.add(made)
    await flush_unless(session, "uq_rule_frame_dealer_code", FrameExists())
    return made


async def frame(session: AsyncSession, actor: Actor, frame_id: UUID, *, locked: bool = False) -> RuleFrame:
    """The general frame, or that of a chapter that the actor reaches.

    Raises:
        NotFound.
    """
    found = await queries.frame(session, actor, frame_id, locked=locked)
    if found is None:
        raise NotFound("frame")
    return found


async def update_frame(
    session: AsyncSession, actor: Actor, frame_id: UUID, body: FrameUpdate, *, version: int
) -> RuleFrame:
    """Change a frame's bounds, for what is written or published from now on.

    Raises:
        NotFound, PreconditionFailed.
        InvalidPayload: there is no such budget.
    """
    changed = await _frame_for_change(session, actor, frame_id, version)
    await _require_budget(session, body.budget, changed.dealer_code)
    for name, value in body.model_dump(mode="json", exclude_unset=True).items():
        setattr(changed, name, value)
    changed.version += 1
    await session.flush()
    return changed


async def _require_budget(session: AsyncSession, code: str | None, dealer_code: str | None) -> None:
    if code is not None and not await queries.budgets(session, [code], None, dealer_code):
        raise InvalidPayload.at("/budget", "rule_unknown_budget", budget=code)


async def delete_frame(session: AsyncSession, actor: Actor, frame_id: UUID, *, version: int) -> None:
    """Take a frame away: the general one holds for its chapter again; without any, chapters write no rules.

    Raises:
        NotFound, PreconditionFailed.
    """
    await session.delete(await _frame_for_change(session, actor, frame_id, version))
    await session.flush()


async def _frame_for_change(session: AsyncSession, actor: Actor, frame_id: UUID, version: int) -> RuleFrame:
    found = await frame(session, actor, frame_id, locked=True)
    require_version(found, version)
    return found
