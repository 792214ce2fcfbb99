"""Vouchers: claimed, returned, expired; what they cost and who bears their value is fixed when they are claimed.

Locks, always in this order: the voucher, its perk, and last the wallet (in the ledger).
"""

import logging
from collections import Counter
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import HEADQUARTERS, Actor
from app.core.clock import china_date
from app.core.codes import fresh_code
from app.core.db import Database, new_id, raw, unrestricted
from app.core.problems import NotFound
from app.core.transitions import require_step
from app.earning.definitions import Share
from app.earning.engine import shared
from app.members.visibility import visible_member
from app.partners import perks, queries
from app.partners.models import Partner, Perk, Voucher, VoucherShare
from app.partners.problems import PerkGone, PerkLimit, PerkNotOffered
from app.partners.queries import Customer, Held
from app.partners.rules import (
    OFFLINE_DAYS,
    VOUCHER_TRANSITIONS,
    VoucherStatus,
    commission_fen,
    last_day,
    party_of,
)
from app.points import ledger
from app.points.confirmation import SIGNED_IN, Confirm
from app.points.ledger import Request
from app.points.problems import WalletClosed
from app.privacy import consents
from app.privacy.schemas import ProvisionCreate

log = logging.getLogger("club.partners")
SYSTEM = "system"


# --- claiming ---


async def claim(
    session: AsyncSession, actor: Actor, member_id: UUID, perk_id: UUID, confirm: Confirm = SIGNED_IN, *, now: datetime
) -> Held:
    """Give a member a voucher, for the perk's points if it has a price: the signed-in one, or who is at the counter.

    Nothing is written before the ledger has agreed, so that a wrong code can be counted and all else refused.

    Raises:
        NotFound: there is no such member or perk for the actor.
        PerkNotOffered, PerkGone, PerkLimit.
        ConsentMissing: the partner needs data of the member, who has not agreed to this partner's getting it.
        InsufficientPoints, WalletClosed, ConfirmationRequired, ConfirmationWrong, ConfirmationLocked.
    """
    await visible_member(session, actor, member_id)
    await unrestricted(session)
    perk = await queries.locked_perk(session, perk_id)
    if perk is None:
        raise NotFound("perk")
    partner = await queries.partner(session, perk.partner_code)
    assert partner is not None
    customer = await _require_for(session, perk, partner, member_id, china_date(now))
    await _require_left(session, perk, member_id)
    voucher = _voucher(perk, partner, member_id, customer, now)
    await _pay(session, actor, voucher, partner, confirm, now)
    if perk.hands_over:
        await _hand_over(session, actor, member_id, perk, now)
    perk.claimed += 1
    session.add(voucher)
    await session.flush()
    session.add_all(_shares(voucher, perk))
    await session.flush()
    return Held(voucher, perk)


async def _require_for(
    session: AsyncSession, perk: Perk, partner: Partner, member_id: UUID, today: date
) -> Customer:  # fmt: skip
    customer = await queries.customer(session, member_id)
    if customer is None:
        raise NotFound("member")
    if partner.dealer_code not in (None, customer.dealer_code):
        raise NotFound("perk")
    if not customer.is_active:
        raise WalletClosed
    if perk.is_offered and perk.quota is not None and perk.claimed >= perk.quota:
        raise PerkGone(quota=perk.quota)
    is_open = await queries.perk(session, perk.id, queries.open_to(customer.dealer_code, today)) is not None
    if not is_open or not await perks.is_for(session, perk, member_id, today):
        raise PerkNotOffered
    return customer


async def _require_left(session: AsyncSession, perk: Perk, member_id: UUID) -> None:
    if perk.quota_per_member is not None:
        held = await queries.held_by(session, perk.id, member_id)
        if held >= perk.quota_per_member:
            raise PerkLimit(limit=perk.quota_per_member)


async def _hand_over(session: AsyncSession, actor: Actor, member_id: UUID, perk: Perk, now: datetime) -> None:
    given = ProvisionCreate.model_validate(
        {"partner_code": perk.partner_code, "kinds": perk.hands_over, "reason": perk.name}
    )
    await consents.provide(session, actor, member_id, given, now=now)


def _voucher(perk: Perk, partner: Partner, member_id: UUID, customer: Customer, now: datetime) -> Voucher:
    return Voucher(
        id=new_id(), perk_id=perk.id, partner_code=partner.code, member_id=member_id, wallet_id=member_id,
        dealer_code=customer.dealer_code, code=fresh_code(), points=perk.points, value_fen=perk.value_fen,
        agency_code=partner.agency_code, commission_fen=commission_fen(perk.value_fen, partner.agency_percent),
        claimed_at=now, expires_on=last_day(china_date(now), perk.days, perk.valid_until, partner.valid_until),
    )  # fmt: skip


