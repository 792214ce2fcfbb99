"""Duplicates and verification calls over HTTP."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Config, Cursor, Limit, Now, Once, Requires, Session, documented
from app.core.paging import Page, id_after, next_cursor
from app.core.problems import KeyConflict, NotFound, WrongStatus
from app.members import calls, duplicates, queries
from app.members.pages import profile_read
from app.members.problems import ConsentMissing, NotToBeAsked
from app.members.review_models import Duplicate, DuplicateKind
from app.members.review_schemas import (
    CallClosing,
    CallCreate,
    CallRead,
    Dismissal,
    DuplicateRead,
    call_read,
    duplicate_read,
)
from app.members.service import Profile

router = APIRouter(tags=["members"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ))]
Director = Annotated[Actor, Depends(Requires(Right.MEMBERS_DECIDE))]
Caller = Annotated[Actor, Depends(Requires(Right.MEMBERS_CARE))]


@router.get("/members/duplicates")
async def duplicates_list(
    actor: Reader, session: Session,
    kind: DuplicateKind | None = None,
    dismissed: Annotated[bool, Query(description="those that somebody said are two persons")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DuplicateRead]:  # fmt: skip
    """Members who may be one person, as last night found them, of whom the caller may see both."""
    found = await duplicates.duplicates(
        session, actor, kind=kind, dismissed=dismissed, after=id_after(cursor), limit=limit + 1
    )
    items = await _shown(session, actor, found[:limit])
    return Page[DuplicateRead](items=items, next_cursor=next_cursor(found, limit, lambda pair: (str(pair.id),)))


@router.post("/members/duplicates/{duplicate_id}/dismissal", responses=documented(NotFound, WrongStatus))
async def duplicates_dismiss(
    duplicate_id: UUID, body: Dismissal, actor: Director, session: Session, now: Now
) -> DuplicateRead:
    """They are two persons: the pair leaves the list for good."""
    pair = await duplicates.dismiss(session, actor, duplicate_id, body.reason, now=now)
    return (await _shown(session, actor, [pair]))[0]


async def _shown(session: AsyncSession, actor: Actor, pairs: Sequence[Duplicate]) -> list[DuplicateRead]:
    members = await duplicates.members_of(session, pairs)
    vehicles = await queries.vehicles_of(session, members)
    profiles = {of: Profile(member, vehicles.get(of, [])) for of, member in members.items()}
    reads = {of: profile_read(actor, profile) for of, profile in profiles.items()}
    return [duplicate_read(pair, [reads[pair.member_id], reads[pair.other_id]]) for pair in pairs]


@router.post(
    "/verification-calls", status_code=201, response_model=CallRead,
    responses=documented(NotFound, ConsentMissing, NotToBeAsked, KeyConflict),
)  # fmt: skip
async def calls_create(
    body: CallCreate, actor: Director, session: Session, now: Now, settings: Config, once: Once
) -> Response:
    """Ask somebody to call a member and verify what is on record; for another `use` only as far as it has agreed."""

    async def ask() -> CallRead:
        asked = await calls.ask(
            session, actor, body.member_id, body.question, body.assigned_to, body.due_on, body.use,
            now=now, settings=settings,
        )  # fmt: skip
        return call_read(actor, asked)

    return await once(body, ask)


@router.get("/verification-calls")
async def calls_list(
    actor: Reader, session: Session,
    mine: Annotated[bool, Query(description="those the caller is to make")] = False,
    closed: Annotated[bool | None, Query(description="left out: open and closed")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CallRead]:  # fmt: skip
    """Calls to the members one may see, in the order they were asked for."""
    found = await calls.calls(session, actor, mine=mine, closed=closed, after=id_after(cursor), limit=limit + 1)
    items = [call_read(actor, called) for called in found[:limit]]
    return Page[CallRead](items=items, next_cursor=next_cursor(found, limit, lambda called: (str(called[0].id),)))


@router.post("/verification-calls/{call_id}/closing", responses=documented(NotFound, WrongStatus))
async def calls_close(call_id: UUID, body: CallClosing, actor: Caller, session: Session, now: Now) -> CallRead:
    """Note what a call came to; by who was to make it, or who decides on the member."""
    return call_read(actor, await calls.close(session, actor, call_id, body.outcome, body.answer, now=now))
