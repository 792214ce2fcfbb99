"""Earning rules over HTTP: triggers and their fields, rules with their versions, and headquarters' frame."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.chapters.schemas import DealerCode
from app.core.actors import Actor, Right
from app.core.catalogue import Language, text
from app.core.http import (
    GUARDED,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Once,
    Requires,
    Session,
    Speaks,
    documented,
    etag,
    tagged,
    version_of,
)  # fmt: skip
from app.core.paging import Page, decode_cursor, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed, WrongStatus
from app.earning import rules_queries as queries
from app.earning import rules_service as rules
from app.earning import triggers
from app.earning.rules_models import RuleFrame, RuleVersion
from app.earning.rules_problems import FrameExists, RuleExists
from app.earning.rules_queries import Shown
from app.earning.rules_schemas import (
    FrameCreate,
    FrameRead,
    FrameUpdate,
    Retirement,
    RuleCreate,
    RuleFieldRead,
    RuleRead,
    RuleUpdate,
    TriggerList,
    TriggerRead,
    VersionRead,
    WhatIfAsk,
)
from app.earning.triggers import Trigger
from app.earning.whatif import WhatIf

router = APIRouter(tags=["rules"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.RULES_READ))]
Author = Annotated[Actor, Depends(Requires(Right.RULES_WRITE))]
Framer = Annotated[Actor, Depends(Requires(Right.FRAMES_WRITE))]
CHANGE = documented(NotFound, PreconditionFailed)


@router.get("/points/triggers")
async def triggers_list(_: Reader, language: Speaks) -> TriggerList:
    """What may earn points, and the fields that expressions of its rules may name."""
    return TriggerList(items=[_trigger(trigger, language) for trigger in Trigger])


def _trigger(trigger: Trigger, language: Language) -> TriggerRead:
    fields = [
        RuleFieldRead(name=name, kind=field.kind, default=field.default, label=_field_label(trigger, name, language))
        for name, field in triggers.fields(trigger).items()
    ]
    return TriggerRead(trigger=trigger, label=text(language, f"trigger.{trigger}", {}), fields=fields)


def _field_label(trigger: Trigger, name: str, language: Language) -> str:
    root, _, rest = name.partition(".")
    return text(language, f"rule_field.{trigger if root == 'event' else root}.{rest}", {})


@router.post(
    "/rules", status_code=201, response_model=RuleRead, responses=documented(NotFound, RuleExists, KeyConflict)
)
async def rules_create(body: RuleCreate, actor: Author, session: Session, now: Now, once: Once) -> Response:
    """Write a rule as a draft; its examples are evaluated at once."""

    async def create() -> RuleRead:
        return _rule(await rules.create(session, actor, body, now=now))

    return await once(body, create)


@router.get("/rules")
async def rules_list(
    actor: Reader,
    session: Session,
    dealer_code: Annotated[DealerCode | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RuleRead]:
    """Headquarters' rules and those of the chapters one reaches, oldest first."""
    found = await queries.rules(session, actor, dealer_code=dealer_code, after=id_after(cursor), limit=limit + 1)
    items = [_rule(shown) for shown in await queries.shown(session, found)]
    return Page[RuleRead].model_validate(paged(items, limit, lambda rule: (str(rule.id),)))


@router.post("/rules/what-if", responses=documented(NotFound))
async def rules_what_if(body: WhatIfAsk, actor: Author, session: Session) -> WhatIf:
    """What drafts would have given for a month's real events, by chapter and funder, against what was given."""
    return await rules.what_if(session, actor, body)


@router.get("/rules/{rule_id}", responses=documented(NotFound))
async def rules_get(rule_id: UUID, actor: Reader, session: Session, response: Response) -> RuleRead:
    """One rule: its draft, and what is published."""
    return _tagged(response, await rules.get(session, actor, rule_id))


@router.patch("/rules/{rule_id}", responses=CHANGE)
async def rules_update(
    rule_id: UUID, body: RuleUpdate, if_match: IfMatch, actor: Author, session: Session, response: Response
) -> RuleRead:
    """Change a rule's labels or its draft; what is published stays."""
    return _tagged(response, await rules.update(session, actor, rule_id, body, version=version_of(if_match)))


