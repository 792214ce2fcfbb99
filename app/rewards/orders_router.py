"""Orders of rewards over HTTP: members' own, the counter's, and the steps of who fulfils them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit import unmaskings
from app.core.actors import Actor, Right, Role
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    DryRun,
    Errand,
    Errands,
    Limit,
    Now,
    Requires,
    Session,
    documented,
)
from app.core.idempotency import once
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, WrongStatus
from app.points import problems
from app.points.confirmation import SIGNED_IN, Confirm
from app.rewards import catalogue_queries, orders
from app.rewards import orders_queries as queries
from app.rewards.bills import BillShare
from app.rewards.orders import Life
from app.rewards.orders_models import RewardOrder
from app.rewards.orders_queries import Ordered
from app.rewards.orders_rules import OrderStatus
from app.rewards.orders_schemas import (
    Cancellation,
    Confirmation,
    CounterOrderCreate,
    Delivery,
    Return,
    RewardOrderCreate,
    RewardOrderRead,
    RewardShipment,
)
from app.rewards.problems import CodesGiven, PointsChoice, RewardLimit, RewardNotOffered, RewardShort
from app.rewards.router import CodesInUse, GuardInUse
from app.settings import Settings

router = APIRouter(tags=["reward orders"], responses=GUARDED)

Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
SelfErrand = Annotated[Errand, Depends(Errands(Right.OWN_CARD))]
CounterErrand = Annotated[Errand, Depends(Errands(Right.COUNTER_SERVE))]
Reader = Annotated[Actor, Depends(Requires(Right.REWARDS_READ))]
Either = Annotated[Actor, Depends(Requires(Right.REWARDS_READ, Right.OWN_CARD))]
Fulfiller = Annotated[Actor, Depends(Requires(Right.REWARDS_FULFIL))]
FulfilErrand = Annotated[Errand, Depends(Errands(Right.REWARDS_FULFIL))]
EitherErrand = Annotated[Errand, Depends(Errands(Right.REWARDS_FULFIL, Right.OWN_CARD))]

STEP = documented(NotFound, WrongStatus)
POSTS = (NotFound, WrongStatus, KeyConflict, problems.WalletClosed)
PLACES = (
    NotFound, RewardNotOffered, RewardLimit, RewardShort, PointsChoice, KeyConflict, problems.WalletClosed,
    problems.InsufficientPoints,
)  # fmt: skip
CONFIRMS = (problems.ConfirmationRequired, problems.ConfirmationWrong, problems.ConfirmationLocked)
REHEARSED: dict[int | str, dict[str, Any]] = {
    200: {"model": RewardOrderRead, "description": "the dry run's answer; nothing was held"}
}


# --- placing ---


@router.post(
    "/members/me/reward-orders", status_code=201, response_model=RewardOrderRead,
    responses=documented(*PLACES) | REHEARSED,
)  # fmt: skip
async def reward_orders_order(
    body: RewardOrderCreate, errand: SelfErrand, settings: Config, dry_run: DryRun = False
) -> Response:
    """Order a reward as the signed-in member: its points are held, and its stock is reserved."""
    assert errand.actor.member_id is not None
    return await _placed(errand, errand.actor.member_id, body, SIGNED_IN, settings, dry_run)


@router.post(
    "/reward-orders", status_code=201, response_model=RewardOrderRead,
    responses=documented(*PLACES, *CONFIRMS) | REHEARSED,
)  # fmt: skip
async def reward_orders_place(
    body: CounterOrderCreate, errand: CounterErrand, codes: CodesInUse, guard: GuardInUse, settings: Config,
    dry_run: DryRun = False,
) -> Response:  # fmt: skip
    """Order a reward for the member at the counter, who confirms it by a one-time code; a dry run needs none."""
    code = codes.judge(body.member_id, body.code, errand.now) if body.code else None
    async with guard.guessing(errand.db.pool, errand.actor, errand.now):
        return await _placed(errand, body.member_id, body, Confirm(not dry_run, code), settings, dry_run)


async def _placed(
    errand: Errand, member_id: UUID, body: RewardOrderCreate, confirm: Confirm, settings: Settings, dry_run: bool
) -> Response:
    life = Life(timedelta(minutes=settings.hold_minutes), timedelta(hours=settings.reward_hold_hours))
    wrong: problems.ConfirmationWrong | None = None
    answer = Response()
    async with errand.db.session() as session:

        async def place() -> RewardOrderRead:
            ordered = await orders.place(
                session, errand.actor, member_id, body, confirm, life=life, share=BillShare.of(settings), now=errand.now
            )
            return await _single(session, errand.actor, ordered)

        try:
            answer = await once(
                session, caller=errand.actor.subject, key=None if dry_run else errand.key, now=errand.now, action=place,
                request=body.model_copy(update={"code": None}) if isinstance(body, CounterOrderCreate) else body,
                status=200 if dry_run else 201, target=str(member_id),
            )  # fmt: skip
        except problems.ConfirmationWrong as error:
            # the ledger has counted it, which stays; nothing else was written
            wrong = error
        if dry_run:
            await session.rollback()
    if wrong is not None:
        raise wrong
    return answer


# --- reading ---


@router.get("/members/me/reward-orders")
async def reward_orders_mine(
    actor: Self, session: Session, status: OrderStatus | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[RewardOrderRead]:
    """The signed-in member's orders, oldest first."""
    return await _page(session, actor, status, None, limit, cursor)


