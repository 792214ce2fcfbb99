"""Points spent at a dealer's counter, confirmed by the member."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from uuid import UUID

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import queries as chapters
from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.db import Connection, Database, rehearsal
from app.core.problems import InvalidPayload, NotFound, SmsUnavailable
from app.core.sms import Message, Purpose, SmsSender
from app.identity.seals import Seals
from app.members import queries as members
from app.members import sign_in
from app.members.problems import TooManyCodes
from app.members.rules import MemberStatus
from app.partners import perks
from app.partners import queries as partners
from app.partners.queries import is_a_vouchers
from app.points import ledger
from app.points import queries as points
from app.points.ledger import Code, Posting, Request
from app.points.problems import WalletClosed
from app.rewards import bills, orders
from app.rewards.bills import BillShare
from app.rewards.codes import SMS_LIFE, Codes
from app.rewards.guard import Guard
from app.rewards.orders_queries import is_an_orders
from app.rewards.schemas import CodeRequest, CounterLookup, CounterRead, RedemptionCreate
from app.visits.queries import cause

_A_MINUTE_SECONDS = 60
"""Between two codes of one member, as the ledger has it."""

IsOthers = Callable[[Connection, UUID, int], Awaitable[bool]]
"""Whether a wallet's posting belongs to something whose own steps alone resolve it."""

_GO_BY_STEPS: list[IsOthers] = [is_an_orders, is_a_vouchers]


def register_steps(is_others: IsOthers) -> None:
    """Keep the counter from postings of a domain that resolves its own."""
    _GO_BY_STEPS.append(is_others)


async def at_counter(db: Database, guard: Guard, actor: Actor, by: CounterLookup, *, now: datetime) -> CounterRead:
    """The member standing at the counter, found by card number, VIN or phone; one of another chapter goes on record.

    Raises:
        NotFound: nobody.
        TooManyRequests: the actor looked up too many, or found nobody too often.
    """
    await guard.look_up(db.pool, actor, now)
    member = await members.at_counter(db, **by.model_dump())
    if member is None:
        await guard.miss(db.pool, actor, now)
        raise NotFound("member")
    if member.dealer_code != actor.dealer_code:
        await audit.record(db.pool, Action.LOOKED_UP, "member", [member.id])
    wallet = await points.wallet(db.pool, member.id, china_date(now))
    return CounterRead(
        member_id=member.id, member_no=member.member_no, name=member.name, status=member.status,
        available=wallet.available if wallet else 0,
    )  # fmt: skip


async def redeem(
    db: Database, guard: Guard, actor: Actor, order: RedemptionCreate, codes: Codes, request: Request, *,
    share: BillShare | None, dry_run: bool,
) -> Posting:  # fmt: skip
    """Spend a member's points on a repair order at once. A dry run needs no code: staff see no more than at a look-up.

    Raises: what `ledger.redeem`, `Guard.guessing` and, with a `share`, `bills.pay` raise.
    """
    place = await _place(db, actor, order)

    async def post(connection: Connection) -> Posting:
        return await ledger.redeem(
            connection, order.member_id, order.points, place=place, cause=cause(place, order.order_no), request=request,
            confirm=_must_confirm(actor) and not dry_run, code=_code(codes, order, request.now),
        )  # fmt: skip

    async with _judged(db, guard, actor, request.now):
        if share is not None:
            return await bills.pay(db, share, place, order, post, dry_run=dry_run)
        async with rehearsal(db.pool, dry_run) as connection:
            return await post(connection)


async def hold(
    db: Database, guard: Guard, actor: Actor, order: RedemptionCreate, codes: Codes, request: Request, *,
    share: BillShare | None, life: timedelta,
) -> Posting:  # fmt: skip
    """Set a member's points aside for a repair order while it is open.

    Raises: what `ledger.hold`, `Guard.guessing` and, with a `share`, `bills.pay` raise.
    """
    place = await _place(db, actor, order)

    async def post(connection: Connection) -> Posting:
        return await ledger.hold(
            connection, order.member_id, order.points, place=place, cause=cause(place, order.order_no), request=request,
            until=request.now + life, confirm=_must_confirm(actor), code=_code(codes, order, request.now),
        )  # fmt: skip

    async with _judged(db, guard, actor, request.now):
        if share is not None:
            return await bills.pay(db, share, place, order, post, dry_run=False)
        return await post(db.pool)


