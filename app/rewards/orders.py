"""Orders of rewards: points held and stock reserved together, then spent and issued together, or both given back.

Locks, always in this order: the repair order it pays, the order, its reward, and last the wallet (in the ledger).
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import HEADQUARTERS, Actor, Role
from app.core.clock import china_date
from app.core.db import Database, new_id, raw, unrestricted
from app.core.problems import InvalidPayload, NotFound, WrongStatus
from app.core.transitions import require_step
from app.members.rules import MemberStatus
from app.partners import queries as partners
from app.points import ledger
from app.points.confirmation import Confirm
from app.points.ledger import Request
from app.points.problems import WalletClosed
from app.rewards import bills_queries, catalogue
from app.rewards import orders_queries as queries
from app.rewards.bills import BillShare
from app.rewards.catalogue_models import Reward
from app.rewards.catalogue_queries import customer as customer_of
from app.rewards.catalogue_queries import open_to
from app.rewards.catalogue_queries import reward as reward_where
from app.rewards.catalogue_rules import SHIPPED_KINDS, RewardKind, Split, choice_of, price_for, share_fen
from app.rewards.orders_models import RewardOrder
from app.rewards.orders_queries import Ordered
from app.rewards.orders_rules import ORDER_TRANSITIONS, OrderStatus
from app.rewards.orders_schemas import Bill, CounterOrderCreate, RewardOrderCreate
from app.rewards.problems import CodesGiven, PointsChoice, RewardLimit, RewardNotOffered

SYSTEM = "system"


class Life(NamedTuple):
    """How long points are held: for a bill at the counter, and for what is fulfilled later."""

    at_counter: timedelta
    otherwise: timedelta


# --- placing ---


async def place(
    session: AsyncSession, actor: Actor, member_id: UUID, body: RewardOrderCreate, confirm: Confirm, *, life: Life,
    share: BillShare | None, now: datetime,
) -> Ordered:  # fmt: skip
    """Hold a member's points and reserve the stock; what is given at once and owes no money goes through at once.

    Nothing is written before the ledger has agreed, so that a wrong code can be counted and all else refused. `share`
    is headquarters' of a whole bill, if it set one.

    Raises:
        NotFound: there is no such member or reward for the actor.
        RewardNotOffered, RewardLimit, RewardShort, PointsChoice.
        InvalidPayload: the reward is for the counter, needs a bill, or takes no bill or no delivery.
        WalletClosed: the member is not active.
        InsufficientPoints, ConfirmationRequired, ConfirmationWrong, ConfirmationLocked: as the ledger says.
    """
    await unrestricted(session)
    bill = body.bill if isinstance(body, CounterOrderCreate) else None
    if bill and actor.dealer_code:
        await bills_queries.lock_bill(await raw(session), actor.dealer_code, bill.order_no)
    reward = await _orderable(session, actor, body.reward_id)
    tier = await _require_for(session, actor, reward, member_id, now)
    await _require_allowance(session, reward, member_id, body.quantity)
    split = await _split(session, actor, reward, body, bill, tier, share)
    order = RewardOrder(
        id=new_id(), reward_id=reward.id, member_id=member_id, wallet_id=member_id, quantity=body.quantity, tier=tier,
        dealer_code=_served_at(actor, reward), points=split.points, money_fen=split.money_fen,
        order_no=bill.order_no if bill else None, bill_fen=split.bill_fen,
        delivery=body.delivery.model_dump_json() if body.delivery else None, hold_no=0, placed_by=actor.subject,
        placed_at=now, held_until=now + (life.at_counter if bill else life.otherwise),
    )  # fmt: skip
    await _hold(session, order, confirm, await place_of(session, actor, reward), now)
    reward.reserved += order.quantity
    session.add(order)
    if split.money_fen == 0 and not bill and reward.kind not in SHIPPED_KINDS:
        await _confirm(session, actor.subject, Ordered(order, reward), now)
    await session.flush()
    return Ordered(order, reward)


async def _orderable(session: AsyncSession, actor: Actor, reward_id: UUID, *, locked: bool = True) -> Reward:
    found = await reward_where(session, col(Reward.id) == reward_id, locked=locked)
    serves = actor.role is Role.MEMBER or found is None or found.dealer_code in (None, *actor.dealers)
    if found is None or not serves:
        raise NotFound("reward")
    return found


async def _require_for(
    session: AsyncSession, actor: Actor, reward: Reward, member_id: UUID, now: datetime
) -> str | None:
    """The member's tier, when the reward is for this member today."""
    member = await customer_of(session, member_id)
    if member is None:
        raise NotFound("member")
    if actor.role is Role.MEMBER and reward.dealer_code not in (None, member.dealer_code):
        raise NotFound("reward")
    if member.status is not MemberStatus.ACTIVE:
        raise WalletClosed
    tier = await catalogue.tier_of(session, member_id, china_date(now))
    is_open = open_to(member.dealer_code, tier, china_date(now))
    if await reward_where(session, col(Reward.id) == reward.id, is_open) is None:
        raise RewardNotOffered
    return tier


