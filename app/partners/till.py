"""A partner's till: is this voucher good, the perk was given for it, and the same without a connection."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit import unmaskings
from app.core.actors import Actor
from app.core.clock import china_date
from app.core.db import unrestricted
from app.core.problems import NotFound
from app.identity.lists import list_token, require_list
from app.identity.seals import Seals
from app.members import consent_queries
from app.members.consent_rules import Purpose
from app.members.models import Member
from app.partners import queries
from app.partners.models import Perk, Voucher
from app.partners.problems import VoucherNotGood, VoucherUsed
from app.partners.queries import Held
from app.partners.rules import OFFLINE_DAYS, Usability, VoucherStatus, usability
from app.partners.voucher_schemas import (
    OfflineList,
    OfflineOutcome,
    OfflineOutcomes,
    OfflinePerk,
    OfflineUse,
    OfflineUses,
    OfflineVoucher,
    VoucherSeen,
)
from app.privacy.rules import DataKind


async def check(session: AsyncSession, actor: Actor, code: str, *, now: datetime) -> VoucherSeen:
    """What a code stands for, and whether it is good today.

    Raises:
        NotFound: the partner has no such voucher.
    """
    held = await _held(session, actor, code)
    if held is None:
        raise NotFound("voucher")
    state = _state(held, china_date(now))
    shown = await _handed_over(session, held) if state is Usability.GOOD else {}
    return _seen(held, state, shown)


async def use(session: AsyncSession, actor: Actor, code: str, *, now: datetime) -> VoucherSeen:
    """Use a voucher up, once.

    Raises:
        NotFound: the partner has no such voucher.
        VoucherUsed, VoucherNotGood.
    """
    held = await _held(session, actor, code, locked=True)
    if held is None:
        raise NotFound("voucher")
    state = _state(held, china_date(now))
    if state is Usability.USED:
        assert held.voucher.used_on is not None
        raise VoucherUsed(used_on=held.voucher.used_on)
    if state is not Usability.GOOD:
        raise VoucherNotGood(reason=state)
    shown = await _handed_over(session, held)
    await _use(session, actor, held, china_date(now), now, offline=False)
    return _seen(held, Usability.GOOD, shown)


async def _held(session: AsyncSession, actor: Actor, code: str, *, locked: bool = False) -> Held | None:
    theirs = (col(Voucher.code) == code, col(Voucher.partner_code) == actor.partner_code)
    return await queries.voucher(session, *theirs, locked=locked)


def _state(held: Held, day: date) -> Usability:
    voucher, perk = held
    return usability(voucher.status, day, first=_first_day(held), last=voucher.expires_on, blackout=perk.blackout)


def _first_day(held: Held) -> date:
    return max(held.perk.valid_from, china_date(held.voucher.claimed_at))


async def _use(session: AsyncSession, actor: Actor, held: Held, day: date, now: datetime, *, offline: bool) -> None:
    voucher = held.voucher
    voucher.status, voucher.used_on = VoucherStatus.USED, day
    voucher.used_at, voucher.used_by, voucher.used_offline = now, actor.subject, offline
    await session.flush()


def _seen(held: Held, state: Usability, member: Mapping[DataKind, str]) -> VoucherSeen:
    voucher, perk = held
    return VoucherSeen.model_validate(
        {
            "voucher_id": voucher.id, "perk": perk.name, "terms": perk.terms, "state": state,
            "expires_on": voucher.expires_on, "used_on": voucher.used_on, "member": member,
        }
    )  # fmt: skip


async def _handed_over(session: AsyncSession, held: Held) -> dict[DataKind, str]:
    """What the perk needs of the member, while the member's consent to this partner stands; it goes on record."""
    voucher, perk = held
    if not perk.hands_over:
        return {}
    await unrestricted(session)
    agrees = consent_queries.consents(col(Member.id), Purpose.PARTNER, voucher.partner_code)
    member = await session.scalar(select(Member).where(col(Member.id) == voucher.member_id, agrees))
    if member is None:
        return {}
    unmaskings.note("voucher", voucher.id)
    known = {DataKind.NAME: member.name, DataKind.PHONE: member.phone, DataKind.MEMBER_NO: member.member_no}
    return {DataKind(kind): value for kind in perk.hands_over if (value := known[DataKind(kind)])}