@router.post("/rules/{rule_id}/publication", responses=CHANGE | documented(WrongStatus))
async def rules_publish(
    rule_id: UUID, if_match: IfMatch, actor: Author, session: Session, now: Now, response: Response
) -> RuleRead:
    """Put a rule's draft in force as its next version."""
    return _tagged(response, await rules.publish(session, actor, rule_id, version=version_of(if_match), now=now))


@router.post("/rules/{rule_id}/retirement", responses=CHANGE | documented(WrongStatus))
async def rules_retire(
    rule_id: UUID, body: Retirement, if_match: IfMatch, actor: Author, session: Session, now: Now, response: Response
) -> RuleRead:
    """End a rule; what happened up to its last day still earns by it, however late it is reported."""
    version = version_of(if_match)
    return _tagged(response, await rules.retire(session, actor, rule_id, body.last_day, version=version, now=now))


@router.get("/rules/{rule_id}/versions", responses=documented(NotFound))
async def rules_versions(
    rule_id: UUID, actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[VersionRead]:
    """What a rule has said, newest first."""
    await rules.get(session, actor, rule_id)
    before = int(decode_cursor(cursor, int)[0]) if cursor is not None else None
    found = await queries.versions(session, rule_id, before=before, limit=limit + 1)
    items = [_version(version) for version in found]
    return Page[VersionRead].model_validate(paged(items, limit, lambda version: (version.version,)))


# --- headquarters' frame ---


@router.get("/rule-frames")
async def rule_frames_list(
    actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[FrameRead]:
    """What rules of chapters may do: the general frame, and those of the chapters one reaches."""
    found = await queries.frames(session, actor, after=id_after(cursor), limit=limit + 1)
    return Page[FrameRead].model_validate(paged([_frame(frame) for frame in found], limit, lambda f: (str(f.id),)))


@router.post(
    "/rule-frames", status_code=201, response_model=FrameRead, responses=documented(NotFound, FrameExists, KeyConflict)
)
async def rule_frames_create(body: FrameCreate, actor: Framer, session: Session, once: Once) -> Response:
    """Allow all chapters, or one, rules of their own."""

    async def create() -> FrameRead:
        return _frame(await rules.create_frame(session, actor, body))

    return await once(body, create)


@router.get("/rule-frames/{frame_id}", responses=documented(NotFound))
async def rule_frames_get(frame_id: UUID, actor: Reader, session: Session, response: Response) -> FrameRead:
    """One frame."""
    return _tagged_frame(response, await rules.frame(session, actor, frame_id))


@router.patch("/rule-frames/{frame_id}", responses=CHANGE)
async def rule_frames_update(
    frame_id: UUID, body: FrameUpdate, if_match: IfMatch, actor: Framer, session: Session, response: Response
) -> FrameRead:
    """Change a frame's bounds; published rules stay as they are."""
    version = version_of(if_match)
    return _tagged_frame(response, await rules.update_frame(session, actor, frame_id, body, version=version))


@router.delete("/rule-frames/{frame_id}", status_code=204, responses=CHANGE)
async def rule_frames_delete(frame_id: UUID, if_match: IfMatch, actor: Framer, session: Session) -> None:
    """Take a frame away."""
    await rules.delete_frame(session, actor, frame_id, version=version_of(if_match))


def _tagged(response: Response, shown: Shown) -> RuleRead:
    response.headers["ETag"] = etag(shown.rule.version)
    return _rule(shown)


def _rule(shown: Shown) -> RuleRead:
    draft, published = (version and _version(version) for version in (shown.draft, shown.published))
    return RuleRead(**dict(shown.rule), draft=draft, published=published)


def _version(version: RuleVersion) -> VersionRead:
    return VersionRead.model_validate(version, from_attributes=True)


def _tagged_frame(response: Response, frame: RuleFrame) -> FrameRead:
    return _frame(tagged(response, frame))


def _frame(frame: RuleFrame) -> FrameRead:
    return FrameRead.model_validate(frame, from_attributes=True)