async def _require_allowance(session: AsyncSession, reward: Reward, member_id: UUID, quantity: int) -> None:
    catalogue.require_left(reward, quantity)
    if reward.limit_per_member is not None:
        taken = await queries.taken(session, reward.id, member_id)
        if taken + quantity > reward.limit_per_member:
            raise RewardLimit(limit=reward.limit_per_member, taken=taken)


async def _split(
    session: AsyncSession, actor: Actor, reward: Reward, body: RewardOrderCreate, bill: Bill | None, tier: str | None,
    share: BillShare | None,
) -> Split:  # fmt: skip
    if body.delivery is not None and reward.kind not in SHIPPED_KINDS:
        raise InvalidPayload.at("/delivery", "not_for_this_reward")
    if reward.kind == RewardKind.SERVICE:
        return await _share_of(session, actor, reward, body, bill, share)
    if bill is not None:
        raise InvalidPayload.at("/bill", "not_for_this_reward")
    price = price_for(reward.prices, tier)
    assert price is not None, "a reward without a price for the tier is not open to it"
    choice = choice_of(price, body.quantity, reward.fen_per_point if reward.kind != RewardKind.DONATION else None)
    split = choice.split(body.points)
    if split is None:
        raise PointsChoice(least=choice.least, most=choice.most)
    return split


async def _share_of(
    session: AsyncSession, actor: Actor, reward: Reward, body: RewardOrderCreate, bill: Bill | None,
    share: BillShare | None,
) -> Split:  # fmt: skip
    """As many points as the member chose, of a repair order; the rest of it is money, to the fen."""
    if actor.dealer_code is None:
        raise InvalidPayload.at("/reward_id", "at_the_counter")
    if bill is None or body.points is None or body.quantity != 1:
        pointer = "/bill" if bill is None else "/points" if body.points is None else "/quantity"
        raise InvalidPayload.at(pointer, "missing" if pointer != "/quantity" else "not_for_this_reward")
    assert reward.max_share_percent is not None
    assert reward.fen_per_point is not None
    paid = await bills_queries.paid_of(
        await raw(session), actor.dealer_code, bill.order_no, reward.id, plainly=share is not None
    )
    own_fen = share_fen(bill.by_part(), reward.covers, reward.max_share_percent) - paid.by_reward_fen
    whole_fen = (bill.total_fen if share is None else share.fen(bill.total_fen)) - paid.in_all_fen
    most = max(0, min(own_fen, whole_fen)) // reward.fen_per_point
    if body.points > most:
        raise PointsChoice(least=min(1, most), most=most)
    open_fen = bill.total_fen - paid.in_all_fen
    return Split(body.points, open_fen - body.points * reward.fen_per_point, open_fen)


def _served_at(actor: Actor, reward: Reward) -> str | None:
    """A chapter's own reward with the chapter, a service where the car stands, the rest by headquarters."""
    return reward.dealer_code or (actor.dealer_code if reward.kind == RewardKind.SERVICE else None)


async def place_of(session: AsyncSession, actor: Actor, reward: Reward) -> str:
    """Where its points are spent, which is what settlement goes by: as served, a national partner's voucher with it."""
    if reward.partner_code is not None:
        return await partners.place(session, reward.partner_code)
    return _served_at(actor, reward) or HEADQUARTERS


async def place_at_counter(session: AsyncSession, actor: Actor, reward_id: UUID) -> str:
    """Where points of a reward are spent that is ordered at the actor's counter.

    Raises:
        NotFound: there is no such reward for the actor.
    """
    return await place_of(session, actor, await _orderable(session, actor, reward_id, locked=False))


