"""Vouchers over HTTP: members' own, what chapters see of them, and a partner's till."""

from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import segno
from fastapi import APIRouter, Depends, Response
from sqlalchemy import ColumnElement
from sqlmodel import col
from starlette.responses import HTMLResponse

from app.core import edge
from app.core.actors import Actor, Right
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    Errand,
    Errands,
    Limit,
    Now,
    OptionalKey,
    Requires,
    Session,
    documented,
)
from app.core.idempotency import once
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, WrongStatus
from app.identity.credentials_router import Sealing
from app.identity.problems import ListNotOurs
from app.members.problems import ConsentMissing
from app.partners import queries, till, vouchers
from app.partners.models import Voucher
from app.partners.problems import PerkGone, PerkLimit, PerkNotOffered, VoucherNotGood, VoucherUsed
from app.partners.queries import Held
from app.partners.rules import VoucherStatus
from app.partners.voucher_schemas import (
    OfflineList,
    OfflineOutcomes,
    OfflineUses,
    OwnVoucher,
    VoucherCheck,
    VoucherClaim,
    VoucherRead,
    VoucherReturn,
    VoucherSeen,
    VoucherUse,
)
from app.points.problems import InsufficientPoints, WalletClosed

router = APIRouter(tags=["vouchers"], responses=GUARDED)
page = APIRouter(tags=["service"])
"""Stands outside /api/v1: a page for people."""

Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
SelfErrand = Annotated[Errand, Depends(Errands(Right.OWN_CARD))]
Reader = Annotated[Actor, Depends(Requires(Right.PARTNERS_READ))]
Clerk = Annotated[Actor, Depends(Requires(Right.VOUCHERS_VERIFY))]

_TILL = (Path(__file__).parent / "till.html").read_bytes()
_QR: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the voucher's code as a QR code",
        "content": {"image/svg+xml": {"schema": {"type": "string"}}},
    }
}


# --- members ---


@router.post(
    "/members/me/vouchers", status_code=201, response_model=OwnVoucher,
    responses=documented(
        NotFound, PerkNotOffered, PerkGone, PerkLimit, ConsentMissing, InsufficientPoints, WalletClosed, KeyConflict
    ),
)  # fmt: skip
async def vouchers_claim(body: VoucherClaim, errand: SelfErrand, session: Session) -> Response:
    """Claim a perk: the answer has the code to show, and the points of its price are spent."""
    member_id = errand.actor.member_id
    assert member_id is not None

    async def claim() -> OwnVoucher:
        return own_voucher(await vouchers.claim(session, errand.actor, member_id, body.perk_id, now=errand.now))

    return await once(
        session, caller=errand.actor.subject, key=errand.key, request=body, now=errand.now, action=claim
    )  # fmt: skip


