"""A year of events enters the books by what staff and members use, on its dates: planned, approved, held, settled.

Each event's whole life is one transaction: stopped anywhere, an event is there as it stood in the end or not at all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta

from app.core.actors import HEADQUARTERS
from app.core.clock import CHINA, add_months, china_date
from app.core.db import Database
from app.demo import full_invited, full_results, past
from app.demo.full import Dealer
from app.demo.full_calendar import IN_THE_WORKSHOP, REPORTED, SETTLED, Plan, hosts, of_chapter, of_month
from app.demo.full_guests import Guest, Regulars, regulars
from app.demo.full_lives import Life
from app.events import budgets
from app.events.budget_schemas import EventBudgetSet
from app.events.rules import EventKind, Purse
from app.points import ledger
from app.settings import Settings

HEADQUARTERS_BUDGET = EventBudgetSet(money_fen=100_000_000, points=200_000)
CHAPTER_BUDGET = EventBudgetSet(money_fen=2_000_000, points=10_000)
AT_ONCE = 4
"""Events of different chapters that are lived through at the same time."""
DEALER_BUDGET = EventBudgetSet(money_fen=2_500_000, points=0)


async def live(
    database: Database, settings: Settings, dealers: Sequence[Dealer], month: date, last: date
) -> int:  # fmt: skip
    """The events of a month as they stood at the end of the month `last`; how many. Those that are there stay so.

    Only of the twelve months up to `last`.
    """
    hosting = hosts(dealers)
    plans = await _missing(database, of_month(month, last, hosting))
    if not plans:
        return 0
    await _allow(database, hosting, {month.year})
    for ahead in range(3):
        # as the worker does: a transaction that has posted may not see a month's partition that another makes meanwhile
        await ledger.open_period(database.pool, add_months(month, ahead))
    come, horizon = await regulars(database, hosting, month), datetime.combine(add_months(last, 1), time(), CHINA)
    # headquarters' guests are chapters' regulars: of two events at once they could lock each other out
    for whose in ([plan for plan in plans if plan.host], [plan for plan in plans if not plan.host]):
        queue = iter(whose)

        async def desk(queue: Iterator[Plan] = queue) -> None:
            for plan in queue:
                async with database.session() as session:
                    life = await Life.begin(session, settings, plan, _guests(plan, come))
                    await _to_its_end(life, _regulars_of(plan, come), horizon)

        await asyncio.gather(*(desk() for _ in range(AT_ONCE)))
    return len(plans)


async def _missing(database: Database, plans: Sequence[Plan]) -> list[Plan]:
    titles = [plan.title for plan in plans]
    rows = await database.pool.fetch("SELECT title FROM club_event WHERE title = ANY ($1)", titles)
    known = {row["title"] for row in rows}
    return [plan for plan in plans if plan.title not in known]


async def _allow(database: Database, hosting: Sequence[str], years: set[int]) -> None:
    """Set the yearly budgets that nobody has set: headquarters' own, what it grants, and the dealers' own."""
    async with database.session() as session:
        for year in sorted(years):
            # whoever sets them does so before the year begins
            now = datetime(year - 1, 12, 1, 10, tzinfo=CHINA)
            told = await budgets.figures(session, past.HEADQUARTERS, year, dealer_code=None)
            known = {(one.budget.dealer_code or HEADQUARTERS, one.budget.purse) for one in told}
            for place, purse, body in _budgets(hosting):
                if (place, purse) not in known:
                    await budgets.set_budget(
                        session, past.HEADQUARTERS, place, purse, year, body, version=0, now=now
                    )  # fmt: skip


def _budgets(hosting: Sequence[str]) -> list[tuple[str, Purse, EventBudgetSet]]:
    granted = [(code, Purse.HQ, CHAPTER_BUDGET) for code in hosting]
    own = [(code, Purse.OWN, DEALER_BUDGET) for code in hosting]
    return [(HEADQUARTERS, Purse.HQ, HEADQUARTERS_BUDGET), *granted, *own]


def _guests(plan: Plan, come: Regulars) -> list[Guest]:
    """Who wishes to come, in the order of registering; of headquarters' events from each chapter that supports it."""
    wishing = _regulars_of(plan, come)
    return plan.random.sample(wishing, min(len(plan.parties), len(wishing)))