# --- what the ledger does ---


async def _hold(session: AsyncSession, order: RewardOrder, confirm: Confirm, place: str, now: datetime) -> None:
    posting = await ledger.hold(
        await raw(session), order.wallet_id, order.points, place=place, cause=_cause(order), until=order.held_until,
        request=_request(order, order.placed_by, "hold", now), confirm=confirm.needed, code=confirm.code,
    )  # fmt: skip
    order.hold_no = posting.posting_no


async def _capture(session: AsyncSession, order: RewardOrder, by: str, now: datetime) -> None:
    posting = await ledger.capture(
        await raw(session), order.wallet_id, order.hold_no, order.points, cause=_cause(order),
        request=_request(order, by, "capture", now),
    )  # fmt: skip
    order.capture_no = posting.posting_no


async def _release(session: AsyncSession, order: RewardOrder, by: str, now: datetime) -> None:
    request = _request(order, by, "release", now)
    await ledger.release(await raw(session), order.wallet_id, order.hold_no, cause=_cause(order), request=request)


async def _refund(
    session: AsyncSession, order: RewardOrder, by: str, reason: str, grace: timedelta, now: datetime
) -> None:
    assert order.capture_no is not None
    await ledger.refund(
        await raw(session), order.wallet_id, order.capture_no, None, grace_until=china_date(now) + grace,
        cause=_cause(order), reason=reason, request=_request(order, by, "refund", now),
    )  # fmt: skip


def _cause(order: RewardOrder) -> str:
    return f"reward:{order.id}"


def _request(order: RewardOrder, by: str, step: str, now: datetime) -> Request:
    return Request(by, f"reward:{order.id}:{step}", now)


# --- steps ---


async def confirm(
    session: AsyncSession, actor: Actor, order_id: UUID, payment_reference: str | None, *, now: datetime
) -> Ordered:
    """Spend what is held; what is not handed over is the member's with that.

    Raises:
        NotFound, WrongStatus.
        InvalidPayload: money is due, and nothing says that it was paid.
        HoldExpired: the hold's time has run out; the order lapses.
        WalletClosed: the member is not active any more.
    """
    ordered = await _step(session, actor, order_id, OrderStatus.CONFIRMED)
    order = ordered.order
    if order.money_fen and order.order_no is None and payment_reference is None:
        raise InvalidPayload.at("/payment_reference", "missing")
    order.payment_reference = payment_reference
    await _confirm(session, actor.subject, ordered, now)
    await session.flush()
    return ordered


async def _confirm(session: AsyncSession, by: str, ordered: Ordered, now: datetime) -> None:
    order, reward = ordered
    await _capture(session, order, by, now)
    order.status, order.confirmed_by, order.confirmed_at = OrderStatus.CONFIRMED, by, now
    reward.reserved -= order.quantity
    reward.issued += order.quantity
    if reward.kind not in SHIPPED_KINDS:
        await catalogue.give_codes(session, reward, order.id, order.quantity, now)
        _deliver(order, by, now)


async def ship(
    session: AsyncSession, actor: Actor, order_id: UUID, carrier: str, tracking_no: str, *, now: datetime
) -> Ordered:
    """Send a gift on its way.

    Raises:
        NotFound, WrongStatus.
    """
    ordered = await _step(session, actor, order_id, OrderStatus.SHIPPED)
    order = ordered.order
    order.carrier, order.tracking_no, order.shipped_by, order.shipped_at = carrier, tracking_no, actor.subject, now
    order.status = OrderStatus.SHIPPED
    await session.flush()
    return ordered


async def deliver(session: AsyncSession, actor: Actor, order_id: UUID, *, now: datetime) -> Ordered:
    """Note that the member has it, sent or handed over.

    Raises:
        NotFound, WrongStatus.
    """
    ordered = await _step(session, actor, order_id, OrderStatus.DELIVERED)
    _deliver(ordered.order, actor.subject, now)
    await session.flush()
    return ordered


def _deliver(order: RewardOrder, by: str, now: datetime) -> None:
    order.status, order.delivered_by, order.delivered_at = OrderStatus.DELIVERED, by, now


