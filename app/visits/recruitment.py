"""Recruitment: every miss stands under a person until its owner joins or it is closed with a reason; month plans."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries as chapters
from app.chapters.models import Chapter
from app.core.actors import Actor
from app.core.clock import china_date, month_of
from app.core.editing import change, edit, require_version
from app.core.problems import InvalidPayload, NotFound, WrongStatus
from app.members.problems import NoChapter
from app.visits import deliveries_queries as queries
from app.visits.deliveries_models import Delivery, RecruitmentPlan
from app.visits.deliveries_rules import MissReason, OwnerKind
from app.visits.deliveries_schemas import Closing, DeliveryUpdate, state_of
from app.visits.problems import MonthOver, NotAMiss

_OWNER = frozenset({"owner_kind", "owner_name", "phone"})


async def delivery(session: AsyncSession, actor: Actor, delivery_id: UUID, *, locked: bool = False) -> Delivery:
    """One delivery.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    found = await queries.delivery(session, actor, delivery_id, locked=locked)
    if found is None:
        raise NotFound("delivery")
    return found


async def correct(
    session: AsyncSession, actor: Actor, delivery_id: UUID, body: DeliveryUpdate, *, version: int
) -> Delivery:
    """Change what the body names, and look for the membership anew.

    Raises:
        NotFound, PreconditionFailed.
        NotAMiss: the owner joined, or is no individual, and the body is about the owner.
        WrongStatus: the miss is closed, and the body makes its owner no individual.
    """
    found = await delivery(session, actor, delivery_id, locked=True)
    require_version(found, version)
    changes = body.model_dump(exclude_unset=True)
    if _OWNER & changes.keys():
        _correct_owner(found, changes)
    change(found, changes)
    await session.flush()
    await queries.rematch(session, found.vin)
    await session.refresh(found)
    return found


def _correct_owner(found: Delivery, changes: dict[str, Any]) -> None:
    kind = OwnerKind(changes.get("owner_kind", found.owner_kind))
    if found.matched_on is not None or (kind is not OwnerKind.INDIVIDUAL and changes.get("phone")):
        raise NotAMiss
    if kind is not OwnerKind.INDIVIDUAL:
        if found.closed_at is not None:
            raise WrongStatus(current="closed", allowed=["open"])
        changes["phone"] = None
    elif not changes.get("owner_name", found.owner_name):
        raise InvalidPayload.at("/owner_name", "missing")


async def close(session: AsyncSession, actor: Actor, delivery_id: UUID, body: Closing, *, now: datetime) -> Delivery:
    """Close a miss with a reason.

    Raises:
        NotFound.
        NotAMiss: the owner joined, or is no individual.
        WrongStatus: it is closed.
        InvalidPayload: `other` without a note.
    """
    if body.reason is MissReason.OTHER and body.note is None:
        raise InvalidPayload.at("/note", "missing")
    found = await _miss(session, actor, delivery_id, "open")
    why = {"miss_reason": body.reason, "miss_note": body.note}
    change(found, why | {"closed_at": now, "closed_by": actor.subject})
    await session.flush()
    return found


async def reopen(session: AsyncSession, actor: Actor, delivery_id: UUID) -> Delivery:
    """Open a miss again that was closed: it stands under its consultant as before.

    Raises:
        NotFound.
        NotAMiss: the owner joined, or is no individual.
        WrongStatus: it is open.
    """
    found = await _miss(session, actor, delivery_id, "closed")
    change(found, dict.fromkeys(("miss_reason", "miss_note", "closed_at", "closed_by")))
    await session.flush()
    return found


async def _miss(session: AsyncSession, actor: Actor, delivery_id: UUID, state: Literal["open", "closed"]) -> Delivery:
    """A miss in a state, locked for change."""
    found = await delivery(session, actor, delivery_id, locked=True)
    current = state_of(found)
    if current in {"joined", "none"}:
        raise NotAMiss
    if current != state:
        raise WrongStatus(current=current, allowed=[state])
    return found


# --- plans ---


async def plan(session: AsyncSession, actor: Actor, dealer_code: str, month: date) -> RecruitmentPlan | None:
    """A chapter's plan of a month; None: there is none yet.

    Raises:
        NotFound: there is no such dealer, or it is not the actor's to see.
        NoChapter: the dealer has none.
    """
    row = await chapters.dealer(session, actor, dealer_code)
    if row is None:
        raise NotFound("dealer")
    if row.chapter is None:
        raise NoChapter
    return await session.get(RecruitmentPlan, (month, dealer_code))


async def set_plan(
    session: AsyncSession, actor: Actor, dealer_code: str, month: date, target: int, *, version: int, now: datetime
) -> RecruitmentPlan:
    """Set a chapter's plan; version 0 when there is none yet.

    Raises:
        NotFound, NoChapter, PreconditionFailed.
        MonthOver: the month has ended.
    """
    await plan(session, actor, dealer_code, month)
    if month < month_of(china_date(now)):
        raise MonthOver
    # one at a time: two who set it first are told apart
    await session.get(Chapter, dealer_code, with_for_update=True)
    known = await session.get(RecruitmentPlan, (month, dealer_code), populate_existing=True)
    found = known or RecruitmentPlan(month=month, dealer_code=dealer_code, target=target, version=0)
    edit(found, {"target": target}, version)
    session.add(found)
    await session.flush()
    return found
