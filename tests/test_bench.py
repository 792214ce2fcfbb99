"""The pieces of bench/ that decide what a figure says."""

import asyncio
import json
from hashlib import md5
from uuid import uuid4

import pytest

from app.core.db import Database
from bench import databases, pgbench
from bench.figures import MARKS, TITLES, BenchError, Path, Report
from bench.load import Answer, Answers, Order, What, apply, prepared

POSTED = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"held": 0}'
REFUSED = b"HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_answers_are_cut_wherever_the_network_cuts_them(size: int) -> None:
    answers, stream = Answers(), POSTED + REFUSED + POSTED
    cut = [answer for at in range(0, len(stream), size) for answer in answers.feed(stream[at : at + size])]
    assert cut == [Answer(201, b'{"held": 0}'), Answer(409, b"{}"), Answer(201, b'{"held": 0}')]


def order(what: What, port: int = 1) -> Order:
    return Order(what, port, "token", "secret", "salt", 49_999, connections=2, seconds=0)


@pytest.mark.parametrize("what", What)
def test_requests_are_whole_and_distinct(what: What) -> None:
    requests = prepared(order(what))
    keys, causes, members = set(), set(), []
    for request in (next(requests) for _ in range(3)):
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        assert int(headers[b"Content-Length"]) == len(body)
        content = json.loads(body)
        keys.add(headers[b"Idempotency-Key"])
        causes.add(content.get("order_no") or content["cause"]["key"])
        members.append(content["member_id"])
        assert ("code" in content) == (what is What.REDEEM_CODE)
    assert len(keys) == len(causes) == 3
    # the wallets go round
    assert members == [str(databases.wallet(index)) for index in (49_999, 0, 1)]


@pytest.mark.parametrize(("answer", "fault"), [(REFUSED, "answered 409: {}"), (b"", "closed a connection")])
async def test_any_other_answer_ends_the_measurement(answer: bytes, fault: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SystemExit, match=fault):
            await apply(order(What.EARN, port), prepared(order(What.EARN, port)))


def test_ratios_are_each_rounds_own_and_the_median_decides() -> None:
    rounds = [
        dict.fromkeys(TITLES, tpc_b * 0.5) | {Path.TPC_B: tpc_b, Path.EARN: tpc_b * ratio, Path.IMPORT: tpc_b * 3}
        for tpc_b, ratio in ((1000.0, 1.1), (500.0, 0.9), (2000.0, 1.0))
    ]
    figures = {figure.path: figure for figure in Report(rounds, 8, 100.0, "18").figures}
    earn = figures[Path.EARN]
    assert (earn.ratio.median, earn.ratio.least, earn.ratio.most) == (1.0, 0.9, 1.1)
    assert earn.passes
    assert not figures[Path.REDEEM].passes
    assert MARKS.get(Path.IMPORT_COMMAND) is None
    assert figures[Path.IMPORT_COMMAND].passes


@pytest.mark.parametrize(("memory", "earn", "passes"), [(299.9, 1.0, True), (300.0, 1.0, False), (100.0, 0.99, False)])
def test_one_missed_mark_fails_the_run(memory: float, earn: float, passes: bool) -> None:
    rates = dict.fromkeys(TITLES, 3000.0) | {Path.TPC_B: 1000.0, Path.EARN: 1000.0 * earn}
    report = Report([rates], 8, memory, "18")
    assert report.passes is passes
    assert json.loads(json.dumps(report.document()))["passes"] is passes


def test_pgbench_speaks_of_the_same_wallets() -> None:
    assert databases.wallet(7).hex == md5(b"7", usedforsecurity=False).hexdigest()
    assert f"random(0, {databases.WALLETS - 1})" in pgbench.EARN


PGBENCH = """progress: 0.5 s, 80.0 tps, lat 1.6 ms stddev 1.2, 0 failed
progress: 1.0 s, 100.0 tps, lat 1.6 ms stddev 1.2, 0 failed
progress: 2.0 s, 900.0 tps, lat 1.6 ms stddev 1.2, 0 failed
progress: 3.0 s, 1100.0 tps, lat 1.6 ms stddev 1.2, 0 failed
number of transactions actually processed: 2103
number of failed transactions: 0 (0.000%)
"""


def test_pgbench_is_counted_without_its_first_second() -> None:
    assert pgbench.Outcome.read(PGBENCH) == (1000.0, 2103)


@pytest.mark.parametrize("said", ["", PGBENCH.replace("failed transactions: 0 ", "failed transactions: 3 ")])
def test_pgbench_without_a_clean_report_is_no_figure(said: str) -> None:
    with pytest.raises(BenchError):
        pgbench.Outcome.read(said)


async def test_calls_that_post_nothing_are_no_figure(dsn: str, database: Database) -> None:
    await database.pool.execute("SELECT ledger.open_wallets($1)", [uuid4()])

    def claim(count: int) -> None:
        with databases.all_posted(dsn) as claimed:
            claimed.append(count)

    # run in a thread: the harness opens event loops of its own
    await asyncio.to_thread(claim, 0)
    with pytest.raises(BenchError, match="5 calls were answered, 0 were posted"):
        await asyncio.to_thread(claim, 5)