async def cancel(
    session: AsyncSession, actor: Actor, order_id: UUID, reason: str, *, grace: timedelta, now: datetime
) -> Ordered:
    """Give an order's points back to their lots, and its stock; a member does so only until it is confirmed.

    Raises:
        NotFound, WrongStatus.
        HoldResolved: the ledger has released the points already; the order lapses.
        WalletClosed.
    """
    ordered = await _step(session, actor, order_id, OrderStatus.CANCELLED)
    order, reward = ordered
    if order.status == OrderStatus.HELD:
        await _give_up(session, actor, order, reason, grace, now)
        reward.reserved -= order.quantity
    elif actor.role is Role.MEMBER:
        raise WrongStatus(current=order.status, allowed=(OrderStatus.HELD,))
    else:
        await _refund(session, order, actor.subject, reason, grace, now)
        reward.issued -= order.quantity
    await _end(session, order, OrderStatus.CANCELLED, actor.subject, now, reason)
    return ordered


async def _give_up(
    session: AsyncSession, actor: Actor, order: RewardOrder, reason: str, grace: timedelta, now: datetime
) -> None:
    """Give held points back. What lapsed meanwhile is gone when the member gives up, or the hold's time is over; when
    staff cancel, it is captured and refunded, and so lives on for the days of grace.
    """
    is_theirs = actor.role is Role.MEMBER or order.held_until <= now
    if is_theirs or not await queries.has_lapsed(await raw(session), order.wallet_id, order.hold_no, china_date(now)):
        await _release(session, order, actor.subject, now)
        return
    await _capture(session, order, actor.subject, now)
    order.confirmed_by, order.confirmed_at = actor.subject, now
    await _refund(session, order, actor.subject, reason, grace, now)


async def take_back(
    session: AsyncSession, actor: Actor, order_id: UUID, reason: str, *, is_restocked: bool, grace: timedelta,
    now: datetime,
) -> Ordered:  # fmt: skip
    """Give the points of what came back to their lots; `is_restocked`: it can be given again.

    Raises:
        NotFound, WrongStatus, WalletClosed.
        CodesGiven: the member has its codes.
    """
    ordered = await _step(session, actor, order_id, OrderStatus.RETURNED)
    order, reward = ordered
    if reward.codes is not None:
        raise CodesGiven
    await _refund(session, order, actor.subject, reason, grace, now)
    if is_restocked:
        reward.issued -= order.quantity
    order.is_restocked = is_restocked
    await _end(session, order, OrderStatus.RETURNED, actor.subject, now, reason)
    return ordered


async def lapse(database: Database, *, now: datetime, batch: int = 200) -> int:
    """End orders whose time has run out, and give their stock back; how many. The ledger releases their holds."""
    done = 0
    async with database.session() as session:
        due = await queries.lapsed(session, now, batch)
    for order_id in due:
        async with database.session() as session:
            order = await queries.locked(session, order_id, col(RewardOrder.status) == OrderStatus.HELD)
            if order is not None:
                (await _reward_of(session, order)).reserved -= order.quantity
                await _end(session, order, OrderStatus.LAPSED, SYSTEM, now, None)
                done += 1
    return done


async def _end(
    session: AsyncSession, order: RewardOrder, to: OrderStatus, by: str, now: datetime, reason: str | None
) -> None:
    order.status, order.ended_by, order.ended_at, order.reason = to, by, now, reason
    await queries.reopen_bill(session, order)
    await session.flush()


async def _step(session: AsyncSession, actor: Actor, order_id: UUID, to: OrderStatus) -> Ordered:
    """An order and its reward, locked, for a step that its status allows; a member's own, else one the actor serves."""
    whose = col(RewardOrder.member_id) == actor.member_id if actor.role is Role.MEMBER else queries.served_by(actor)
    order = await queries.locked(session, order_id, whose)
    if order is None:
        raise NotFound("reward order")
    require_step(ORDER_TRANSITIONS, order.status, to)
    # the member may be another chapter's: what follows is the order's
    await unrestricted(session)
    return Ordered(order, await _reward_of(session, order))


async def _reward_of(session: AsyncSession, order: RewardOrder) -> Reward:
    found = await reward_where(session, col(Reward.id) == order.reward_id, locked=True)
    assert found is not None
    return found