def _regulars_of(plan: Plan, come: Regulars) -> list[Guest]:
    whose = come.shipped if plan.kind in IN_THE_WORKSHOP else come.new
    return [guest for chapter in plan.chapters for guest in whose[chapter]]


async def _to_its_end(life: Life, members: Sequence[Guest], horizon: datetime) -> None:
    """Through all stages, as far as they were reached before a time; `members` may be invited."""
    plan = life.plan
    is_national = plan.host is None
    await _published(life, members)
    await full_results.prepare(life)
    await life.open()
    if life.guests and not is_national:
        await life.change()
    await life.close()
    await life.hold(all_come=is_national)
    await full_results.bid(life)
    await full_results.give(life)
    await life.ask()
    if plan.ends_at + REPORTED < horizon:
        await full_invited.show(life)
        await life.report()
    if plan.ends_at + SETTLED < horizon:
        await life.settle()


async def _published(life: Life, members: Sequence[Guest]) -> None:
    await life.propose()
    await life.approve()
    await life.publish()
    if life.plan.kind in full_invited.INVITING:
        await full_invited.invite(life, members)


# --- what is to come ---


async def plan_ahead(database: Database, settings: Settings, dealers: Sequence[Dealer], now: datetime) -> int:
    """Leave some events on their way, one at each stage before it is held; how many. Once is enough."""
    hosting = hosts(dealers)
    today = china_date(now)
    plans = [
        of_chapter(host, kind, today + timedelta(days=days), title, number=1)
        for host, (title, kind, days, _) in zip(hosting, _AHEAD, strict=False)
    ]
    missing, stages = await _missing(database, plans), {title: stage for title, _, _, stage in _AHEAD}
    await _allow(database, hosting, {plan.starts_at.year for plan in missing})
    come = await regulars(database, hosting, today)
    for plan in missing:
        async with database.session() as session:
            life = await Life.begin(session, settings, plan, _guests(plan, come))
            await stages[plan.title](life, _regulars_of(plan, come))
    return len(missing)


Stage = Callable[[Life, Sequence[Guest]], Awaitable[None]]


async def _draft(_: Life, __: Sequence[Guest]) -> None:
    """Nobody has proposed it yet."""


async def _proposed(life: Life, _: Sequence[Guest]) -> None:
    await life.propose()


async def _returned(life: Life, _: Sequence[Guest]) -> None:
    await life.propose()
    await life.send_back("请先与场地确认人数上限。")


async def _approved(life: Life, _: Sequence[Guest]) -> None:
    await life.propose()
    await life.approve()


async def _open(life: Life, members: Sequence[Guest]) -> None:
    await _published(life, members)
    await life.open()


async def _called_off(life: Life, members: Sequence[Guest]) -> None:
    await _open(life, members)
    await life.cancel("天气预报有暴雨", life.plan.starts_at - timedelta(days=16))


_AHEAD: Sequence[tuple[str, EventKind, int, Stage]] = (
    ("周末亲子日", EventKind.FAMILY_DAY, 15, _open),
    ("新车试驾周", EventKind.TEST_DRIVE, 17, _open),
    ("山地自驾游", EventKind.SELF_DRIVE, 15, _called_off),
    ("公益植树周", EventKind.CHARITY, 26, _published),
    ("羽毛球公开赛", EventKind.SPORTS, 35, _approved),
    ("摄影采风周", EventKind.PHOTO_WALK, 36, _returned),
    ("草莓采摘周", EventKind.FRUIT_PICKING, 37, _proposed),
    ("冬季爱车讲堂", EventKind.SERVICE_CLASS, 38, _draft),
)
"""Title, kind, in how many days, and how far it has come."""
