"""Partners of the demonstration, their perks, and a voucher to try a till with. All names are invented."""

from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.db import Database
from app.earning.definitions import Share
from app.partners import perks, queries, service, vouchers
from app.partners.models import Voucher
from app.partners.perk_schemas import PerkCreate, PerkUpdate
from app.partners.problems import PerkGone, PerkLimit
from app.partners.rules import Category, VoucherStatus
from app.partners.schemas import AgencyCreate, PartnerCreate

HEADQUARTERS = Actor("demo", Role.HQ_ADMIN)
AGENCY = AgencyCreate(code="AGENCY-TONG", name="同行商务代理")
AGENCY_PERCENT = Decimal(5)
A_MEMBER = 12
"""Vouchers of one perk for one member."""


class Deal(NamedTuple):
    """A partner with its perk: what one is worth, what it costs the member."""

    code: str
    name: str
    name_en: str
    category: Category
    place: str
    perk: str
    value_fen: int
    points: int = 0
    by_agency: bool = False
    dealer_code: str | None = None


HOTEL = Deal(
    "HOTEL-HUBIN", "湖滨酒店", "Lakeside Hotel", Category.HOTEL, "杭州", "双人下午茶", 16_800, by_agency=True
)  # fmt: skip


def local(dealer_code: str) -> Deal:
    """A partner that a chapter found."""
    name, name_en = f"{dealer_code} 洗车房", f"{dealer_code} Car Wash"
    code = f"{dealer_code}-WASH"
    return Deal(code, name, name_en, Category.OTHER, "店旁", "精洗", 6_000, dealer_code=dealer_code)


async def offer(database: Database, *, now: datetime) -> None:
    """A national partner that an agency found, and one of SH001's own, unless there are partners."""
    if await database.pool.fetchval("SELECT EXISTS (SELECT FROM partner)"):
        return
    async with database.session() as session:
        await service.create_agency(session, AGENCY)
        for deal in (HOTEL, local("SH001")):
            await take_on(session, deal, PartnerCreate.model_validate(terms(deal, china_date(now))), now=now)


def terms(deal: Deal, first: date) -> dict[str, object]:
    """A partner's contract, from a first day on."""
    return {
        "code": deal.code, "name": deal.name, "name_en": deal.name_en, "category": deal.category, "place": deal.place,
        "contract_no": f"C-{deal.code}", "valid_from": first, "dealer_code": deal.dealer_code,
    } | ({"agency_code": AGENCY.code, "agency_percent": AGENCY_PERCENT} if deal.by_agency else {})  # fmt: skip


async def take_on(session: AsyncSession, deal: Deal, partner: PartnerCreate, *, now: datetime) -> None:
    """A partner, and its perk on offer."""
    keeper = _keeper(deal)
    await service.create(session, keeper, partner, now=now)
    perk = await perks.create(session, keeper, _perk(deal, partner.valid_from))
    await perks.update(session, keeper, perk.id, PerkUpdate(is_offered=True), version=perk.version)


def _keeper(deal: Deal) -> Actor:
    if deal.dealer_code is None:
        return HEADQUARTERS
    return Actor(f"director.{deal.dealer_code.lower()}", Role.CARE_DIRECTOR, deal.dealer_code)


def _perk(deal: Deal, first: date) -> PerkCreate:
    sharing = (("hq", 25), ("dealer", 25), (f"partner:{deal.code}", 50))
    shares = tuple(Share(party=party, percent=Decimal(percent)) for party, percent in sharing)
    return PerkCreate(
        partner_code=deal.code, name=deal.perk, valid_from=first, quota=1_000, quota_per_member=A_MEMBER,
        points=deal.points, value_fen=deal.value_fen, shares=shares if deal.by_agency else None,
        # the holidays of October are fully booked
        blackout=[day for day in _holidays(first.year, first.year + 1) if day >= first],
    )  # fmt: skip


def _holidays(*years: int) -> list[date]:
    return [date(year, 10, day) for year in years for day in (1, 2, 3)]


async def voucher_code(database: Database, member_id: UUID, member_no: str, *, now: datetime) -> str | None:
    """The code of a voucher of the hotel's that a member can use today, claimed if need be; None: it had its share."""
    theirs = (
        col(Voucher.member_id) == member_id, col(Voucher.partner_code) == HOTEL.code,
        col(Voucher.status) == VoucherStatus.CLAIMED, col(Voucher.expires_on) >= china_date(now),
    )  # fmt: skip
    async with database.session() as session:
        held = await queries.vouchers(session, *theirs, after=None, limit=1)
        if not held:
            perk_id = await database.pool.fetchval("SELECT id FROM perk WHERE partner_code = $1", HOTEL.code)
            member = Actor(member_no, Role.MEMBER, None, member_id)
            with suppress(PerkGone, PerkLimit):
                held = [await vouchers.claim(session, member, member_id, perk_id, now=now)]
        return held[0].voucher.code if held else None