def _shares(voucher: Voucher, perk: Perk) -> list[VoucherShare]:
    """Who bears the value; the share of a chapter that the member has not is headquarters'."""
    if not voucher.value_fen:
        return []
    parts = shared(
        voucher.value_fen, [Share.model_validate(share) for share in perk.shares], voucher.dealer_code or HEADQUARTERS
    )
    by_party: Counter[str] = Counter()
    for party, fen in parts:
        by_party[party] += fen
    return [VoucherShare(voucher_id=voucher.id, party=party, fen=fen) for party, fen in by_party.items()]


async def _pay(
    session: AsyncSession, actor: Actor, voucher: Voucher, partner: Partner, confirm: Confirm, now: datetime
) -> None:
    if not voucher.points:
        return
    # a chapter settles with a partner of its own itself
    posting = await ledger.redeem(
        await raw(session), voucher.wallet_id, voucher.points, place=partner.dealer_code or party_of(partner.code),
        cause=_cause(voucher), request=_request(voucher, actor.subject, "claim", now),
        confirm=confirm.needed, code=confirm.code,
    )  # fmt: skip
    voucher.posting_no = posting.posting_no


def _cause(voucher: Voucher) -> str:
    return f"voucher:{voucher.id}"


def _request(voucher: Voucher, by: str, step: str, now: datetime) -> Request:
    return Request(by, f"voucher:{voucher.id}:{step}", now)


# --- back, unused ---


async def give_back(
    session: AsyncSession, actor: Actor, voucher_id: UUID, *, grace: timedelta, now: datetime
) -> Held:  # fmt: skip
    """Take the signed-in member's voucher back: its points return, and somebody else may have it.

    Raises:
        NotFound: the member has no such voucher.
        WrongStatus: it is used, returned or expired.
        WalletClosed.
    """
    await unrestricted(session)
    mine = (col(Voucher.id) == voucher_id, col(Voucher.member_id) == actor.member_id)
    held = await queries.voucher(session, *mine, locked=True)
    if held is None:
        raise NotFound("voucher")
    require_step(VOUCHER_TRANSITIONS, held.voucher.status, VoucherStatus.RETURNED)
    await _refund(session, held.voucher, actor.subject, "returned", grace, now)
    await _end(session, held.voucher, VoucherStatus.RETURNED, now)
    return held


async def expire(database: Database, *, grace: timedelta, now: datetime, batch: int = 200) -> int:
    """End vouchers whose time is over, and give their points back; how many."""
    before = china_date(now) - timedelta(days=OFFLINE_DAYS)
    done = 0
    while True:
        async with database.session() as session:
            due = await queries.overdue(session, before, batch)
        for voucher_id in due:
            await _expire(database, voucher_id, grace, now)
        done += len(due)
        if len(due) < batch:
            return done


async def _expire(database: Database, voucher_id: UUID, grace: timedelta, now: datetime) -> None:
    async with database.session() as session:
        claimed = (col(Voucher.id) == voucher_id, col(Voucher.status) == VoucherStatus.CLAIMED)
        held = await queries.voucher(session, *claimed, locked=True)
        if held is None:
            return
        try:
            await _refund(session, held.voucher, SYSTEM, "expired", grace, now)
        except WalletClosed:
            # who has left has no wallet for its points to go back to
            log.info("voucher %s expired without a refund: its member has left", voucher_id)
        await _end(session, held.voucher, VoucherStatus.EXPIRED, now)


async def _refund(
    session: AsyncSession, voucher: Voucher, by: str, reason: str, grace: timedelta, now: datetime
) -> None:
    if voucher.posting_no is None:
        return
    posting = await ledger.refund(
        await raw(session), voucher.wallet_id, voucher.posting_no, None, grace_until=china_date(now) + grace,
        cause=_cause(voucher), reason=reason, request=_request(voucher, by, "refund", now),
    )  # fmt: skip
    voucher.refund_no = posting.posting_no


async def _end(session: AsyncSession, voucher: Voucher, to: VoucherStatus, now: datetime) -> None:
    perk = await queries.locked_perk(session, voucher.perk_id)
    assert perk is not None
    perk.claimed -= 1
    voucher.status, voucher.ended_at = to, now
    await session.flush()
