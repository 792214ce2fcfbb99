"""Points spent at a dealer's counter, confirmed by the member."""

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
from app.points import ledger
from app.points import queries as points
from app.points.ledger import Code, Posting, Request
from app.points.problems import WalletClosed
from app.rewards.codes import SMS_LIFE, Codes
from app.rewards.guard import Guard
from app.rewards.schemas import CodeRequest, CounterLookup, CounterRead, RedemptionCreate
from app.visits.queries import cause

_A_MINUTE_SECONDS = 60
"""Between two codes of one member, as the ledger has it."""


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
    db: Database, guard: Guard, actor: Actor, order: RedemptionCreate, codes: Codes, request: Request, *, dry_run: bool
) -> Posting:
    """Spend a member's points on a repair order at once. A dry run needs no code: staff see no more than at a look-up.

    Raises: what `ledger.redeem` and `Guard.guessing` raise.
    """
    place = await _place(db, actor, order)
    async with _judged(db, guard, actor, request.now), rehearsal(db.pool, dry_run) as connection:
        return await ledger.redeem(
            connection, order.member_id, order.points, place=place, cause=cause(place, order.order_no), request=request,
            confirm=_must_confirm(actor) and not dry_run, code=_code(codes, order, request.now),
        )  # fmt: skip


async def hold(
    db: Database, guard: Guard, actor: Actor, order: RedemptionCreate, codes: Codes, request: Request, *,
    life: timedelta,
) -> Posting:  # fmt: skip
    """Set a member's points aside for a repair order while it is open.

    Raises: what `ledger.hold` and `Guard.guessing` raise.
    """
    place = await _place(db, actor, order)
    async with _judged(db, guard, actor, request.now):
        return await ledger.hold(
            db.pool, order.member_id, order.points, place=place, cause=cause(place, order.order_no), request=request,
            until=request.now + life, confirm=_must_confirm(actor), code=_code(codes, order, request.now),
        )  # fmt: skip


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
    """Who is bound to dealers or a region touches only what happened there.

    Raises:
        NotFound: it happened elsewhere, or never.
    """
    if not await points.is_reached(db, actor, member_id, posting_no):
        raise NotFound("posting")


async def send_code(
    db: Database, seals: Seals, actor: Actor, body: CodeRequest, codes: Codes, sms: SmsSender, now: datetime
) -> datetime:
    """Send the member a code for one redemption at the actor's dealer; when it ends.

    One a minute, five an hour, ten a day for a member, whoever asks.

    Raises:
        NotFound: no such member.
        WalletClosed: the member is not active, and could not redeem.
        TooManyCodes: the member got too many of late.
        SmsUnavailable: it could not be sent.
    """
    member = await members.reached_at(db, body.member_id)
    if member is None:
        raise NotFound("member")
    if member.status is not MemberStatus.ACTIVE:
        raise WalletClosed
    code, until = codes.fresh(), now + SMS_LIFE
    digest = codes.digest(body.member_id, code)
    async with db.transaction() as connection:
        # the ledger keeps the code; a message that could not be sent counts, too, as it may be under way
        await sign_in.expect(connection, seals.digest("redemption codes of", str(body.member_id)), b"", until, now)
        place, amount = actor.place, body.points
        if not await ledger.expect_code(connection, body.member_id, digest, place=place, points=amount, until=until):
            raise TooManyCodes(retry_after_seconds=_A_MINUTE_SECONDS)
    try:
        figures = {"place": place, "points": amount, "code": code}
        await sms.send(member.phone, Message(Purpose.REDEMPTION, figures))
    except SmsUnavailable:
        await ledger.withdraw_code(db.pool, body.member_id, digest)
        raise
    return until
