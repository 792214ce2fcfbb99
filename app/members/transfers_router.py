"""Transfers, places and the closing of chapters over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.chapters.router import Code
from app.chapters.schemas import DealerCode
from app.core.actors import Actor, Right
from app.core.http import GUARDED, Config, Cursor, Limit, Now, Once, Requires, Session, documented
from app.core.paging import Page, id_after, next_cursor
from app.core.problems import Forbidden, KeyConflict, NotFound, WrongStatus
from app.members import closing, places, service, transfers
from app.members import transfer_queries as queries
from app.members.problems import EventsOpen, NoChapter, TransferOpen
from app.members.transfer_rules import TransferStatus
from app.members.transfer_schemas import (
    Acceptance,
    ChapterClosed,
    ChapterClosing,
    PlaceList,
    PlaceRead,
    TransferAsk,
    TransferEnd,
    TransferRead,
)
from app.members.transfers import Shown

router = APIRouter(tags=["transfers"], responses=GUARDED)

ReaderOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, Right.OWN_CARD))]
EditorOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_WRITE, Right.OWN_CARD))]
Director = Annotated[Actor, Depends(Requires(Right.MEMBERS_DECIDE))]
DirectorOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_DECIDE, Right.OWN_CARD))]
Headquarters = Annotated[Actor, Depends(Requires(Right.NETWORK_WRITE))]


@router.post(
    "/members/{member_id}/transfers", status_code=201, response_model=TransferRead,
    responses=documented(NotFound, NoChapter, TransferOpen, WrongStatus, KeyConflict),
)  # fmt: skip
async def transfers_ask(
    member_id: UUID, body: TransferAsk, actor: EditorOrSelf, session: Session, now: Now, config: Config,
    once: Once,
) -> Response:  # fmt: skip
    """Ask for a member's transfer to another chapter; whoever is to receive the member answers."""

    async def ask() -> TransferRead:
        days = config.transfer_answer_days
        return _read(await transfers.ask(session, actor, member_id, body, answer_days=days, now=now))

    return await once(body, ask)


@router.get("/members/{member_id}/places", responses=documented(NotFound))
async def members_places(member_id: UUID, actor: ReaderOrSelf, session: Session) -> PlaceList:
    """Where a member was, and since when it is where it is."""
    member = (await service.profile(session, actor, member_id)).member
    found = await places.history(session, member.id)
    return PlaceList(items=[PlaceRead.model_validate(place, from_attributes=True) for place in found])


@router.get("/transfers")
async def transfers_list(
    actor: ReaderOrSelf,
    session: Session,
    status: TransferStatus | None = None,
    dealer_code: Annotated[DealerCode | None, Query(description="the chapter at either end")] = None,
    member_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[TransferRead]:
    """The transfers from and to the chapters one reaches, or one's own as a member; first asked first."""
    found = await queries.transfers(
        session, actor, status=status, dealer_code=dealer_code, member_id=member_id, after=id_after(cursor),
        limit=limit + 1,
    )  # fmt: skip
    items = [_read(shown) for shown in await transfers.shown(session, actor, found[:limit])]
    return Page[TransferRead](items=items, next_cursor=next_cursor(found, limit, lambda transfer: (str(transfer.id),)))


@router.get("/transfers/{transfer_id}", responses=documented(NotFound))
async def transfers_get(transfer_id: UUID, actor: ReaderOrSelf, session: Session) -> TransferRead:
    """One transfer."""
    return _read(await transfers.transfer(session, actor, transfer_id))


@router.post(
    "/transfers/{transfer_id}/acceptance", response_model=TransferRead,
    responses=documented(NotFound, Forbidden, WrongStatus, NoChapter, KeyConflict),
)  # fmt: skip
async def transfers_accept(transfer_id: UUID, actor: Director, session: Session, now: Now, once: Once) -> Response:
    """Take the member in, as the receiving chapter: at once, or from the day that was asked for."""

    async def accept() -> TransferRead:
        return _read(await transfers.accept(session, actor, transfer_id, now=now))

    return await once(Acceptance(), accept)


@router.post("/transfers/{transfer_id}/refusal", responses=documented(NotFound, Forbidden, WrongStatus))
async def transfers_refuse(
    transfer_id: UUID, body: TransferEnd, actor: Director, session: Session, now: Now
) -> TransferRead:
    """Refuse the member, as the receiving chapter, with the reason."""
    return _read(await transfers.refuse(session, actor, transfer_id, body.reason, now=now))


@router.post("/transfers/{transfer_id}/withdrawal", responses=documented(NotFound, Forbidden, WrongStatus))
async def transfers_withdraw(
    transfer_id: UUID, body: TransferEnd, actor: DirectorOrSelf, session: Session, now: Now
) -> TransferRead:
    """Take a transfer back before it takes effect, as the member or its present chapter, with the reason."""
    return _read(await transfers.withdraw(session, actor, transfer_id, body.reason, now=now))


@router.post(
    "/dealers/{code}/chapter/closing", response_model=ChapterClosed,
    responses=documented(NotFound, NoChapter, EventsOpen, KeyConflict),
)  # fmt: skip
async def chapters_close(
    code: Code, body: ChapterClosing, actor: Headquarters, session: Session, now: Now, once: Once
) -> Response:
    """Close a chapter from today on; its members and what they wait for go to another one, or on headquarters' roll."""

    async def close() -> ChapterClosed:
        return await closing.close(session, actor, code, body, now=now)

    return await once(body, close)


def _read(shown: Shown) -> TransferRead:
    return TransferRead(**dict(shown.transfer), member_no=shown.member_no, name=shown.name)
