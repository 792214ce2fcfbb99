"""The seat rush, `club bench events`: 2,000 members want the 500 seats of an event in the same second.

Each has a connection of its own, open beforehand and until all have their answers; all requests are sent at once.
Beside it, in the same round and against the same process, the rate at which points are earned over HTTP.
"""

import asyncio
import json
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid4

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table

from app.core import db
from app.core.actors import Actor, Role
from app.core.clock import system_clock
from app.core.db import new_id
from app.events.registration_verify import CHECKS
from app.identity.tokens import Tokens
from bench import databases, load, run, service
from bench.figures import BenchError, Spread
from bench.load import Answer, Answers, What
from bench.run import Options
from bench.service import Service

MEMBERS = 2_000
SEATS = 500
MARK = 0.5
"""Registrations beside earnings, each per second over HTTP."""
_TOKEN_LIFE = timedelta(hours=1)
_OPEN_FILES = 8_192
_PATIENCE_SECONDS = 60

EVENT = f"""
INSERT INTO club_event (id, dealer_code, title, purpose, event_class, kind, place, starts_at, ends_at,
                        registration_opens_at, registration_closes_at, capacity, expected_guests, fee_points, fee_fen,
                        is_open, queue, questions, year, status, round, created_by, version)
VALUES ($1, NULL, 'rush', 'bench', 'special', 'annual_meeting', 'hall', now() + interval '9 days',
        now() + interval '10 days', now() - interval '1 day', now() + interval '1 day', {SEATS}, {SEATS}, 0, 0, true,
        'strict', '[]', extract(year FROM now()), 'registration', 1, 'bench', 1)"""


class Round(NamedTuple):
    """Registrations and earnings a second, and how long the last member waited for its answer (ms)."""

    registrations: float
    earnings: float
    slowest_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """All rounds."""

    rounds: Sequence[Round]

    @property
    def ratio(self) -> Spread:
        """Registrations beside the same round's earnings."""
        return Spread.of([one.registrations / one.earnings for one in self.rounds])

    @property
    def passes(self) -> bool:
        """Whether the median reaches the mark."""
        return self.ratio.median >= MARK

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        figures = {
            "registrations_per_second": [one.registrations for one in self.rounds],
            "earnings_per_second": [one.earnings for one in self.rounds],
            "slowest_ms": [one.slowest_ms for one in self.rounds],
        }
        rates = {name: Spread.of(values).document(0) for name, values in figures.items()}
        about = {"members": MEMBERS, "seats": SEATS, "rounds": len(self.rounds)}
        return about | rates | {"ratio": self.ratio.document(3), "mark": MARK, "passes": self.passes}

    def table(self) -> Table:
        """The report for a terminal."""
        table = Table(title=f"{MEMBERS:,} members for {SEATS} seats, {len(self.rounds)} rounds")
        for name in ("", "median", "least–most"):
            table.add_column(name, justify="right" if name else "left")
        rows = (
            ("registrations a second", [one.registrations for one in self.rounds]),
            ("earnings a second, HTTP", [one.earnings for one in self.rounds]),
            ("the last answer after, ms", [one.slowest_ms for one in self.rounds]),
        )
        for title, values in rows:
            spread = Spread.of(values)
            table.add_row(title, f"{spread.median:,.0f}", f"{spread.least:,.0f}–{spread.most:,.0f}")
        ratio, word = self.ratio, "[green]passes[/]" if self.passes else "[red]misses[/]"
        table.add_row(
            f"registrations ÷ earnings, ≥ {MARK} {word}", f"{ratio.median:.2f}", f"{ratio.least:.2f}–{ratio.most:.2f}"
        )
        return table


def measure(server: str, options: Options, console: Console) -> Report:
    """Let members rush for seats, round by round.

    Raises:
        BenchError: somebody was refused, or the seats did not go to those who came first.
    """
    _allow_connections()
    with databases.scratch(server) as books:
        with console.status("filling the database"):
            databases.load_network(books)
            databases.fill_wallets(books)
            databases.settle(server)
        with service.running(books) as serving:
            rounds = [_round(books, serving, options, number, console) for number in range(1, options.rounds + 1)]
    return Report(rounds)


