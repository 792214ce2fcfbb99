"""The network at its published size: pure, and the same for the same month.

Published (domain.md, "Figures with a fixed formula"): members and chapters by region, the national recruitment rate,
the new members of a month, Shanghai's five new chapters. Invented: everybody by name, how chapters share their region's
members, the regions' recruitment rates, cars of companies and of dealers without a chapter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import count
from random import Random
from typing import NamedTuple, TypeVar

from app.core.clock import CHINA, add_months, month_end
from app.members.rules import Source, vin_check_digit

MEMBERS = {"CD": 15_045, "BJ": 26_021, "SH": 18_470, "JN": 19_691, "GZ": 12_038, "HZ": 23_993}
ON_HQ_ROLL = 3
NEW_MEMBERS = 8_182
NEW_CHAPTERS = frozenset({"SH020", "SH021", "SH022", "SH023", "SH024"})
NEW_CHAPTERS_DAY = 6
"""The day of the last month on which they open."""
RECRUITMENT_RATE = 0.566
RECRUITMENT_RATES = {"CD": 0.60, "SH": 0.53, "JN": 0.56, "GZ": 0.50, "HZ": 0.65}
"""Of five regions; the sixth, Beijing, is what is left to the national rate."""
BUSIEST, BUSIEST_RATE = "HZ007", 0.87
"""The chapter that worked at it."""

SEED = "owner-club-full"
FIRST_SERIAL = 100_000
"""Cars and phone numbers of the shipped members are below."""
OWNERS_SINCE_MONTHS = 36
OUTSIDE = 120
"""Individual owners of each dealer that has no chapter."""
COMPANIES, GOVERNMENTS = 0.06, 0.015
"""Cars of companies and of government on top of those of individuals."""
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂"
MODELS = ("紧凑型轿车", "中型轿车", "城市越野车", "商务车")
SOURCES = (Source.DELIVERY, Source.DELIVERY, Source.SHOWROOM, Source.WORD_OF_MOUTH, Source.CALL_BACK, Source.EVENT)


class Dealer(NamedTuple):
    """A line of dealers.csv, as far as it matters here."""

    code: str
    region: str
    has_chapter: bool


class Owner(NamedTuple):
    """An individual and the car: a line of members.csv. `chapter` is empty on headquarters' roll."""

    chapter: str
    name: str
    phone: str
    vin: str
    delivered_on: date


class Application(NamedTuple):
    """An owner's that is still open at the last month's end."""

    owner: Owner
    source: Source
    applied_at: datetime


class Network(NamedTuple):
    """Everybody at the end of the last month; `others` are no members (yet).

    `deliveries` are rows of deliveries.csv, by day.
    """

    members: Sequence[Owner]
    others: Sequence[Owner]
    applications: Sequence[Application]
    deliveries: Sequence[Sequence[str]]


def network(dealers: Sequence[Dealer], shipped: Sequence[Owner], first: date, last: date) -> Network:
    """The network at the end of a month.

    Args:
        dealers: all of them, those of NEW_CHAPTERS among those with a chapter.
        shipped: the members there are already, who become part of it.
        first: the day the chapters opened, but for the new ones.
        last: the month (its first day), at least two after `first`.
    """
    return _Maker(dealers, shipped, first, last).network()


def opening_day(last: date) -> date:
    """When the new chapters opened."""
    return last.replace(day=NEW_CHAPTERS_DAY)


Key = TypeVar("Key")


def shares(total: int, weights: Mapping[Key, float]) -> dict[Key, int]:
    """A whole number in parts by weight that add up to it (largest remainders)."""
    scale = total / sum(weights.values())
    parts = {key: int(weight * scale) for key, weight in weights.items()}
    rest = sorted(weights, key=lambda key: parts[key] - weights[key] * scale)
    return parts | {key: parts[key] + 1 for key in rest[: total - sum(parts.values())]}


