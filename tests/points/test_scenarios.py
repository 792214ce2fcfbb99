"""Scenarios as text tables: scenarios/*.txt, one line per operation with its expected status and figures.

    operation  subject [points] [option:value ...]  -> status [figure value ...]

The subject is a member (m1) or an earlier posting (hold#2: the second hold of the table). A status is `posted`,
`replayed` or how the problem's type begins. `day` moves the calendar, `sweep` is the night's work, `close`
seals every month up to one. Options: by (funder), at (place), on (business date), spendable, expires, grace,
minutes (of a hold), key, doc. Figures: the balances, `period` (booked in), `no` (of the posting), the problem's.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from app.core.clock import CHINA, add_months, china_date
from app.core.db import new_id
from app.core.problems import Problem
from app.points import ledger
from app.points.ledger import Earning, Posting, Request
from tests.now import NOW
from tests.points.books import balances, failures

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@dataclass
class Line:
    """One line, taken apart."""

    verb: str
    subject: str
    points: int | None
    options: dict[str, str]
    status: str
    figures: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> "Line":
        told, _, expected = text.partition("->")
        words = [word for word in told.split() if ":" not in word]
        options = dict(word.split(":", 1) for word in told.split() if ":" in word)
        status, *figures = expected.split() or [""]
        verb, subject, points = (*words, "", "")[:3]
        return cls(
            verb, subject, int(points) if points not in ("", "all") else None, options, status,
            dict(zip(figures[::2], figures[1::2], strict=True)),
        )  # fmt: skip

    def day(self, option: str, default: date) -> date:
        return date.fromisoformat(self.options[option]) if option in self.options else default


@dataclass
class Stage:
    """The members, postings and calendar of one table."""

    db: asyncpg.Connection
    now: datetime = NOW
    members: dict[str, UUID] = field(default_factory=dict)
    postings: dict[str, list[Posting]] = field(default_factory=lambda: defaultdict(list))

    async def play(self, line: Line) -> None:
        """One line: do it and hold the answer against what the table says."""
        match line.verb:
            case "day":
                self.now = datetime.combine(date.fromisoformat(line.subject), time(12), CHINA)
            case "sweep":
                await ledger.sweep(self.db, now=self.now)
                await ledger.release_expired_holds(self.db, now=self.now)
            case "close":
                await self._close(date.fromisoformat(f"{line.subject}-01"))
            case "balance":
                stored = await balances(self.db, await self._member(line.subject))
                self._compare(line, dict(zip(_BALANCES, map(str, stored), strict=True)))
            case _:
                await self._attempt(line)

    async def _attempt(self, line: Line) -> None:
        try:
            posting = await self._post(line)
        except Problem as problem:
            self._refused(line, problem)
            return
        assert line.status == ("replayed" if posting.replayed else "posted")
        if not posting.replayed:
            self.postings[line.verb].append(posting)
        self._compare(line, {
            **{name: str(getattr(posting, name)) for name in _BALANCES},
            "period": f"{posting.period:%Y-%m}", "no": str(posting.posting_no),
        })  # fmt: skip

    def _refused(self, line: Line, problem: Problem) -> None:
        assert line.status, f"refused: {problem}"
        assert problem.type.startswith(line.status), f"refused: {problem}"
        self._compare(line, {name: str(value) for name, value in problem.members.items()})

    async def _post(self, line: Line) -> Posting:
        request = Request("tests", line.options.get("key", new_id().hex), self.now)
        today, cause = china_date(self.now), line.options.get("doc", f"order:{new_id().hex}")
        place, points = line.options.get("at", "GZ003"), line.points or 0
        member, number = await self._target(line.subject)
        match line.verb:
            case "earn":
                on = line.day("on", today)
                spendable_from, expires_on = line.day("spendable", on), line.day("expires", on)
                earning = Earning(member, points, line.options["by"], place, cause, on, spendable_from, expires_on)
                return await ledger.earn(self.db, earning, request)
            case "redeem":
                return await ledger.redeem(self.db, member, points, place=place, cause=cause, request=request)
            case "hold":
                until = self.now + timedelta(minutes=int(line.options["minutes"]))
                return await ledger.hold(
                    self.db, member, points, place=place, cause=cause, until=until, request=request
                )
            case "capture":
                return await ledger.capture(self.db, member, number, points, cause=cause, request=request)
            case "release":
                return await ledger.release(self.db, member, number, cause=cause, request=request)
            case "refund":
                return await ledger.refund(
                    self.db,
                    member,
                    number,
                    line.points,
                    grace_until=line.day("grace", today + timedelta(days=30)),
                    cause=cause,
                    reason="changed mind",
                    request=request,
                )
            case "reverse":
                return await ledger.reverse(self.db, member, number, cause=cause, reason="wrong", request=request)
            case "adjust":
                return await ledger.adjust(
                    self.db,
                    member,
                    points,
                    reason="goodwill",
                    expires_on=line.day("expires", today),
                    request=request,
                )
            case "write_off":
                return await ledger.write_off(self.db, member, points, reason="goodwill", request=request)
        raise AssertionError(f"unknown operation {line.verb}")

    async def _target(self, subject: str) -> tuple[UUID, int]:
        verb, _, nth = subject.partition("#")
        if not nth:
            return await self._member(subject), 0
        posting = self.postings[verb][int(nth) - 1]
        return posting.member_id, posting.posting_no

    async def _member(self, name: str) -> UUID:
        if name not in self.members:
            self.members[name] = new_id()
            await ledger.open_wallets(self.db, [self.members[name]])
        return self.members[name]

    async def _close(self, last: date) -> None:
        month = await self.db.fetchval("SELECT min(period) FROM ledger.period")
        while month <= last:
            if await ledger.lock_period(self.db, month, now=self.now) == "ready":
                await ledger.seal_period(self.db, month, b"statements", now=self.now)
            month = add_months(month, 1)

    def _compare(self, line: Line, actual: dict[str, str]) -> None:
        assert {name: actual[name] for name in line.figures} == line.figures


_BALANCES = ("available", "pending", "held", "owed")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
async def test_scenario(path: Path, service: asyncpg.Connection) -> None:
    transaction = service.transaction()
    await transaction.start()
    try:
        await _play(Stage(service), path.read_text(encoding="utf-8"))  # noqa: ASYNC240 (a small file)
        assert await failures(service) == {}
    finally:
        await transaction.rollback()


async def _play(stage: Stage, table: str) -> None:
    for number, text in enumerate(table.splitlines(), 1):
        told = text.partition("# ")[0]
        if not told.strip():
            continue
        try:
            await stage.play(Line.parse(told))
        except AssertionError as error:
            error.add_note(f"line {number}: {text}")
            raise


def test_there_are_scenarios() -> None:
    assert {path.stem for path in SCENARIOS} >= {
        "owed", "expiry", "holds", "refunds", "reversal", "retries", "late", "corrections"
    }  # fmt: skip
