"""What may happen to a member's wallet, done to the ledger and to its model: any sequence, invariants after each.

1  an accepted operation answers what the model answers: number, kind, points and the balances after it
2  a refused operation names the model's reason, and refused again changes not a row
3  a retry under its key gets the first answer and changes not a row; the same for a live document under another key
4  a key used again with other content is refused and changes not a row
5  the stored balances are the model's
6  each lot's parts are the model's, none below zero, and add up to what was granted
7  open debts add up to what is owed
8  issued - redeemed - expired - reversed = outstanding - owed, from the movements alone
9  points redeemed by place and funder are the model's: what settlement reads
10 everything `club verify` checks holds
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)  # fmt: skip

from app.core.clock import china_date
from app.core.db import new_id
from app.core.problems import KeyConflict, Problem
from app.points import ledger
from app.points.ledger import BatchEarning, Earning, Posting, Request
from app.points.verify import CHECKS
from tests.points.model import GRACE, PARTS, Answer, Balances, Refused, Wallet
from tests.points.observed import DUMP, IDENTITY, REDEEMED, Books

START = datetime(2026, 1, 10, 4, 0, tzinfo=UTC)
FUNDERS = st.sampled_from(["HQ", "BJ001", "SH002"])
PLACES = st.sampled_from(["BJ001", "SH002", "GZ003"])
SHARES = st.sampled_from([1, 10, 30, 50, 80, 100, 130])
"""Per cent of what there is; above 100 must be refused."""

Call = Callable[[Request], Awaitable[Posting]]


class LedgerMachine(RuleBasedStateMachine):
    """One member of a new wallet, in the ledger and in the model."""

    books: Books

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.member = new_id()
        self.wallet = Wallet()
        self.asked = 0
        self.done: list[tuple[Call, Request, Posting]] = []
        self.earnings: list[Earning] = []
        self.run(ledger.open_wallets(self.db, [self.member]))

    @property
    def db(self) -> asyncpg.Connection:
        return self.books.db

    @property
    def today(self):
        return china_date(self.now)

    def run(self, work: Awaitable[Any]) -> Any:
        return self.books.run(work)

    def dump(self) -> tuple[str, ...]:
        """Every row of the member."""
        return tuple(self.run(self.db.fetchrow(DUMP, self.member)))

    def request(self) -> Request:
        self.asked += 1
        return Request("machine", f"{self.member}:{self.asked}", self.now)

    def attempt(self, model: Callable[[], Answer], call: Call) -> None:
        """Do it in both; they must agree (1, 2)."""
        try:
            expected = model()
        except Refused as refused:
            self.refused(call, self.request(), refused.type)
            before = self.dump()
            self.refused(call, self.request(), refused.type)
            assert self.dump() == before
            return
        request = self.request()
        posting = self.run(call(request))
        assert not posting.replayed
        assert _answer(posting) == expected
        self.done.append((call, request, posting))

    def refused(self, call: Call, request: Request, type_: str) -> None:
        with pytest.raises(Problem) as refusal:
            self.run(call(request))
        assert refusal.value.type == type_

    # ---- time

    @rule(days=st.integers(1, 40), sweeps=st.booleans(), rolls_up=st.booleans())
    def days_pass(self, days: int, sweeps: bool, rolls_up: bool) -> None:
        """Whether the night's sweep came or not must make no difference to what an operation finds."""
        self.now += timedelta(days=days)
        if sweeps:
            self.wallet.touch(self.today)
            self.run(ledger.sweep(self.db, now=self.now))
        if rolls_up:
            self.run(ledger.roll_up(self.db))

    @precondition(lambda self: self.wallet.of_kind("hold"))
    @rule()
    def expired_holds_are_released(self) -> None:
        for hold in self.wallet.of_kind("hold"):
            if not hold.is_ended and hold.until is not None and hold.until <= self.now:
                self.wallet.release(hold.no, self.today)
        self.run(ledger.release_expired_holds(self.db, now=self.now))

    # ---- earning

    @initialize(lives=st.lists(st.integers(0, 90), min_size=2, max_size=4), months=st.integers(1, 3), share=SHARES)
    def some_lots(self, lives: list[int], months: int, share: int) -> None:
        """Runs begin with what the rest is about: several lots of several funders, some of them spent."""
        for funder, life in zip(("HQ", "BJ001", "SH002", "HQ"), lives, strict=False):
            self.earn(20, funder, 0, 0, life)
        self.earn_by_activity(30, "GZ003", 0, lives[0], months)
        self.redeem(share, "BJ001")

    @rule(
        points=st.integers(1, 200), funder=FUNDERS, late=st.sampled_from([0, 0, 0, 1, 35]),
        pending=st.sampled_from([0, 0, 0, 7, 30]), life=st.sampled_from([0, 20, 60, 60, 400]),
    )  # fmt: skip
    def earn(self, points: int, funder: str, late: int, pending: int, life: int) -> None:
        booked_on = self.today - timedelta(days=late)
        spendable_from = booked_on + timedelta(days=pending)
        cause, expires_on = f"order:{self.member}:{len(self.earnings)}", spendable_from + timedelta(days=life)
        self._earn(Earning(self.member, points, funder, "GZ003", cause, booked_on, spendable_from, expires_on))

    @rule(
        points=st.integers(1, 200), funder=FUNDERS, late=st.sampled_from([0, 0, 1, 35]),
        life=st.sampled_from([0, 20, 60]), months=st.integers(1, 3),
    )  # fmt: skip
    def earn_by_activity(self, points: int, funder: str, late: int, life: int, months: int) -> None:
        booked_on, cause = self.today - timedelta(days=late), f"survey:{self.member}:{self.wallet.version}"
        expires_on = booked_on + timedelta(days=life)
        expected = self.wallet.earn(points, funder, cause, booked_on, booked_on, expires_on, months)
        batch = [BatchEarning(self.member, points, funder, "GZ003", cause, 1, booked_on, expires_on, None, months)]
        assert self.run(ledger.earn_all(self.db, batch, actor="machine", now=self.now)) == [expected.posting_no]

    def _earn(self, earning: Earning) -> None:
        e = earning
        self.earnings.append(e)
        self.attempt(
            lambda: self.wallet.earn(e.points, e.funder, e.cause, e.booked_on, e.spendable_from, e.expires_on),
            lambda request: ledger.earn(self.db, e, request),
        )

    @precondition(lambda self: self.earnings)
    @rule(pick=st.integers(0, 50), more=st.sampled_from([0, 0, 5]))
    def same_document_again(self, pick: int, more: int) -> None:
        """3: while live the first answer, or refused with other content; after its reversal it earns anew."""
        earning = self.earnings[pick % len(self.earnings)]
        other = Earning(
            **{name: getattr(earning, name) for name in Earning.__slots__} | {"points": earning.points + more}
        )
        live = self.wallet.live_earning(earning.cause)
        if live is None:
            self._earn(other)
            return
        before = self.dump()
        if live.points != other.points or not self._is_first(live.no, other):
            self.refused(lambda request: ledger.earn(self.db, other, request), self.request(), "document-conflict")
        else:
            again = self.run(ledger.earn(self.db, other, self.request()))
            assert again.replayed
            assert again.posting_no == live.no
        assert self.dump() == before

    def _is_first(self, posting_no: int, earning: Earning) -> bool:
        """Whether the live posting was made with this very content."""
        query = "SELECT request_hash FROM ledger.posting WHERE member_id = $1 AND posting_no = $2"
        content = self.request().content(ledger.Kind.EARN, *earning.arguments)
        return bool(self.run(self.db.fetchval(query, self.member, posting_no)) == content)

    # ---- spending

    @rule(share=SHARES, place=PLACES, minutes=st.sampled_from([30, 60 * 24 * 20, 60 * 24 * 400]))
    def hold(self, share: int, place: str, minutes: int) -> None:
        points, until = (
            self._share(self.wallet.balances().available, share),
            self.now + timedelta(minutes=minutes),
        )
        self.attempt(
            lambda: self.wallet.take("hold", points, place, self.today, until),
            lambda request: ledger.hold(
                self.db, self.member, points, place=place, cause="order:1", until=until, request=request
            ),
        )

    @rule(share=SHARES, place=PLACES)
    def redeem(self, share: int, place: str) -> None:
        points = self._share(self.wallet.balances().available, share)
        self.attempt(
            lambda: self.wallet.take("redeem", points, place, self.today),
            lambda request: ledger.redeem(self.db, self.member, points, place=place, cause="order:1", request=request),
        )

    @precondition(lambda self: self.wallet.of_kind("hold"))
    @rule(pick=st.integers(0, 50), share=SHARES)
    def capture(self, pick: int, share: int) -> None:
        hold = self._pick(pick, "hold")
        points = self._share(hold.points, share)
        self.attempt(
            lambda: self.wallet.capture(hold.no, points, self.now, self.today),
            lambda request: ledger.capture(self.db, self.member, hold.no, points, cause="order:2", request=request),
        )

    @precondition(lambda self: self.wallet.of_kind("hold"))
    @rule(pick=st.integers(0, 50))
    def release(self, pick: int) -> None:
        hold = self._pick(pick, "hold")
        self.attempt(
            lambda: self.wallet.release(hold.no, self.today),
            lambda request: ledger.release(self.db, self.member, hold.no, cause="order:2", request=request),
        )

    @precondition(lambda self: self.wallet.of_kind("redeem", "capture"))
    @rule(pick=st.integers(0, 50), share=SHARES | st.none(), grace_days=st.just(GRACE.days) | st.integers(0, 5))
    def refund(self, pick: int, share: int | None, grace_days: int) -> None:
        original, grace_until = self._pick(pick, "redeem", "capture"), self.today + timedelta(days=grace_days)
        points = None if share is None else self._share(original.points, share)
        self._refund(original.no, points, grace_until)

    def _refund(self, original: int, points: int | None, grace_until: Any) -> None:
        self.attempt(
            lambda: self.wallet.refund(original, points, grace_until, self.today),
            lambda request: ledger.refund(
                self.db,
                self.member,
                original,
                points,
                grace_until=grace_until,
                cause="order:3",
                reason="changed mind",
                request=request,
            ),
        )

    # ---- correcting

    @precondition(lambda self: self.wallet.of_kind("earn"))
    @rule(pick=st.integers(0, 50))
    def reverse(self, pick: int) -> None:
        self._reverse(self._pick(pick, "earn").no)

    def _reverse(self, original: int) -> None:
        self.attempt(
            lambda: self.wallet.reverse(original, self.today),
            lambda request: ledger.reverse(
                self.db, self.member, original, cause="order:4", reason="wrong", request=request
            ),
        )

    @rule(points=st.integers(-80, 80).filter(bool), life=st.integers(0, 60))
    def adjust(self, points: int, life: int) -> None:
        expires_on = self.today + timedelta(days=life)
        self.attempt(
            lambda: self.wallet.adjust(points, self.today, expires_on),
            lambda request: ledger.adjust(
                self.db, self.member, points, reason="goodwill", expires_on=expires_on, request=request
            ),
        )

    @precondition(lambda self: self.wallet.debts)
    @rule(share=SHARES)
    def write_off(self, share: int) -> None:
        points = self._share(self.wallet.balances().owed, share)
        self.attempt(
            lambda: self.wallet.write_off(points, self.today),
            lambda request: ledger.write_off(self.db, self.member, points, reason="goodwill", request=request),
        )

    @rule(number=st.integers(1, 30))
    def a_posting_of_any_kind(self, number: int) -> None:
        """Only an earning is reversed, only a redemption or capture refunded."""
        if number not in self.wallet.postings or self.wallet.postings[number].kind not in (
            "redeem",
            "capture",
        ):
            self._refund(number, 1, self.today)
        else:
            self._reverse(number)

    # ---- asking again

    @precondition(lambda self: self.done)
    @rule(pick=st.integers(0, 50))
    def retry(self, pick: int) -> None:
        """3"""
        call, request, first = self.done[pick % len(self.done)]
        before = self.dump()
        again = self.run(call(request._replace(now=self.now)))
        assert again.replayed
        assert _answer(again) == _answer(first)
        assert self.dump() == before

    @precondition(lambda self: self.done)
    @rule(pick=st.integers(0, 50))
    def same_key_other_content(self, pick: int) -> None:
        """4"""
        _, request, _ = self.done[pick % len(self.done)]
        before = self.dump()
        with pytest.raises(KeyConflict):
            self.run(ledger.redeem(self.db, self.member, 1, place="GZ003", cause="order:other", request=request))
        assert self.dump() == before

    # ---- invariants

    @invariant()
    def balances_are_the_models(self) -> None:
        """5"""
        row = self.run(self.db.fetchrow("SELECT * FROM ledger.member_balance WHERE member_id = $1", self.member))
        assert Balances(row["available"], row["pending"], row["held"], row["owed"]) == self.wallet.balances()
        assert (row["version"], row["lots"]) == (self.wallet.version, len(self.wallet.lots))

    @invariant()
    def lots_are_the_models(self) -> None:
        """6"""
        rows = self.run(self.db.fetch("SELECT * FROM ledger.lot WHERE member_id = $1 ORDER BY lot_no", self.member))
        own = ("funder", "expires_on", "activity_months", "is_live")
        assert [tuple(row[name] for name in (*own, *PARTS)) for row in rows] == [
            (*(getattr(lot, name) for name in own), *(lot.parts[part] for part in PARTS)) for lot in self.wallet.lots
        ]
        for row in rows:
            assert min(row[part] for part in PARTS) >= 0
            assert sum(row[part] for part in PARTS) == row["granted"]

    @invariant()
    def debts_add_up(self) -> None:
        """7"""
        query = "SELECT sum(incurred - repaid - written_off) FROM ledger.debt WHERE member_id = $1"
        assert (self.run(self.db.fetchval(query, self.member)) or 0) == self.wallet.balances().owed

    @invariant()
    def totals_are_one_identity(self) -> None:
        """8"""
        has = self.wallet.balances()
        assert self.run(self.db.fetchval(IDENTITY, self.member)) == has.available + has.pending + has.held - has.owed

    @invariant()
    def redeemed_points_are_known_to_their_funders(self) -> None:
        """9"""
        rows = self.run(self.db.fetch(REDEEMED, self.member))
        assert {(row["place"], row["funder"]): row["points"] for row in rows if row["points"]} == {
            pair: points for pair, points in self.wallet.redeemed.items() if points
        }

    def teardown(self) -> None:
        """10"""
        for check in CHECKS:
            assert not self.run(check.run(self.db)), check.name

    def _share(self, points: int, share: int) -> int:
        return max(1, points * share // 100)

    def _pick(self, pick: int, *kinds: str):
        postings = self.wallet.of_kind(*kinds)
        return postings[pick % len(postings)]


def _answer(posting: Posting) -> Answer:
    return Answer(
        posting.posting_no, posting.kind.value, posting.points,
        Balances(posting.available, posting.pending, posting.held, posting.owed),
    )  # fmt: skip
