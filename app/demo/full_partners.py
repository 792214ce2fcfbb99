"""A year of partners in the full-size network: perks, vouchers that are used, returned or expire, points paid ahead.

All names are invented. Six national partners share the published joint event (`full_calendar`); one agency found three.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Role
from app.core.clock import CHINA, add_months, month_end
from app.core.db import Database
from app.demo import past, ruling
from app.demo.full import SEED, Dealer
from app.demo.full_calendar import JOINT_PARTNERS, MONTHS, hosts
from app.demo.full_guests import Guest, Regulars, regulars
from app.demo.perks import AGENCY, HOTEL, Deal, local, take_on, terms
from app.partners import service, till, vouchers
from app.partners.rules import Category, budget_of
from app.partners.schemas import BlockCreate, PartnerCreate
from app.settings import Settings

PREPAID = "INSURER-AN"
BLOCK = BlockCreate(points=3_000, amount_fen=30_000, reference="demo-block-1")
RESERVE, LOW = 200, 500
"""After the joint event its points run low."""
LOCAL_HOSTS = 6
"""Chapters with a partner of their own, one of each region."""
CLAIMS, LOCAL_CLAIMS, PAID_CLAIMS = 8, 3, 4
"""A month, of a national perk, of a chapter's, and of the one that costs points."""
USED, RETURNED = 0.6, 0.7
"""Up to here a voucher is used, up to there returned; the others expire."""
PAID_DAY = 27
"""By then the month's events have given their points."""


NATIONAL = (
    HOTEL,
    Deal("WINERY-QIU", "秋山酒庄", "Autumn Hill Winery", Category.WINERY, "烟台", "酒庄品鉴", 12_000, by_agency=True),
    Deal("SALON-SI", "丝语美发", "Silk Hair Salon", Category.BEAUTY, "上海", "造型护理", 9_800, by_agency=True),
    Deal(PREPAID, "安行保险", "Safe Way Insurance", Category.INSURANCE, "北京", "驾乘意外险一月", 3_000),
    Deal("TRAVEL-YUAN", "远山旅行", "Far Hills Travel", Category.TRAVEL, "成都", "周末民宿券", 20_000),
    Deal("GARDEN-TEA", "花园茶铺", "Garden Tea House", Category.RESTAURANT, "广州", "茶点一份", 0, points=60),
)
assert tuple(deal.code for deal in NATIONAL) == JOINT_PARTNERS


async def live(
    database: Database, settings: Settings, dealers: Sequence[Dealer], month: date, last: date
) -> int:  # fmt: skip
    """What members did with perks in a month, of the twelve up to `last`; how many vouchers were claimed."""
    if not add_months(last, 1 - MONTHS) <= month <= last:
        return 0
    hosting = hosts(dealers)
    rows = await database.pool.fetch("SELECT partner_code, id FROM perk")
    offered = {row["partner_code"]: row["id"] for row in rows}
    come = await regulars(database, hosting, month)
    evening = datetime.combine(month_end(month), time(21), CHINA)
    if not await _claimed(database, month, evening):
        rich = await _with_points(database, come)
        async with database.session() as session:
            for deal in deals(hosting):
                claimants = _claimants(deal, month, come, rich)
                await _claim_all(session, settings, deal, offered[deal.code], month, claimants)
    await vouchers.expire(database, grace=timedelta(days=settings.refund_grace_days), now=evening)
    return await _claimed(database, month, evening)


async def _claimed(database: Database, month: date, until: datetime) -> int:
    sql = "SELECT count(*) FROM voucher WHERE claimed_at >= $1 AND claimed_at < $2"
    return int(await database.pool.fetchval(sql, _morning(month), until))


async def _with_points(database: Database, come: Regulars) -> set[UUID]:
    """The members who could pay for the perk that has a price."""
    whose = [guest.member_id for chapter in come.new.values() for guest in chapter]
    sql = "SELECT member_id FROM ledger.member_balance WHERE member_id = ANY ($1) AND available >= $2"
    return {row["member_id"] for row in await database.pool.fetch(sql, whose, max(deal.points for deal in NATIONAL))}


def _morning(day: date) -> datetime:
    return datetime.combine(day, time(9), CHINA)


# --- partners and what they offer ---


def deals(hosting: Sequence[str]) -> list[Deal]:
    """The national partners, then those that chapters found."""
    return [*NATIONAL, *map(local, hosting[:LOCAL_HOSTS])]


async def offer(database: Database, dealers: Sequence[Dealer], last: date) -> None:
    """Take the partners on, with their perks and what one of them pays ahead, whole or not at all, unless they are
    there; and publish what coming to events gives."""
    first = add_months(last, 1 - MONTHS)
    now = _morning(first)
    if not await database.pool.fetchval("SELECT EXISTS (SELECT FROM partner)"):
        async with database.session() as session:
            await service.create_agency(session, AGENCY)
            for deal in deals(hosts(dealers)):
                await take_on(session, deal, _partner(deal, first), now=now)
            await service.add_block(session, past.HEADQUARTERS, PREPAID, BLOCK, now=now)
    await ruling.event_rules(
        database, past.HEADQUARTERS, partner_code=PREPAID, budget=budget_of(PREPAID), since=first, now=now
    )  # fmt: skip


def _partner(deal: Deal, first: date) -> PartnerCreate:
    ahead = {"is_prepaid": True, "reserve_points": RESERVE, "low_points": LOW} if deal.code == PREPAID else {}
    return PartnerCreate.model_validate(terms(deal, first) | ahead)


# --- vouchers ---


def _random(deal: Deal, month: date) -> Random:
    return Random(f"{SEED}-{deal.code}-{month}")  # noqa: S311 (nothing is to be kept secret)


def _claimants(deal: Deal, month: date, come: Regulars, rich: Collection[UUID]) -> list[Guest]:
    """Who claims a perk in a month."""
    random = _random(deal, month)
    if deal.dealer_code is not None:
        return random.sample(come.new[deal.dealer_code], LOCAL_CLAIMS)
    everybody = [guest for chapter in come.new.values() for guest in chapter]
    random.shuffle(everybody)
    if not deal.points:
        return everybody[:CLAIMS]
    return [guest for guest in everybody if guest.member_id in rich][:PAID_CLAIMS]


async def _claim_all(
    session: AsyncSession, settings: Settings, deal: Deal, perk_id: UUID, month: date, claimants: Sequence[Guest]
) -> None:
    random = _random(deal, month)
    for guest in claimants:
        day = PAID_DAY if deal.points else random.randint(4, 15)
        await _claim(session, settings, deal, perk_id, guest, _morning(month.replace(day=day)), random)


async def _claim(
    session: AsyncSession, settings: Settings, deal: Deal, perk_id: UUID, guest: Guest, at: datetime, random: Random
) -> None:
    """A voucher, and what becomes of it."""
    voucher = (await vouchers.claim(session, guest.actor, guest.member_id, perk_id, now=at)).voucher
    chance, later = random.random(), at + timedelta(days=1 if deal.points else random.randint(1, 10))
    if chance < USED:
        clerk = Actor(f"till.{deal.code.lower()}", Role.PARTNER_CLERK, partner_code=deal.code)
        await till.use(session, clerk, voucher.code, now=later)
    elif chance < RETURNED:
        grace = timedelta(days=settings.refund_grace_days)
        await vouchers.give_back(session, guest.actor, voucher.id, grace=grace, now=later)