def _judged(db: Database, guard: Guard, actor: Actor, now: datetime) -> AbstractAsyncContextManager[None]:
    return guard.guessing(db.pool, actor, now) if _must_confirm(actor) else nullcontext()


def _must_confirm(actor: Actor) -> bool:
    # a program (the member's own front end) has authenticated the member itself
    return actor.role is not Role.API_CLIENT


def _code(codes: Codes, order: RedemptionCreate, now: datetime) -> Code | None:
    return codes.judge(order.member_id, order.code, now) if order.code else None


async def _place(db: Database, actor: Actor, order: RedemptionCreate) -> str:
    if actor.dealer_code is not None:
        if order.dealer_code not in (None, actor.dealer_code):
            raise InvalidPayload.at("/dealer_code", "not_your_dealer", value=actor.dealer_code)
        return actor.dealer_code
    if order.dealer_code is None:
        raise InvalidPayload.at("/dealer_code", "missing")
    await chapters.require_reached(db, actor, "/dealer_code", order.dealer_code)
    return order.dealer_code


async def require_own(db: Connection, actor: Actor, member_id: UUID, posting_no: int) -> None:
    """Who is bound to dealers or a region touches only what happened there, and nobody what goes by steps of its own.

    Raises:
        NotFound: it happened elsewhere, or never, or is a reward order's, a voucher's or an event's.
    """
    for is_others in _GO_BY_STEPS:
        if await is_others(db, member_id, posting_no):
            raise NotFound("posting")
    if not await points.is_reached(db, actor, member_id, posting_no):
        raise NotFound("posting")


async def send_code(
    db: Database, seals: Seals, actor: Actor, body: CodeRequest, codes: Codes, sms: SmsSender, now: datetime
) -> datetime:
    """Send the member a code for one redemption at the actor's dealer, or one order at its counter; when it ends.

    One a minute, five an hour, ten a day for a member, whoever asks.

    Raises:
        NotFound: no such member, or reward for the actor.
        WalletClosed: the member is not active, and could not redeem.
        TooManyCodes: the member got too many of late.
        SmsUnavailable: it could not be sent.
    """
    member = await members.reached_at(db, body.member_id)
    if member is None:
        raise NotFound("member")
    if member.status is not MemberStatus.ACTIVE:
        raise WalletClosed
    place, amount = await _spent_at(db, actor, body), body.points
    code, until = codes.fresh(), now + SMS_LIFE
    digest = codes.digest(body.member_id, code)
    async with db.transaction() as connection:
        # the ledger keeps the code; a message that could not be sent counts, too, as it may be under way
        await sign_in.expect(connection, seals.digest("redemption codes of", str(body.member_id)), b"", until, now)
        if not await ledger.expect_code(connection, body.member_id, digest, place=place, points=amount, until=until):
            raise TooManyCodes(retry_after_seconds=_A_MINUTE_SECONDS)
    try:
        figures = {"place": place, "points": amount, "code": code}
        await sms.send(member.phone, Message(Purpose.REDEMPTION, figures))
    except SmsUnavailable:
        await ledger.withdraw_code(db.pool, body.member_id, digest)
        raise
    return until


async def _spent_at(db: Database, actor: Actor, body: CodeRequest) -> str:
    async with db.session() as session:
        if body.perk_id is not None:
            return await partners.place(session, (await perks.perk(session, actor, body.perk_id)).partner.code)
        if body.reward_id is not None:
            return await orders.place_at_counter(session, actor, body.reward_id)
    return actor.place
