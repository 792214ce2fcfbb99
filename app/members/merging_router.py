"""Merges over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Cursor, Limit, Now, Once, Requires, Session, documented
from app.core.paging import Page, id_after, next_cursor
from app.core.problems import KeyConflict, NotFound, WrongStatus
from app.members import merge_queries as queries
from app.members import merging, service
from app.members.merge_schemas import MergeCreate, MergeRead, MergeUndo, merge_read
from app.members.problems import ErasurePending
from app.points.problems import AlreadyMerged, HoldsOpen, MergedSince, NotMerged, SameMember, WalletClosed

router = APIRouter(prefix="/members", tags=["merges"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ))]
Director = Annotated[Actor, Depends(Requires(Right.MEMBERS_DECIDE))]

MERGED = documented(NotFound, SameMember, AlreadyMerged, ErasurePending, WrongStatus, HoldsOpen, KeyConflict)
PARTED = documented(NotFound, NotMerged, MergedSince, ErasurePending, WalletClosed, KeyConflict)


@router.post("/merges", status_code=201, response_model=MergeRead, responses=MERGED)
async def merges_create(body: MergeCreate, actor: Director, session: Session, now: Now, once: Once) -> Response:
    """Make two memberships of one person one: points, vehicles and all else go to the one that goes on."""

    async def merge() -> MergeRead:
        return merge_read(await merging.merge(session, actor, body.from_id, body.into_id, body.reason, now=now))

    return await once(body, merge)


@router.get("/merges/{merge_id}", responses=documented(NotFound))
async def merges_get(merge_id: UUID, actor: Reader, session: Session) -> MergeRead:
    """One merge."""
    return merge_read(await merging.found(session, actor, merge_id))


@router.post("/merges/{merge_id}/undo", response_model=MergeRead, responses=PARTED)
async def merges_undo(
    merge_id: UUID, body: MergeUndo, actor: Director, session: Session, now: Now, once: Once
) -> Response:
    """Part the two again: what is left of what went along comes back. The last merge of a chain first."""

    async def undo() -> MergeRead:
        return merge_read(await merging.undo(session, actor, merge_id, body.reason, now=now))

    return await once(body, undo)


@router.get("/{member_id}/merges", responses=documented(NotFound))
async def members_merges(
    member_id: UUID, actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[MergeRead]:
    """The merges a member took part in, those undone too; newest first."""
    member = (await service.profile(session, actor, member_id)).member
    found = await queries.merges(session, actor, member.id, before=id_after(cursor), limit=limit + 1)
    items = [merge_read(merge) for merge in found[:limit]]
    return Page[MergeRead](items=items, next_cursor=next_cursor(found, limit, lambda merge: (str(merge.id),)))