class _Maker:
    """Draws people and cars, one after another."""

    def __init__(self, dealers: Sequence[Dealer], shipped: Sequence[Owner], first: date, last: date) -> None:
        self.random = Random(SEED)  # noqa: S311 (nothing is to be kept secret)
        self.serials = count(FIRST_SERIAL)
        self.dealers = dealers
        self.chapters = {dealer.code: dealer.region for dealer in dealers if dealer.has_chapter}
        self.shipped = shipped
        self.first, self.last, self.end = first, last, month_end(last)

    def network(self) -> Network:
        new = list(self._new_members())
        on_roll = [self._owner("", self.first, self.last - timedelta(days=1)) for _ in range(ON_HQ_ROLL)]
        sold_by = dict(zip((owner.vin for owner in on_roll), sorted(self._of("BJ")), strict=False))
        members = [*self._shipped_by_then(), *new, *on_roll]
        placed = Counter(owner.chapter for owner in [*self.shipped, *new])
        applying = {code: self.random.randint(3, 11) for code in self.chapters}
        others = list(self._others(placed, applying))
        applications = list(self._applications(others, applying))
        homes = {owner.vin: owner.chapter for owner in self.shipped} | sold_by
        cars = [*((homes.get(owner.vin, owner.chapter), owner) for owner in members), *self._not_joined(others)]
        deliveries = [*self._individual(cars), *self._organisations(Counter(code for code, _ in cars))]
        deliveries.sort(key=lambda row: row[2])
        return Network(members, others, applications, deliveries)

    def _of(self, region: str) -> list[str]:
        return [code for code, home in self.chapters.items() if home == region]

    # --- members ---

    def _shipped_by_then(self) -> Iterator[Owner]:
        """Before its chapter opens, a member stands on headquarters' roll."""
        for owner in self.shipped:
            yield owner._replace(chapter="") if owner.chapter in NEW_CHAPTERS else owner

    def _new_members(self) -> Iterator[Owner]:
        there = Counter(owner.chapter for owner in self.shipped)
        missing: dict[str, int] = {}
        for region, members in MEMBERS.items():
            weights = {code: self._size(code) for code in self._of(region)}
            missing |= shares(members - sum(there[code] for code in weights), weights)
        old = {code: number for code, number in missing.items() if code not in NEW_CHAPTERS}
        recent = shares(NEW_MEMBERS - (sum(missing.values()) - sum(old.values())), old)
        yesterday = self.last - timedelta(days=1)
        for code, number in missing.items():
            began = opening_day(self.last) if code in NEW_CHAPTERS else self.last
            for index in range(number):
                is_recent = index < recent.get(code, number)
                yield self._owner(code, began, self.end) if is_recent else self._owner(code, self.first, yesterday)

    def _size(self, chapter: str) -> float:
        return 0.3 if chapter in NEW_CHAPTERS else self.random.uniform(0.6, 1.4)

    # --- owners who are no members ---

    def _others(self, members: Counter[str], applying: Mapping[str, int]) -> Iterator[Owner]:
        """The individual owners of dealers with a chapter who are no members, so many that the rates come out."""
        since = add_months(self.last, -OWNERS_SINCE_MONTHS)
        for code, number in self._missed(members, applying).items():
            # whoever applied got the car lately
            lately = applying[code]
            yield from (self._owner(code, self.last, self.end) for _ in range(lately))
            yield from (self._owner(code, since, self.end) for _ in range(number - lately))

    def _missed(self, members: Counter[str], applying: Mapping[str, int]) -> dict[str, int]:
        joining = {code: members[code] + applying[code] for code in self.chapters}
        all_missed = round((sum(joining.values()) + ON_HQ_ROLL) / RECRUITMENT_RATE) - sum(members.values()) - ON_HQ_ROLL
        missed: dict[str, int] = {}
        for region, rate in RECRUITMENT_RATES.items():
            codes = self._of(region)
            owners = round(sum(joining[code] for code in codes) / rate)
            missed |= self._spread(owners - sum(members[code] for code in codes), codes, joining, members)
        rest = [code for code in self.chapters if code not in missed]
        return missed | self._spread(all_missed - sum(missed.values()), rest, joining, members)

    def _spread(
        self, number: int, codes: Sequence[str], joining: Mapping[str, int], members: Counter[str]
    ) -> dict[str, int]:
        fixed = {code: round(joining[code] / BUSIEST_RATE) - members[code] for code in codes if code == BUSIEST}
        weights = {code: members[code] * self.random.uniform(0.75, 1.25) for code in codes if code not in fixed}
        return fixed | shares(number - sum(fixed.values()), weights)

    def _applications(self, others: Sequence[Owner], applying: Mapping[str, int]) -> Iterator[Application]:
        left = dict(applying)
        for owner in others:
            if left[owner.chapter] and owner.delivered_on >= self.last:
                left[owner.chapter] -= 1
                day = self._day(owner.delivered_on, self.end)
                applied_at = datetime.combine(day, time(self.random.randint(9, 19), self.random.randrange(60)), CHINA)
                yield Application(owner, self.random.choice(SOURCES), applied_at)

    # --- deliveries ---

    def _not_joined(self, others: Iterable[Owner]) -> Iterator[tuple[str, Owner]]:
        yield from ((owner.chapter, owner) for owner in others)
        since = add_months(self.last, -OWNERS_SINCE_MONTHS)
        for dealer in self.dealers:
            if not dealer.has_chapter:
                yield from ((dealer.code, self._owner("", since, self.end)) for _ in range(OUTSIDE))

    def _individual(self, cars: Iterable[tuple[str, Owner]]) -> Iterator[list[str]]:
        for code, owner in cars:
            yield self._row(code, owner.vin, owner.delivered_on, "individual", owner.name, owner.phone)

    def _organisations(self, cars: Counter[str]) -> Iterator[list[str]]:
        since = add_months(self.last, -OWNERS_SINCE_MONTHS)
        for code in sorted(cars):
            for kind, share in (("company", COMPANIES), ("government", GOVERNMENTS)):
                for _ in range(round(cars[code] * share)):
                    yield self._row(code, self._vin(next(self.serials)), self._day(since, self.end), kind, "", "")

    def _row(self, code: str, vin: str, day: date, kind: str, name: str, phone: str) -> list[str]:
        consultant = f"{code}-{self.random.randint(1, 4)}"
        return [code, vin, day.isoformat(), kind, name, phone, consultant, self.random.choice(MODELS)]

    # --- one person, one car ---

    def _owner(self, chapter: str, since: date, until: date) -> Owner:
        serial = next(self.serials)
        return Owner(chapter, self._name(), f"154{serial:08d}", self._vin(serial), self._day(since, until))

    def _name(self) -> str:
        return self.random.choice(SURNAMES) + "".join(self.random.choices(GIVEN, k=self.random.randint(1, 2)))

    def _day(self, since: date, until: date) -> date:
        return since + timedelta(days=self.random.randrange((until - since).days + 1))

    @staticmethod
    def _vin(serial: int) -> str:
        blank = f"LSVAB26E0S2{serial:06d}"
        return f"{blank[:8]}{vin_check_digit(blank)}{blank[9:]}"