# --- without a connection ---


async def offline_list(session: AsyncSession, seals: Seals, actor: Actor, *, now: datetime) -> OfflineList:
    """The partner's vouchers that may still be used, as digests: who finds the list cannot make a voucher of it."""
    open_still = (
        col(Voucher.partner_code) == actor.partner_code, col(Voucher.status) == VoucherStatus.CLAIMED,
        col(Voucher.expires_on) >= china_date(now),
    )  # fmt: skip
    query = select(Voucher, Perk).join(Perk, col(Perk.id) == col(Voucher.perk_id)).where(*open_still)
    found = [Held(voucher, perk) for voucher, perk in await session.execute(query.order_by(col(Voucher.id)))]
    named = {perk.id: perk for _, perk in found}
    perks = [OfflinePerk.model_validate(perk, from_attributes=True) for perk in named.values()]
    vouchers = [
        OfflineVoucher(
            digest=sha256(held.voucher.code.encode()).hexdigest(), perk_id=held.perk.id,
            first_day=_first_day(held), expires_on=held.voucher.expires_on,
        )
        for held in found
    ]  # fmt: skip
    said = [entry.model_dump(mode="json") for entry in (*perks, *vouchers)]
    token = list_token(seals, _list_of(actor), actor.subject, now, said)
    return OfflineList(made_at=now, good_until=_good_until(now), token=token, perks=perks, vouchers=vouchers)


def _good_until(made_at: datetime) -> date:
    return china_date(made_at) + timedelta(days=OFFLINE_DAYS)


def _list_of(actor: Actor) -> str:
    return f"vouchers:{actor.partner_code}"


async def report(
    session: AsyncSession, seals: Seals, actor: Actor, body: OfflineUses, *, now: datetime
) -> OfflineOutcomes:
    """Put on record what a till did by itself; what cannot be is a conflict for people to clear up.

    Reported again, a use is no conflict.

    Raises:
        ListNotOurs: the till did not work by a list of this partner.
    """
    worked_by = require_list(seals, body.token, _list_of(actor))
    last = min(_good_until(datetime.fromisoformat(worked_by.issued_at)), china_date(now))
    uses = body.uses
    done: dict[int, OfflineOutcome] = {}
    reported: set[str] = set()
    # in one order, so that two tills that report at once never wait for each other crosswise
    for index, use in sorted(enumerate(uses), key=lambda numbered: numbered[1].code):
        done[index] = await _report(session, actor, use, now, last=last, is_new=use.code not in reported)
        reported.add(use.code)
    items = [done[index] for index in range(len(uses))]
    return OfflineOutcomes(items=items, conflicts=sum(item.state != Usability.GOOD for item in items))


async def _report(
    session: AsyncSession, actor: Actor, use: OfflineUse, now: datetime, *, last: date, is_new: bool
) -> OfflineOutcome:
    held = await _held(session, actor, use.code, locked=True)
    if held is None:
        return OfflineOutcome(code=use.code, state="unknown", used_on=None, note=use.note)
    voucher = held.voucher
    # a till that gave two perks for one code cannot tell so by one list twice, nor by one use with a connection
    noted = (voucher.used_offline, voucher.used_on, voucher.used_by)
    is_again = is_new and noted == (True, use.used_on, actor.subject)
    state: str = Usability.GOOD if is_again else _state(held, use.used_on)
    if use.used_on > last:
        state = "in_the_future" if use.used_on > china_date(now) else "list_over"
    elif state == Usability.GOOD and not is_again:
        await _use(session, actor, held, use.used_on, now, offline=True)
    return OfflineOutcome(code=use.code, state=state, used_on=voucher.used_on, note=use.note)
