"""Points spent at a dealer's counter, confirmed by the member."""

from datetime import datetime, timedelta
from uuid import UUID

from app.chapters import queries as chapters
from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.db import Connection, Database, rehearsal
from app.core.problems import InvalidPayload, NotFound, SmsUnavailable
from app.core.sms import Message, Purpose, SmsSender
from app.members import queries as members
from app.points import ledger
from app.points import queries as points
from app.points.ledger import Code, Posting, Request
from app.rewards.codes import SMS_LIFE, Codes
from app.rewards.problems import CodeJustSent
from app.rewards.schemas import CounterRead, RedemptionCreate
from app.visits.queries import cause


async def at_counter(
    db: Database, *, member_no: str | None, vin: str | None, phone: str | None, now: datetime
) -> CounterRead:
    """The member standing at the counter, found by card number, VIN or phone.

    Raises:
        NotFound: nobody.
    """
    member = await members.at_counter(db, member_no=member_no, vin=vin, phone=phone)
    if member is None:
        raise NotFound("member")
    wallet = await points.wallet(db.pool, member.id, china_date(now))
    return CounterRead(
        member_id=member.id, member_no=member.member_no, name=member.name, status=member.status,
        available=wallet.available if wallet else 0,
    )  # fmt: skip


async def redeem(
    db: Database, actor: Actor, order: RedemptionCreate, codes: Codes, request: Request, *, dry_run: bool
) -> Posting:
    """Spend a member's points on a repair order at once.

    Raises: what `ledger.redeem` raises.
    """
    place = await _place(db, actor, order)
    async with rehearsal(db.pool, dry_run) as connection:
        return await ledger.redeem(
            connection, order.member_id, order.points, place=place, cause=cause(place, order.order_no), request=request,
            confirm=_must_confirm(actor) and not dry_run, code=_code(codes, order, request.now),
        )  # fmt: skip


async def hold(
    db: Database, actor: Actor, order: RedemptionCreate, codes: Codes, request: Request, *, life: timedelta
) -> Posting:
    """Set a member's points aside for a repair order while it is open.

    Raises: what `ledger.hold` raises.
    """
    place = await _place(db, actor, order)
    return await ledger.hold(
        db.pool, order.member_id, order.points, place=place, cause=cause(place, order.order_no), request=request,
        until=request.now + life, confirm=_must_confirm(actor), code=_code(codes, order, request.now),
    )  # fmt: skip


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
    await chapters.require_dealer(db, "/dealer_code", order.dealer_code)
    return order.dealer_code


async def require_own(db: Connection, actor: Actor, member_id: UUID, posting_no: int) -> None:
    """Staff touch only what happened at their own dealer.

    Raises:
        NotFound: it happened elsewhere, or never.
    """
    if actor.dealer_code and await points.place_of(db, member_id, posting_no) != actor.dealer_code:
        raise NotFound("posting")


async def send_code(
    db: Database, actor: Actor, member_id: UUID, amount: int, codes: Codes, sms: SmsSender, now: datetime
) -> datetime:
    """Send the member a code for one redemption at the actor's dealer; when it ends.

    Raises:
        NotFound: no such member.
        CodeJustSent: less than a minute ago.
        SmsUnavailable: it could not be sent.
    """
    phone = await members.phone_of(db, member_id)
    if phone is None:
        raise NotFound("member")
    code, until = codes.fresh(), now + SMS_LIFE
    digest = codes.digest(member_id, code)
    if not await ledger.expect_code(db.pool, member_id, digest, place=actor.place, points=amount, until=until):
        raise CodeJustSent
    try:
        figures = {"place": actor.place, "points": amount, "code": code}
        await sms.send(phone, Message(Purpose.REDEMPTION, figures))
    except SmsUnavailable:
        await ledger.withdraw_code(db.pool, member_id, digest)
        raise
    return until