def _allow_connections() -> None:
    # the service, which is started from here, may keep as many open
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if wanted < 2 * MEMBERS:
        raise BenchError(f"{2 * MEMBERS} open files are needed, {hard} are allowed: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _round(books: str, serving: Service, options: Options, number: int, console: Console) -> Round:
    earnings = _earn(books, serving, options)
    seconds, slowest_ms = uvloop.run(_rush(books, serving))
    one = Round(MEMBERS / seconds, earnings, slowest_ms)
    console.print(
        f"round {number}  {one.registrations:,.0f} registrations/s, {earnings:,.0f} earnings/s", highlight=False
    )
    return one


def _earn(books: str, serving: Service, options: Options) -> float:
    program = Actor("bench", Role.API_CLIENT, scopes=frozenset({"points:earn"}))
    token, _ = _tokens(serving).issue(program, _TOKEN_LIFE)
    order = load.Order(
        What.EARN, serving.port, token, serving.secret, uuid4().hex, 0, options.connections, options.seconds
    )  # fmt: skip
    with databases.all_posted(books) as claimed:
        result = run.under_load(order)
        claimed.append(result.answered)
    return result.per_second


def _tokens(serving: Service) -> Tokens:
    return Tokens(serving.secret.encode(), clock=system_clock)


# --- the rush ---


class Guest(asyncio.Protocol):
    """One member's connection: sends its request when told to, and keeps its answer."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answers = Answers()
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for answer in self.answers.feed(data):
            self.at = time.perf_counter()
            self.answered.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(BenchError(f"the service closed a connection: {exc}"))


async def _rush(books: str, serving: Service) -> tuple[float, float]:
    """How long all answers took (s), and the slowest of them (ms); the event is a new one."""
    connection = await db.connect(books, role=None)
    try:
        event_id = new_id()
        await connection.execute(EVENT, event_id)
        guests = await _arrive(serving, await _requests(connection, serving, event_id))
        began = time.perf_counter()
        for guest in guests:
            guest.transport.write(guest.request)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            answers = await asyncio.gather(*(guest.answered for guest in guests))
        for guest in guests:
            guest.transport.close()
        seconds = max(guest.at for guest in guests) - began
        _require_in_order(answers)
        for check in CHECKS:
            if rows := await check.run(connection):
                raise BenchError(f"{check.name}: {rows[:3]}")
        return seconds, seconds * 1_000
    finally:
        await connection.close()


async def _requests(connection: asyncpg.Connection, serving: Service, event_id: UUID) -> Iterator[bytes]:
    rows = await connection.fetch(
        "SELECT id, member_no FROM member WHERE status = 'active' ORDER BY id LIMIT $1", MEMBERS
    )
    if len(rows) < MEMBERS:
        raise BenchError(f"the network has {len(rows)} active members")
    tokens = _tokens(serving)
    issued = [
        tokens.issue(Actor(row["member_no"], Role.MEMBER, member_id=row["id"]), _TOKEN_LIFE)[0] for row in rows
    ]  # fmt: skip
    return (_request(serving, event_id, token, number) for number, token in enumerate(issued))


def _request(serving: Service, event_id: UUID, token: str, number: int) -> bytes:
    body = f'{{"event_id": "{event_id}"}}'
    return (
        f"POST /api/v1/members/me/event-registrations HTTP/1.1\r\nHost: 127.0.0.1:{serving.port}\r\n"
        f"Authorization: Bearer {token}\r\nIdempotency-Key: rush/{number}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def _arrive(serving: Service, requests: Iterator[bytes]) -> list[Guest]:
    loop = asyncio.get_running_loop()
    guests = []
    for request in requests:
        _, guest = await loop.create_connection(partial(Guest, request), "127.0.0.1", serving.port)
        guests.append(guest)
    return guests


def _require_in_order(answers: Sequence[Answer]) -> None:
    refused = Counter(answer.status for answer in answers if answer.status != 201)
    if refused:
        raise BenchError(f"not everybody was registered: {dict(refused)}")
    places = sorted((read["queue_no"], read["status"]) for read in (json.loads(answer.body) for answer in answers))
    if places != [(no, "registered" if no <= SEATS else "waiting") for no in range(1, MEMBERS + 1)]:
        raise BenchError("the seats did not go to those who came first")
