"""Abuse signals over HTTP, for headquarters."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.core.actors import Actor, Right
from app.core.catalogue import Language, text
from app.core.http import (
    GUARDED,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Requires,
    Session,
    Speaks,
    documented,
    etag,
    version_of,
)
from app.core.paging import Page, id_after, paged
from app.core.problems import NotFound, PreconditionFailed
from app.reports import signals
from app.reports.signals_models import Signal, SignalKind, SignalStatus
from app.reports.signals_schemas import Judgement, SignalRead, StaffPhones, StaffPhonesRead

router = APIRouter(tags=["signals"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.SIGNALS_READ))]
Judge = Annotated[Actor, Depends(Requires(Right.SIGNALS_DECIDE))]


@router.get("/signals")
async def signals_list(
    _: Reader,
    session: Session,
    language: Speaks,
    kind: SignalKind | None = None,
    status: SignalStatus | None = None,
    dealer_code: Annotated[str | None, Query(max_length=16)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[SignalRead]:
    """What looks like abuse, with its reasons, and earnings that a rule holds for review; first found first."""
    found = await signals.page(
        session, kind=kind, status=status, dealer_code=dealer_code, after=id_after(cursor), limit=limit + 1
    )
    items = [_read(signal, language) for signal in found]
    return Page[SignalRead].model_validate(paged(items, limit, lambda signal: (str(signal.id),)))


@router.get("/signals/{signal_id}", responses=documented(NotFound))
async def signals_get(
    signal_id: UUID, _: Reader, session: Session, language: Speaks, response: Response
) -> SignalRead:  # fmt: skip
    """One signal."""
    return _tagged(response, await signals.get(session, signal_id), language)


@router.post("/signals/{signal_id}/judgement", responses=documented(NotFound, PreconditionFailed))
async def signals_judge(
    signal_id: UUID, body: Judgement, if_match: IfMatch, actor: Judge, session: Session, now: Now, language: Speaks,
    response: Response,
) -> SignalRead:  # fmt: skip
    """Clear a signal or confirm it; cleared, it comes back only when there is more of it."""
    version = version_of(if_match)
    found = await signals.judge(session, actor, signal_id, body, version=version, now=now)
    return _tagged(response, found, language)


@router.put("/accounts/{account_id}/phones", responses=documented(NotFound))
async def accounts_set_phones(account_id: UUID, body: StaffPhones, _: Judge, session: Session) -> StaffPhonesRead:
    """Make the numbers known by which somebody of the staff would be found as a member."""
    return StaffPhonesRead(count=await signals.set_phones(session, account_id, body.phones))


def _tagged(response: Response, signal: Signal, language: Language) -> SignalRead:
    response.headers["ETag"] = etag(signal.version)
    return _read(signal, language)


def _read(signal: Signal, language: Language) -> SignalRead:
    return SignalRead(**dict(signal), reason=text(language, f"signal.{signal.kind}", signal.facts))