@router.get("/members/me/vouchers")
async def vouchers_mine(
    actor: Self, session: Session, status: VoucherStatus | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[OwnVoucher]:
    """The signed-in member's vouchers with their codes, oldest first."""
    found = await queries.vouchers(session, *_such(actor, status), after=id_after(cursor), limit=limit + 1)
    return Page[OwnVoucher].model_validate(
        paged([own_voucher(one) for one in found], limit, lambda one: (str(one.id),))
    )


@router.get("/members/me/vouchers/{voucher_id}/qr", response_class=Response, responses=documented(NotFound) | _QR)
async def vouchers_qr(voucher_id: UUID, actor: Self, session: Session) -> Response:
    """The code to show at the partner's till, as a QR code (SVG)."""
    held = await queries.voucher(session, col(Voucher.id) == voucher_id, *_such(actor, None))
    if held is None:
        raise NotFound("voucher")
    picture = BytesIO()
    segno.make_qr(held.voucher.code, error="m").save(picture, kind="svg", scale=8, light="#fff")
    return Response(picture.getvalue(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@router.post(
    "/members/me/vouchers/{voucher_id}/return", response_model=OwnVoucher,
    responses=documented(NotFound, WrongStatus, WalletClosed, KeyConflict),
)  # fmt: skip
async def vouchers_return(voucher_id: UUID, errand: SelfErrand, session: Session, settings: Config) -> Response:
    """Give a voucher back unused: its points return."""
    grace = timedelta(days=settings.refund_grace_days)

    async def give_back() -> OwnVoucher:
        return own_voucher(await vouchers.give_back(session, errand.actor, voucher_id, grace=grace, now=errand.now))

    return await once(
        session, caller=errand.actor.subject, key=errand.key, request=VoucherReturn(), now=errand.now,
        action=give_back, status=200, target=str(voucher_id),
    )  # fmt: skip


def _such(actor: Actor, status: VoucherStatus | None) -> list[ColumnElement[bool]]:
    mine = [col(Voucher.member_id) == actor.member_id]
    return mine if status is None else [*mine, col(Voucher.status) == status]


# --- staff ---


@router.get("/vouchers")
async def vouchers_list(
    actor: Reader,
    session: Session,
    member_id: UUID | None = None,
    partner_code: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[VoucherRead]:
    """Vouchers of members of the chapters one reaches, oldest first; without their codes."""
    wanted = [
        column == value
        for column, value in ((col(Voucher.member_id), member_id), (col(Voucher.partner_code), partner_code))
        if value is not None
    ]
    reached = queries.served_to(actor)
    found = await queries.vouchers(session, reached, *wanted, after=id_after(cursor), limit=limit + 1)
    items = [VoucherRead.model_validate(_fields(one)) for one in found]
    return Page[VoucherRead].model_validate(paged(items, limit, lambda one: (str(one.id),)))


# --- a partner's till ---


@router.post("/vouchers/checks", responses=documented(NotFound))
async def vouchers_check(body: VoucherCheck, actor: Clerk, session: Session, now: Now) -> VoucherSeen:
    """Whether a code is good today, and for what; nothing is used."""
    return await till.check(session, actor, body.code, now=now)


@router.post(
    "/vouchers/uses", status_code=201, response_model=VoucherSeen,
    responses=documented(NotFound, VoucherUsed, VoucherNotGood, KeyConflict),
)  # fmt: skip
async def vouchers_use(body: VoucherUse, actor: Clerk, session: Session, now: Now, key: OptionalKey = None) -> Response:
    """Use a voucher up; under the same Idempotency-Key a retry gets the first answer."""

    async def use() -> VoucherSeen:
        return await till.use(session, actor, body.code, now=now)

    return await once(session, caller=actor.subject, key=key, request=body, now=now, action=use)


@router.get("/vouchers/offline")
async def vouchers_offline(actor: Clerk, session: Session, seals: Sealing, now: Now) -> OfflineList:
    """What a till needs to judge vouchers by itself: digests of the codes that are still good."""
    return await till.offline_list(session, seals, actor, now=now)


@router.post("/vouchers/offline", responses=documented(ListNotOurs))
async def vouchers_report(
    body: OfflineUses, actor: Clerk, session: Session, seals: Sealing, now: Now
) -> OfflineOutcomes:
    """Report what a till noted by itself; lines that conflict with what is on record say why. Repeating is harmless."""
    return await till.report(session, seals, actor, body, now=now)


@page.get("/partner", include_in_schema=False, response_class=HTMLResponse)
async def vouchers_page() -> HTMLResponse:
    """A page for a partner's clerk: sign in, scan or type a code, use it."""
    return HTMLResponse(_TILL, headers={"Content-Security-Policy": edge.page_policy(_TILL)})


def own_voucher(held: Held) -> OwnVoucher:
    """A voucher with its code, for whom it was made."""
    return OwnVoucher.model_validate(_fields(held))


def _fields(held: Held) -> dict[str, Any]:
    return dict(held.voucher) | {"perk": held.perk.name}