@router.get("/reward-orders")
async def reward_orders_list(
    actor: Reader,
    session: Session,
    status: OrderStatus | None = None,
    member_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RewardOrderRead]:
    """The orders served at the dealers one reaches, and those of their members, oldest first."""
    return await _page(session, actor, status, member_id, limit, cursor)


async def _page(
    session: AsyncSession, actor: Actor, status: OrderStatus | None, member_id: UUID | None, limit: int,
    cursor: str | None,
) -> Page[RewardOrderRead]:  # fmt: skip
    whose = [] if member_id is None else [col(RewardOrder.member_id) == member_id]
    found = await queries.orders(
        session, queries.visible_to(actor), *whose, status=status, after=id_after(cursor), limit=limit + 1
    )
    items = [_read(ordered) for ordered in found]
    return Page[RewardOrderRead].model_validate(paged(items, limit, lambda order: (str(order.id),)))


@router.get("/reward-orders/{order_id}", responses=documented(NotFound))
async def reward_orders_get(order_id: UUID, actor: Either, session: Session) -> RewardOrderRead:
    """One order; with its codes for the member, with where it is sent for who fulfils it, which goes on record."""
    found = await queries.order(session, order_id, queries.visible_to(actor))
    if found is None:
        raise NotFound("reward order")
    return await _single(session, actor, found)


# --- steps ---


@router.post(
    "/reward-orders/{order_id}/confirmation", response_model=RewardOrderRead,
    responses=documented(*POSTS, problems.HoldExpired),
)  # fmt: skip
async def reward_orders_confirm(order_id: UUID, body: Confirmation, errand: FulfilErrand, session: Session) -> Response:
    """Spend the points that are held; money that is due has been paid."""

    async def confirm() -> Ordered:
        return await orders.confirm(session, errand.actor, order_id, body.payment_reference, now=errand.now)

    return await _step(session, errand, order_id, body, confirm)


@router.post("/reward-orders/{order_id}/shipment", responses=STEP)
async def reward_orders_ship(
    order_id: UUID, body: RewardShipment, actor: Fulfiller, session: Session, now: Now
) -> RewardOrderRead:
    """Send a gift, under a tracking number."""
    return _read(await orders.ship(session, actor, order_id, body.carrier, body.tracking_no, now=now))


@router.post("/reward-orders/{order_id}/delivery", responses=STEP)
async def reward_orders_deliver(order_id: UUID, actor: Fulfiller, session: Session, now: Now) -> RewardOrderRead:
    """The member has it: it arrived, or was handed over."""
    return _read(await orders.deliver(session, actor, order_id, now=now))


@router.post(
    "/reward-orders/{order_id}/cancellation", response_model=RewardOrderRead,
    responses=documented(*POSTS, problems.HoldResolved),
)  # fmt: skip
async def reward_orders_cancel(
    order_id: UUID, body: Cancellation, errand: EitherErrand, session: Session, settings: Config
) -> Response:
    """Give the points back to their lots: a member until the order is confirmed, staff until it is sent."""
    grace = timedelta(days=settings.refund_grace_days)

    async def cancel() -> Ordered:
        return await orders.cancel(session, errand.actor, order_id, body.reason, grace=grace, now=errand.now)

    return await _step(session, errand, order_id, body, cancel)


@router.post(
    "/reward-orders/{order_id}/return", response_model=RewardOrderRead, responses=documented(*POSTS, CodesGiven)
)
async def reward_orders_return(
    order_id: UUID, body: Return, errand: FulfilErrand, session: Session, settings: Config
) -> Response:
    """Give back the points of what came back, or of a repair order that was cancelled."""
    grace = timedelta(days=settings.refund_grace_days)

    async def take_back() -> Ordered:
        return await orders.take_back(
            session, errand.actor, order_id, body.reason, is_restocked=body.is_restocked, grace=grace, now=errand.now
        )

    return await _step(session, errand, order_id, body, take_back)


async def _step(
    session: AsyncSession, errand: Errand, order_id: UUID, body: BaseModel, step: Callable[[], Awaitable[Ordered]]
) -> Response:
    async def answer() -> RewardOrderRead:
        return _read(await step())

    return await once(
        session, caller=errand.actor.subject, key=errand.key, request=body, now=errand.now, action=answer, status=200,
        target=str(order_id),
    )  # fmt: skip


def _read(ordered: Ordered) -> RewardOrderRead:
    order, reward = ordered
    shown = dict(order) | {"reward": reward.name, "kind": reward.kind, "delivery": None}
    return RewardOrderRead.model_validate(shown)


async def _single(session: AsyncSession, actor: Actor, ordered: Ordered) -> RewardOrderRead:
    """An order with what is the member's alone, or is needed to send it."""
    order, read = ordered.order, _read(ordered)
    if actor.role is Role.MEMBER:
        given = await catalogue_queries.codes_of(session, order.id)
        read.codes = [one.code for one in given]
        read.used_codes = [one.code for one in given if one.used_at is not None]
    if order.delivery is not None and (actor.role is Role.MEMBER or actor.may(Right.REWARDS_FULFIL)):
        read.delivery = Delivery.model_validate_json(order.delivery)
        if actor.role is not Role.MEMBER:
            unmaskings.note("reward_order", order.id)
    return read
