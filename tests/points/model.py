"""The ledger for one member in plain Python, from domain.md ("Points, exactly") and design.md ("The ledger").

It knows no SQL and keeps no running sums: every balance is added up from lots and debts when asked for.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from app.core.clock import add_months, month_end, month_of

PARTS = ("pending", "available", "held", "spent", "expired", "reversed", "repaid", "carried")


class Refused(Exception):
    """A business refusal; `type` is the problem's stable type."""

    def __init__(self, type_: str) -> None:
        super().__init__(type_)
        self.type = type_


class Balances(NamedTuple):
    """What a member has and owes, in points."""

    available: int
    pending: int
    held: int
    owed: int


class Answer(NamedTuple):
    """What an accepted operation answers."""

    posting_no: int
    kind: str
    points: int
    balances: Balances


@dataclass
class Lot:
    """What one earning gave; `parts` says where its points are now."""

    no: int
    funder: str
    granted: int
    spendable_from: date
    expires_on: date
    earning: int | None
    activity_months: int | None = None
    is_live: bool = True
    parts: Counter[str] = field(default_factory=Counter)

    def move(self, source: str, target: str, points: int) -> None:
        """Points change their place within the lot."""
        self.parts[source] -= points
        self.parts[target] += points


@dataclass
class Debt:
    """What a member owes a funder since a reversal."""

    funder: str
    left: int


@dataclass
class Posting:
    """What later operations need to know of a posting. `taken`: (lot number, points), as they were taken."""

    no: int
    kind: str
    points: int
    place: str = ""
    document: str | None = None
    booked_on: date | None = None
    taken: list[tuple[int, int]] = field(default_factory=list)
    until: datetime | None = None
    is_ended: bool = False


