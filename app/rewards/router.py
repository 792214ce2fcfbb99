"""The counter: find the member, hold or redeem points, give them back; and the member's confirmation codes."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response

from app.core.actors import Actor, Right
from app.core.clock import china_date
from app.core.http import GUARDED, Config, Db, DirectRoute, DryRun, Errand, Errands, Now, Requires, Sms, documented
from app.core.problems import KeyConflict, NotFound, SmsUnavailable
from app.identity.seals import Seals
from app.members.problems import TooManyCodes
from app.points import ledger, problems
from app.points.answers import posting_response, request_of
from app.points.ledger import Posting
from app.rewards import service
from app.rewards.bills import BillShare
from app.rewards.codes import Codes
from app.rewards.guard import Guard
from app.rewards.problems import PointsChoice
from app.rewards.schemas import (
    CaptureCreate,
    CodeRequest,
    CodeSent,
    CodeShown,
    CounterLookup,
    CounterRead,
    RedemptionCreate,
    RedemptionRead,
    RefundCreate,
    RehearsalRead,
)

router = APIRouter(tags=["redemption"], responses=GUARDED)
busiest = APIRouter(tags=["redemption"], responses=GUARDED, route_class=DirectRoute)

CounterErrand = Annotated[Errand, Depends(Errands(Right.POINTS_REDEEM))]
Staff = Annotated[Actor, Depends(Requires(Right.COUNTER_SERVE))]
Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
PostingNo = Annotated[int, Path(ge=1, lt=1 << 63)]
POSTED = documented(NotFound, KeyConflict, problems.WalletClosed) | {201: {"model": RedemptionRead}}
CONFIRMED = documented(
    NotFound, KeyConflict, problems.WalletClosed, problems.InsufficientPoints, problems.ConfirmationRequired,
    problems.ConfirmationWrong, problems.ConfirmationLocked, PointsChoice,
) | {201: {"model": RedemptionRead}}  # fmt: skip


async def _codes(request: Request) -> Codes:
    codes: Codes = request.app.state.codes
    return codes


async def _guard(request: Request) -> Guard:
    guard: Guard = request.app.state.guard
    return guard


async def _seals(request: Request) -> Seals:
    seals: Seals = request.app.state.seals
    return seals


CodesInUse = Annotated[Codes, Depends(_codes)]
GuardInUse = Annotated[Guard, Depends(_guard)]

_BALANCES = ("pending", "held", "owed")


def _answer(actor: Actor, posting: Posting, *, dry_run: bool = False) -> Response:
    """What serving the member needs, whose chapter may be another."""
    if not actor.role.is_dealer_staff:
        return posting_response(posting, dry_run=dry_run)
    return posting_response(posting, dry_run=dry_run, without=("posting_no", *_BALANCES) if dry_run else _BALANCES)


@router.post("/counter/lookup", response_model=CounterRead, responses=documented(NotFound))
async def counter_lookup(body: CounterLookup, actor: Staff, db: Db, guard: GuardInUse, now: Now) -> CounterRead:
    """Find the member at the counter, of whatever chapter, by exactly one of card number, VIN and phone.

    An account may look up 300 an hour, and find nobody 60 times; members of other chapters go on record.
    """
    return await service.at_counter(db, guard, actor, body, now=now)


@busiest.post(
    "/redemptions",
    status_code=201,
    responses=CONFIRMED | {200: {"model": RehearsalRead, "description": "the dry run's answer; nothing was posted"}},
)
async def redemptions_redeem(
    body: RedemptionCreate, errand: CounterErrand, codes: CodesInUse, guard: GuardInUse, settings: Config,
    dry_run: DryRun = False,
) -> Response:  # fmt: skip
    """Spend a member's points on a repair order at once, earliest expiry first.

    A dry run needs no code. An account whose codes were wrong 20 times is refused for the rest of the hour.
    """
    request = request_of(errand, body, apart_from={"code"})
    share = BillShare.of(settings)
    posting = await service.redeem(errand.db, guard, errand.actor, body, codes, request, share=share, dry_run=dry_run)
    return _answer(errand.actor, posting, dry_run=dry_run)


@router.post(
    "/redemptions/{member_id}/{posting_no}/refund",
    status_code=201,
    responses=POSTED | documented(problems.ExceedsOriginal, problems.WrongKind),
)
async def redemptions_refund(
    member_id: UUID, posting_no: PostingNo, body: RefundCreate, errand: CounterErrand, settings: Config
) -> Response:
    """Give points of a redemption back to the lots they came from; lapsed ones get days of grace."""
    await service.require_own(errand.db.pool, errand.actor, member_id, posting_no)
    posting = await ledger.refund(
        errand.db.pool, member_id, posting_no, body.points,
        grace_until=china_date(errand.now) + timedelta(days=settings.refund_grace_days),
        cause=f"refund:{posting_no}", reason=body.reason, request=request_of(errand, body, posting_no),
    )  # fmt: skip
    return _answer(errand.actor, posting)


@busiest.post("/holds", status_code=201, responses=CONFIRMED)
async def holds_create(
    body: RedemptionCreate, errand: CounterErrand, codes: CodesInUse, guard: GuardInUse, settings: Config
) -> Response:
    """Set points aside for a repair order until it is captured, released or too old."""
    request = request_of(errand, body, apart_from={"code"})
    posting = await service.hold(
        errand.db, guard, errand.actor, body, codes, request, share=BillShare.of(settings),
        life=timedelta(minutes=settings.hold_minutes),
    )  # fmt: skip
    return _answer(errand.actor, posting)


@router.post(
    "/holds/{member_id}/{posting_no}/capture",
    status_code=201,
    responses=POSTED | documented(problems.ExceedsOriginal, problems.HoldResolved, problems.HoldExpired),
)
async def holds_capture(member_id: UUID, posting_no: PostingNo, body: CaptureCreate, errand: CounterErrand) -> Response:
    """Spend a hold, whole or in part; the rest goes back."""
    pool = errand.db.pool
    await service.require_own(pool, errand.actor, member_id, posting_no)
    request = request_of(errand, body, posting_no)
    posting = await ledger.capture(
        pool, member_id, posting_no, body.points, cause=f"hold:{posting_no}", request=request
    )
    return _answer(errand.actor, posting)


@router.post(
    "/holds/{member_id}/{posting_no}/release",
    status_code=201,
    responses=POSTED | documented(problems.HoldResolved),
)
async def holds_release(member_id: UUID, posting_no: PostingNo, errand: CounterErrand) -> Response:
    """Give a hold's points back."""
    pool = errand.db.pool
    await service.require_own(pool, errand.actor, member_id, posting_no)
    request = ledger.Request(errand.actor.subject, errand.key, errand.now)
    posting = await ledger.release(pool, member_id, posting_no, cause=f"hold:{posting_no}", request=request)
    return _answer(errand.actor, posting)


@router.post(
    "/redemptions/codes",
    status_code=202,
    response_model=CodeSent,
    responses=documented(NotFound, problems.WalletClosed, TooManyCodes, SmsUnavailable),
)
async def redemptions_send_code(
    body: CodeRequest, actor: Staff, db: Db, seals: Annotated[Seals, Depends(_seals)], codes: CodesInUse, sms: Sms,
    now: Now,
) -> CodeSent:  # fmt: skip
    """Send the member a confirmation code by SMS for these points at the actor's dealer.

    One a minute, five an hour, ten a day for a member, whichever counter asks.
    """
    return CodeSent(valid_until=await service.send_code(db, seals, actor, body, codes, sms, now))


@router.get("/redemptions/code", response_model=CodeShown)
async def redemptions_code(actor: Self, codes: CodesInUse, now: Now, response: Response) -> CodeShown:
    """The code the member shows at the counter; a new one every minute, each good for one redemption."""
    assert actor.member_id is not None
    response.headers["Cache-Control"] = "no-store"
    code, valid_until = codes.current(actor.member_id, now)
    return CodeShown(code=code, valid_until=valid_until)
