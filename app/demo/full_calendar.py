"""A year of events of the full-size network, as they were planned: pure, and the same for the same month.

Published (domain.md, events): the four classes, the kinds, and one joint event: on 25 July, 120 owners and their
families, six partner brands. Everything else about them is invented.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import cycle, islice
from random import Random
from typing import NamedTuple

from app.core.clock import CHINA, add_months
from app.demo.full import MEMBERS, NEW_CHAPTERS, SEED, Dealer
from app.events.rules import EventClass, EventKind, LineKind
from app.events.schemas import LinePlan

MONTHS = 12
"""Of events, up to the last one that has ended."""
HOSTS_A_REGION = 3
EVENTS_A_MONTH = 7
"""Of chapters."""

JOINT_MONTH, JOINT_DAY, JOINT_PARTIES = 7, 25, (3,) * 24 + (2,) * 24
"""The published joint event's day, and 120 persons by parties."""
JOINT_PARTNERS = ("HOTEL-HUBIN", "WINERY-QIU", "SALON-SI", "INSURER-AN", "TRAVEL-YUAN", "GARDEN-TEA")
ANNUAL_MEETING_MONTH = 1

PRIZE_POINTS = 1_000
"""Granted by headquarters for a contest or a draw."""
PLANNED, PUBLISHED, OPENS, CHANGED, CLOSES = (timedelta(days=days) for days in (40, 30, 21, 10, 2))
"""So long before an event."""
LASTS, REPORTED, SETTLED = timedelta(hours=5), timedelta(days=4), timedelta(days=10)


class Sort(NamedTuple):
    """What events of a kind are like; `fen` and `points` are a person's fee, points in the second half of the year."""

    event_class: EventClass
    title: str
    place: str
    fen: int = 0
    points: int = 0


SORTS: Mapping[EventKind, Sort] = {
    EventKind.SERVICE_CLASS: Sort(EventClass.EVERYDAY, "爱车讲堂", "店内会员厅"),
    EventKind.FREE_CHECKUP: Sort(EventClass.CARE, "免费检测日", "店内车间"),
    EventKind.SELF_DRIVE: Sort(EventClass.CARE, "自驾游", "城郊营地", fen=12_000),
    EventKind.FAMILY_DAY: Sort(EventClass.CARE, "亲子日", "市民公园"),
    EventKind.SPORTS: Sort(EventClass.EVERYDAY, "羽毛球友谊赛", "体育馆"),
    EventKind.PHOTO_WALK: Sort(EventClass.EVERYDAY, "摄影采风", "老城"),
    EventKind.FRUIT_PICKING: Sort(EventClass.EVERYDAY, "采摘日", "果园", fen=5_000),
    EventKind.TEST_DRIVE: Sort(EventClass.MARKET, "新车试驾会", "试驾场"),
    EventKind.CHARITY: Sort(EventClass.SPECIAL, "公益植树", "城郊林场"),
    EventKind.CONTEST: Sort(EventClass.MARKET, "车贴设计赛", "店内展厅"),
    EventKind.DRAW: Sort(EventClass.SPECIAL, "会员抽奖会", "店内展厅"),
    EventKind.AUCTION: Sort(EventClass.SPECIAL, "积分拍卖会", "店内会员厅"),
    EventKind.OTHER: Sort(EventClass.EVERYDAY, "茶会", "茶馆", points=20),
    EventKind.PARTNER_JOINT: Sort(EventClass.MARKET, "车主与家人联谊日", "湖滨酒店"),
    EventKind.ANNUAL_MEETING: Sort(EventClass.SPECIAL, "会员年会", "会议中心"),
}
HEADQUARTERS_OWN = frozenset({EventKind.PARTNER_JOINT, EventKind.ANNUAL_MEETING})
IN_THE_WORKSHOP = frozenset({EventKind.SERVICE_CLASS, EventKind.FREE_CHECKUP})
"""Where owners come who have their cars serviced; coming gives no points, the order does."""


class Plan(NamedTuple):
    """An event to be. `host` is its chapter, None: headquarters, which `supporters` help.

    `parties` want to come, persons each; `capacity` counts persons.
    """

    host: str | None
    kind: EventKind
    title: str
    starts_at: datetime
    parties: Sequence[int]
    capacity: int
    lines: Sequence[LinePlan]
    supporters: Sequence[str] = ()
    fee_points: int = 0

    @property
    def sort(self) -> Sort:
        """What its kind is like."""
        return SORTS[self.kind]

    @property
    def ends_at(self) -> datetime:
        """When it is over."""
        return self.starts_at + LASTS

    @property
    def chapters(self) -> Sequence[str]:
        """Whose members come."""
        return [self.host] if self.host else self.supporters

    @property
    def random(self) -> Random:
        """What is left to chance at this event, the same each time."""
        return Random(f"{SEED}-{self.title}")  # noqa: S311 (nothing is to be kept secret)