class Wallet:
    """One member's points. Each operation brings it up to the business date first, then refuses or posts."""

    def __init__(self) -> None:
        self.lots: list[Lot] = []
        self.debts: list[Debt] = []
        self.postings: dict[int, Posting] = {}
        self.version = 0
        self.redeemed: Counter[tuple[str, str]] = Counter()
        """Points redeemed, net of refunds, by place and funder."""

    # ---- what it has

    def balances(self) -> Balances:
        """Added up from lots and debts."""

        def total(part: str) -> int:
            return sum(lot.parts[part] for lot in self.lots)

        owed = sum(debt.left for debt in self.debts)
        return Balances(total("available"), total("pending"), total("held"), owed)

    def of_kind(self, *kinds: str) -> list[Posting]:
        """The postings of these kinds, oldest first."""
        return [p for p in self.postings.values() if p.kind in kinds]

    def live_earning(self, document: str) -> Posting | None:
        """The earning that holds a document now."""
        return next((p for p in self.of_kind("earn") if p.document == document and not p.is_ended), None)

    # ---- time

    def touch(self, today: date) -> None:
        """What has matured becomes available, what has lapsed expires or is renewed: each lot a posting of its own."""
        for lot in sorted(self.lots, key=lambda lot: (lot.spendable_from, lot.no)):
            if lot.parts["pending"] and lot.spendable_from <= today:
                points = lot.parts["pending"]
                self._post("mature", points)
                lot.move("pending", "available", points)
                self._repay(lot, points)
        while lapsed := [lot for lot in self.lots if lot.parts["available"] and lot.expires_on < today]:
            for lot in sorted(lapsed, key=lambda lot: (lot.expires_on, lot.no)):
                self._lapse(lot)

    def _lapse(self, lot: Lot) -> None:
        points, until = lot.parts["available"], self._active_until(lot)
        if until > lot.expires_on:
            self._post("renew", points)
            lot.move("available", "carried", points)
            self._continue(lot, points, lot.spendable_from, until).parts["available"] = points
        else:
            self._post("expire", points)
            lot.move("available", "expired", points)

    def _active_until(self, lot: Lot) -> date:
        """The last day that earnings, each made before the points had lapsed, give a lot that lives by activity."""
        last = lot.expires_on
        if lot.activity_months is None:
            return last
        for day in sorted(p.booked_on for p in self.of_kind("earn") if p.booked_on and not p.is_ended):
            if day <= last:
                last = max(last, month_end(add_months(month_of(day), lot.activity_months)))
        return last

    # ---- operations

    def earn(
        self, points: int, funder: str, document: str, booked_on: date, spendable_from: date, expires_on: date,
        activity_months: int | None = None,
    ) -> Answer:  # fmt: skip
        """Grant a lot; debts are repaid from it as soon as it is spendable."""
        self.touch(booked_on)
        posting = self._post("earn", points, document=document, booked_on=booked_on)
        self._grant(points, funder, booked_on, spendable_from, expires_on, posting.no, activity_months)
        return self._answer(posting)

    def take(self, kind: str, points: int, place: str, today: date, until: datetime | None = None) -> Answer:
        """Redeem, or hold until a moment: earliest expiry first, then oldest."""
        self.touch(today)
        target = "held" if kind == "hold" else "spent"
        taken = self._take(points, target, today)
        if kind == "redeem":
            self._count(place, taken, +1)
        return self._answer(self._post(kind, points, place=place, taken=taken, until=until))

    def capture(self, hold_no: int, points: int, now: datetime, today: date) -> Answer:
        """Spend a part of what is held, first taken first; the rest goes back."""
        self.touch(today)
        hold = self._open_hold(hold_no)
        assert hold.until is not None
        if hold.until <= now:
            raise Refused("hold-expired")
        if points > hold.points:
            raise Refused("exceeds-original")
        return self._end_hold(hold, "capture", points, today)

    def release(self, hold_no: int, today: date) -> Answer:
        """All that is held goes back."""
        self.touch(today)
        return self._end_hold(self._open_hold(hold_no), "release", 0, today)

    def refund(self, original_no: int, points: int | None, grace_until: date, today: date) -> Answer:
        """Points go back to the lots they came from, last taken first; lapsed lots get a child lot."""
        self.touch(today)
        original = self._find(original_no, "redeem", "capture")
        left = sum(points for _, points in original.taken)
        wanted = left if points is None else points
        if wanted > left or left == 0:
            raise Refused("exceeds-original")
        posting = self._post("refund", wanted)
        while wanted:
            lot_no, taken = original.taken.pop()
            part = min(taken, wanted)
            if taken > part:
                original.taken.append((lot_no, taken - part))
            self._count(original.place, [(lot_no, part)], -1)
            self._give_back(lot_no, "spent", part, today, grace_until)
            wanted -= part
        return self._answer(posting)

    def reverse(self, original_no: int, today: date) -> Answer:
        """Take an earning back; what was held or spent of it, or repaid a debt, is owed to its funder."""
        self.touch(today)
        original = self._find(original_no, "earn")
        if original.is_ended:
            raise Refused("already-reversed")
        original.is_ended = True
        posting = self._post("reverse", original.points)
        owed = 0
        for lot in [lot for lot in self.lots if lot.earning == original_no and lot.is_live]:
            lot.is_live = False
            owed += lot.parts["held"] + lot.parts["spent"] + lot.parts["repaid"]
            for source in ("pending", "available"):
                lot.move(source, "reversed", lot.parts[source])
            funder = lot.funder
        if owed:
            self.debts.append(Debt(funder, owed))
        return self._answer(posting)

    def adjust(self, points: int, today: date, expires_on: date) -> Answer:
        """A person's correction: granted by headquarters, or taken back."""
        self.touch(today)
        if points < 0:
            self._take(-points, "reversed", today)
        posting = self._post("adjust", points)
        if points > 0:
            self._grant(points, "HQ", today, today, expires_on, None)
        return self._answer(posting)

    def write_off(self, points: int, today: date) -> Answer:
        """Forgive debts, oldest first."""
        self.touch(today)
        if points > self.balances().owed:
            raise Refused("exceeds-owed")
        posting = self._post("write_off", points)
        for debt in self.debts:
            part = min(debt.left, points)
            debt.left -= part
            points -= part
        return self._answer(posting)

    # ---- steps

    def _post(self, kind: str, points: int, **details: object) -> Posting:
        self.version += 1
        posting = Posting(self.version, kind, points, **details)  # type: ignore[arg-type]
        self.postings[posting.no] = posting
        return posting

    def _answer(self, posting: Posting) -> Answer:
        return Answer(posting.no, posting.kind, posting.points, self.balances())

    def _find(self, number: int, *kinds: str) -> Posting:
        if number not in self.postings:
            raise Refused("not-found")
        if self.postings[number].kind not in kinds:
            raise Refused("wrong-posting-kind")
        return self.postings[number]

    def _open_hold(self, number: int) -> Posting:
        posting = self.postings.get(number)
        if posting is None or posting.kind != "hold":
            raise Refused("not-found")
        if posting.is_ended:
            raise Refused("hold-resolved")
        return posting

    def _end_hold(self, hold: Posting, kind: str, points: int, today: date) -> Answer:
        hold.is_ended = True
        posting = self._post(kind, points if kind == "capture" else hold.points, place=hold.place)
        for lot_no, held in hold.taken:
            part = min(held, points)
            if part:
                self.lots[lot_no - 1].move("held", "spent", part)
                posting.taken.append((lot_no, part))
            if held > part:
                self._give_back(lot_no, "held", held - part, today)
            points -= part
        self._count(hold.place, posting.taken, +1)
        return self._answer(posting)

    def _grant(
        self,
        points: int,
        funder: str,
        today: date,
        spendable_from: date,
        expires_on: date,
        earning: int | None,
        activity_months: int | None = None,
    ) -> Lot:
        lot = Lot(len(self.lots) + 1, funder, points, spendable_from, expires_on, earning, activity_months)
        self.lots.append(lot)
        if spendable_from > today:
            lot.parts["pending"] = points
        else:
            lot.parts["available"] = points
            self._repay(lot, points)
        return lot

    def _take(self, points: int, target: str, today: date) -> list[tuple[int, int]]:
        spendable = [
            lot for lot in self.lots if lot.spendable_from <= today <= lot.expires_on and lot.parts["available"]
        ]
        if sum(lot.parts["available"] for lot in spendable) < points:
            raise Refused("insufficient-points")
        taken = []
        for lot in sorted(spendable, key=lambda lot: (lot.expires_on, lot.no)):
            part = min(lot.parts["available"], points)
            if part:
                lot.move("available", target, part)
                taken.append((lot.no, part))
            points -= part
        return taken

    def _give_back(self, lot_no: int, source: str, points: int, today: date, grace_until: date | None = None) -> None:
        lot = self.lots[lot_no - 1]
        lot.move(source, "available", points)
        left = points - self._repay(lot, points)
        if left == 0 or lot.expires_on >= today:
            return
        active_until = self._active_until(lot)
        until = active_until if active_until >= today else grace_until
        if until is None:
            lot.move("available", "expired", left)
            return
        lot.move("available", "carried", left)
        self._continue(lot, left, today, until).parts["available"] = left

    def _continue(self, lot: Lot, points: int, spendable_from: date, expires_on: date) -> Lot:
        """A lot for what another carries on; its points are not yet anywhere."""
        child = Lot(
            len(self.lots) + 1, lot.funder, points, spendable_from, expires_on, lot.earning, lot.activity_months,
            lot.is_live,
        )  # fmt: skip
        self.lots.append(child)
        return child

    def _repay(self, lot: Lot, points: int) -> int:
        """Debts first, oldest first; how much went there."""
        repaid = 0
        for debt in self.debts:
            part = min(debt.left, points - repaid)
            debt.left -= part
            repaid += part
        lot.move("available", "repaid", repaid)
        return repaid

    def _count(self, place: str, taken: list[tuple[int, int]], sign: int) -> None:
        for lot_no, points in taken:
            self.redeemed[place, self.lots[lot_no - 1].funder] += sign * points


GRACE = timedelta(days=30)
"""Life of points refunded after their lot had expired."""