def hosts(dealers: Sequence[Dealer]) -> list[str]:
    """The chapters that hold events, of each region the same number, one region after the other by turns."""
    by_region = [
        [one.code for one in dealers if one.region == region and one.has_chapter and one.code not in NEW_CHAPTERS]
        for region in MEMBERS
    ]
    return [code for row in islice(zip(*by_region, strict=False), HOSTS_A_REGION) for code in row]


def of_month(month: date, last: date, hosting: Sequence[str]) -> list[Plan]:
    """The events of a month in the order of time; none outside the year that ends with `last`."""
    first = add_months(last, 1 - MONTHS)
    if not first <= month <= last:
        return []
    index = (month.year - first.year) * 12 + month.month - first.month
    plans = [*_of_chapters(month, index, hosting), *_of_headquarters(month, hosting)]
    return sorted(plans, key=lambda plan: (plan.starts_at, plan.title))


def _of_chapters(month: date, index: int, hosting: Sequence[str]) -> Iterator[Plan]:
    kinds = [kind for kind in SORTS if kind not in HEADQUARTERS_OWN]
    start = index * EVENTS_A_MONTH
    turns = zip(islice(cycle(kinds), start, None), islice(cycle(hosting), start, None), strict=False)
    for number, (kind, host) in enumerate(islice(turns, EVENTS_A_MONTH), start=start):
        day = month.replace(day=3 + number * 5 % 24)
        yield of_chapter(host, kind, day, f"{host} {month.year}年{month.month}月{SORTS[kind].title}", number)


def of_chapter(host: str, kind: EventKind, day: date, title: str, number: int) -> Plan:
    """A chapter's event. Where `number` divides by four, and it costs no points, seats are too few."""
    random = Random(f"{SEED}-{title}-parties")  # noqa: S311 (nothing is to be kept secret)
    parties = random.choices((1, 1, 2, 2, 3, 4), k=random.randint(8, 12))
    # before that nobody has points
    fee_points = SORTS[kind].points if number >= EVENTS_A_MONTH * MONTHS / 2 else 0
    # who is offered a seat late might not have the points for it
    capacity = sum(parties) - (5 if number % 4 == 0 and not fee_points else 0)
    lines = [
        _line(LineKind.MONEY, "hq", "场地", 200_000),
        _line(LineKind.MONEY, f"dealer:{host}", "餐饮", capacity * 6_000),
        _line(LineKind.MATERIAL, "hq", "会员礼品", capacity),
        *_prizes(kind),
    ]
    return Plan(host, kind, title, _morning(day), parties, capacity, lines, fee_points=fee_points)


def _of_headquarters(month: date, hosting: Sequence[str]) -> Iterator[Plan]:
    if month.month == JOINT_MONTH:
        lines = [_line(LineKind.MONEY, f"partner:{code}", "联谊日分摊", 500_000) for code in JOINT_PARTNERS]
        yield _national(EventKind.PARTNER_JOINT, month.replace(day=JOINT_DAY), JOINT_PARTIES, hosting[:3], lines)
    if month.month == ANNUAL_MEETING_MONTH:
        yield _national(EventKind.ANNUAL_MEETING, month.replace(day=16), (2,) * 40, hosting[:6], [])


def _national(
    kind: EventKind, day: date, parties: Sequence[int], supporters: Sequence[str], lines: Sequence[LinePlan]
) -> Plan:
    guests = sum(parties)
    own = [
        _line(LineKind.MONEY, "hq", "场地与餐饮", guests * 20_000),
        _line(LineKind.MONEY, f"dealer:{supporters[0]}", "接送", 150_000),
    ]
    title = f"{day.year}年{SORTS[kind].title}"
    return Plan(None, kind, title, _morning(day), parties, guests, [*own, *lines], supporters)


def _prizes(kind: EventKind) -> list[LinePlan]:
    has_prizes = kind in {EventKind.CONTEST, EventKind.DRAW}
    return [_line(LineKind.POINTS, "hq", "奖励积分", PRIZE_POINTS)] if has_prizes else []


def _line(kind: LineKind, payer: str, purpose: str, planned: int) -> LinePlan:
    return LinePlan(kind=kind, payer=payer, purpose=purpose, planned=planned)


def _morning(day: date) -> datetime:
    return datetime.combine(day, time(10), CHINA)
