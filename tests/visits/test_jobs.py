"""Uploads of repair orders: streamed in, worked off once, resumed after a crash, their refused rows for download."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pgqueuer.models import Job

from app.core import workbooks
from app.core.actors import Role
from app.visits import jobs, service
from app.visits.rules import COLUMNS
from app.wiring import verify
from tests.api import SETTINGS
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop, order, problem

Orders = list[dict[str, Any]]


@pytest.fixture(scope="module")
async def member(shop: Shop) -> Person:
    """Whose car comes to the workshop."""
    return await shop.member()


def as_csv(orders: Orders) -> bytes:
    lines = [",".join(COLUMNS), *(",".join(str(made[name]) for name in COLUMNS) for made in orders)]
    return "\n".join(lines).encode()


def as_json_lines(orders: Orders) -> bytes:
    return b"\n".join(json.dumps(made).encode() for made in orders)


async def upload(
    shop: Shop, content: bytes | AsyncIterator[bytes], token: str = "", *, kind: str = "text/csv", query: str = ""
) -> httpx.Response:
    return await shop.api.call(
        "POST", f"/repair-orders/imports{query}", token or shop.advisor,
        content=content, headers={"Content-Type": kind},
    )  # fmt: skip


async def worked_off(shop: Shop, answer: httpx.Response) -> dict[str, Any]:
    """The job when a worker has been by."""
    assert answer.status_code == 202, answer.text
    await jobs.work_off(shop.api.db, UUID(answer.json()["id"]), NOW)
    return await read(shop, answer)


async def read(shop: Shop, answer: httpx.Response) -> dict[str, Any]:
    status, job = await shop.get(f"/repair-orders/imports/{answer.json()['id']}", shop.hq)
    assert status == 200
    return dict(job)


async def rejected(shop: Shop, answer: httpx.Response) -> list[list[str]]:
    got = await shop.api.call("GET", f"/repair-orders/imports/{answer.json()['id']}/rejected.csv", shop.hq)
    assert (got.status_code, got.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert "attachment" in got.headers["Content-Disposition"]
    header, *lines = csv.reader(io.StringIO(got.text))
    assert header == ["line", "reason", "row"]
    return lines


def counts(job: dict[str, Any]) -> tuple[Any, ...]:
    return job["status"], job["read"], job["posted"], job["already_known"], job["refused"], job["points"]


@pytest.mark.parametrize(
    ("kind", "pack"),
    [
        ("text/csv", as_csv),
        ("text/csv; charset=utf-8", lambda orders: b"\xef\xbb\xbf" + as_csv(orders).replace(b"\n", b"\r\n")),
        ("application/gzip", lambda orders: gzip.compress(as_csv(orders))),
        ("application/x-ndjson", as_json_lines),
    ],
)
async def test_an_upload_is_worked_off(shop: Shop, member: Person, kind: str, pack):
    good, bad = order(member.vin), order(car(999_999))
    answer = await upload(shop, pack([good, good, bad]), kind=kind)
    assert counts(answer.json()) == ("queued", 0, 0, 0, 0, 0)
    assert answer.json()["finished_at"] is None
    queued = await shop.pool.fetchval(
        "SELECT count(*) FROM pgqueuer WHERE entrypoint = $1 AND payload = $2",
        jobs.ENTRYPOINT, answer.json()["id"].encode(),
    )  # fmt: skip
    assert queued == 1

    job = await worked_off(shop, answer)
    assert counts(job) == ("done", 3, 1, 1, 1, 123)
    assert (job["finished_at"], job["fault"]) == ("2026-11-21T02:00:00Z", None)
    ((line, reason, row),) = await rejected(shop, answer)
    assert (line, reason) == ("3" if "json" in kind else "4", f"vin: {car(999_999)} is not known")
    assert bad["order_no"] in row
    # ended: a second worker leaves it alone
    assert await worked_off(shop, answer) == job
    assert await shop.pool.fetchval("SELECT count(*) FROM import_chunk WHERE job_id = $1", UUID(job["id"])) == 0


async def test_json_lines_as_programs_write_them(shop: Shop, member: Person):
    good = [order(member.vin) for _ in range(3)]
    in_text = {name: str(value) for name, value in good[1].items()}
    numbered = good[2] | {"order_no": 20_261_121, "remark": "more than asked"}
    faulty: dict[str, Any] = {
        "{": "not JSON: ",
        "[1]": "must be a JSON object",
        json.dumps(
            {"vin": member.vin}
        ): "lacks dealer_code, order_no, closed_at, kind, labour_fen, parts_fen, paid_fen",
        json.dumps(good[0] | {"paid_fen": 12.5}): "paid_fen: '12.5' must be whole fen",
        '{"paid_fen": 1e3,' + json.dumps(order(member.vin) | {"paid_fen": 0})[1:].replace(', "paid_fen": 0', ""): (
            "paid_fen: '1000.0' must be whole fen"
        ),
        json.dumps(good[0] | {"paid_fen": True}): "paid_fen: must be text or a number",
        json.dumps(good[0] | {"order_no": None, "kind": ["repair"]}): "order_no, kind: must be text or a number",
        json.dumps(good[0] | {"vin": "\0"}): "vin: '\\x00' must be 17 letters and digits",
        '"\0"': "not JSON: ",
        "\xff": "not JSON: ",
    }
    lines = [json.dumps(good[0]), "", json.dumps(in_text), *faulty, json.dumps(numbered)]
    answer = await upload(shop, "\n".join(lines).encode("latin-1"), kind="application/jsonl")
    job = await worked_off(shop, answer)
    assert counts(job) == ("done", 3 + len(faulty), 3, 0, len(faulty), 3 * 123)
    found = await rejected(shop, answer)
    assert [int(line) for line, _, _ in found] == list(range(4, 4 + len(faulty)))
    for (_, reason, row), expected in zip(found, faulty.values(), strict=True):
        assert reason.startswith(expected), row
    assert (await shop.get("/repair-orders/BJ001/20261121", shop.advisor))[0] == 200


async def test_a_slow_sender(shop: Shop, member: Person):
    content = as_csv([order(member.vin) for _ in range(50)])

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 17):
            yield content[start : start + 17]

    answer = await upload(shop, pieces())
    assert answer.json()["bytes"] == len(content)
    assert counts(await worked_off(shop, answer)) == ("done", 50, 50, 0, 0, 50 * 123)


async def test_an_upload_longer_than_a_piece(shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "_PIECE", 1_000)
    answer = await upload(shop, as_csv([order(member.vin) for _ in range(100)]))
    pieces = "SELECT count(*) FROM import_chunk WHERE job_id = $1"
    assert await shop.pool.fetchval(pieces, UUID(answer.json()["id"])) >= 8
    assert counts(await worked_off(shop, answer)) == ("done", 100, 100, 0, 0, 100 * 123)


async def test_too_large(shop: Shop):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * (1 << 18)

    jobs_before = await shop.pool.fetchval("SELECT count(*) FROM import_job")
    shop.api.app.state.settings = SETTINGS.model_copy(update={"upload_max_mib": 1})
    try:
        answer = await upload(shop, pieces())
        just_fits = await upload(shop, b"x" * (1 << 20))
    finally:
        shop.api.app.state.settings = SETTINGS
    assert problem(answer) == (413, "/problems/payload-too-large")
    assert answer.json()["limit_mib"] == 1
    assert just_fits.status_code == 202
    assert await shop.pool.fetchval("SELECT count(*) FROM import_job") == jobs_before + 1


async def test_a_workbook_of_orders(shop: Shop):
    person, book = await shop.member(), io.BytesIO()
    row = order(person.vin)
    workbooks.written("orders", list(row), [list(map(str, row.values()))], book)
    job = await worked_off(shop, await upload(shop, book.getvalue(), kind=workbooks.MEDIA_TYPE))
    assert (job["status"], job["read"], job["posted"]) == ("done", 1, 1)


@pytest.mark.parametrize("kind", ["application/json", "application/xml", ""])
async def test_an_unknown_format(shop: Shop, kind: str):
    assert problem(await upload(shop, b"{}", kind=kind)) == (415, "/problems/unknown-format")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"dealer_code,order_no\n", "lacks the column(s) vin"),
        (gzip.compress(as_csv([]))[:-9], "damaged gzip"),
    ],
)
async def test_an_unreadable_upload_fails_with_its_fault(shop: Shop, content: bytes, fault: str):
    job = await worked_off(shop, await upload(shop, content))
    assert counts(job) == ("failed", 0, 0, 0, 0, 0)
    assert fault in job["fault"]


async def test_a_damaged_upload_keeps_what_was_read(shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHUNK", 50)
    whole = gzip.compress(as_csv([order(member.vin) for _ in range(990)]))
    job = await worked_off(shop, await upload(shop, whole[: len(whole) // 2], kind="application/gzip"))
    assert (job["status"], job["fault"].partition(":")[0]) == ("failed", "damaged gzip")
    assert 0 < job["posted"] < 990
    assert job["read"] == job["posted"] == job["points"] // 123


async def test_an_import_is_its_senders_own(shop: Shop):
    answer = await upload(shop, as_csv([order(car(1))]))
    path = f"/repair-orders/imports/{answer.json()['id']}"
    for suffix in ("", "/rejected.csv"):
        # to look is not to take away
        seen, foreign = (403, 403) if suffix else (200, 404)
        for token, status in ((shop.advisor, seen), (shop.hq, 200), (shop.director, 404), (shop.foreign, foreign)):
            assert (await shop.api.call("GET", path + suffix, token)).status_code == status
        nobody = await shop.api.call("GET", f"/repair-orders/imports/{uuid4()}{suffix}", shop.hq)
        assert problem(nobody) == (404, "/problems/not-found")
    member = shop.api.token(Role.MEMBER, member=uuid4())
    assert (await upload(shop, b"", member)).status_code == 403


async def test_staff_import_their_own_dealers_orders(shop: Shop, member: Person):
    mixed = as_csv([order(member.vin), order(member.vin, dealer_code="SH001")])
    answer = await upload(shop, mixed)
    assert counts(await worked_off(shop, answer)) == ("done", 2, 1, 0, 1, 123)
    assert [line[:2] for line in await rejected(shop, answer)] == [["3", "dealer_code: SH001 is not your dealer BJ001"]]
    assert counts(await worked_off(shop, await upload(shop, mixed, shop.hq))) == ("done", 2, 1, 1, 0, 123)


async def test_a_crash_in_the_second_chunk_is_resumed(shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHUNK", 10)
    orders = [order(member.vin if number % 5 else car(999_999)) for number in range(45)]
    answer = await upload(shop, as_csv([*orders, *orders[:5]]))
    progress = jobs._progress

    def crashing(job_id: UUID, line: int) -> service.Sink:
        note, calls = progress(job_id, line), []

        async def once(*arguments: Any) -> None:
            await note(*arguments)
            calls.append(1)
            if len(calls) == 2:
                raise RuntimeError("the machine stops here")

        return once

    monkeypatch.setattr(jobs, "_progress", crashing)
    with pytest.raises(RuntimeError):
        await worked_off(shop, answer)
    assert counts(await read(shop, answer)) == ("running", 10, 8, 0, 2, 8 * 123)
    assert len(await rejected(shop, answer)) == 2
    assert await shop.pool.fetchval("SELECT line FROM import_job WHERE id = $1", UUID(answer.json()["id"])) == 11

    monkeypatch.setattr(jobs, "_progress", progress)
    assert counts(await worked_off(shop, answer)) == ("done", 50, 36, 4, 10, 36 * 123)
    assert [int(line) for line, _, _ in await rejected(shop, answer)] == [*range(2, 47, 5), 47]
    numbers = [made["order_no"] for made in orders]
    posted = "SELECT count(*) FROM ledger.posting WHERE cause = ANY ($1)"
    assert await shop.pool.fetchval(posted, [f"repair_order:BJ001:{number}" for number in numbers]) == 36


async def test_a_changed_dealer_leaves_ones_imports_behind(shop: Shop):
    at = {dealer: shop.api.token(Role.SERVICE_ADVISOR, dealer=dealer, subject="li") for dealer in ("BJ001", "SH001")}
    path = f"/repair-orders/imports/{(await upload(shop, b'', at['BJ001'])).json()['id']}"
    hq = shop.api.token(Role.HQ_OPERATIONS, subject="li")
    of_hq = f"/repair-orders/imports/{(await upload(shop, b'', hq)).json()['id']}"
    director = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001", subject="li")
    for own, token, status in (
        (path, at["BJ001"], 200), (path, at["SH001"], 404), (path, director, 404), (path, hq, 200),
        (of_hq, hq, 200), (of_hq, at["BJ001"], 404), (of_hq, director, 404),
    ):  # fmt: skip
        assert (await shop.get(own, token))[0] == status
    for own, status in ((path, 404), (of_hq, 404)):
        assert (await shop.api.call("GET", own + "/rejected.csv", director)).status_code == status


async def test_an_upload_is_held_to_what_an_order_may_be(shop: Shop, member: Person):
    most = SETTINGS.order_max_fen
    file = as_csv([order(member.vin, labour_fen=most + 1, paid_fen=paid) for paid in (most, most + 1)])
    program = shop.api.token(Role.API_CLIENT, scopes="orders:write")
    for token, refused in ((shop.advisor, 1), (program, 1), (shop.hq, 0)):
        answer = await upload(shop, file, token)
        job_id = answer.json()["id"]
        [row] = await shop.pool.fetch("SELECT * FROM pgqueuer WHERE payload = $1", job_id.encode())
        limits = jobs.limits_of(Job.model_validate(dict(row)), SETTINGS)
        assert limits.most_mib == SETTINGS.unpacked_max_mib
        await jobs.work_off(shop.api.db, UUID(job_id), NOW, limits)
        assert (await read(shop, answer))["refused"] == refused
        if refused and token == shop.advisor:
            ((line, reason, _),) = await rejected(shop, answer)
            assert (line, reason) == ("3", f"paid_fen: {most + 1} exceeds {most}: ask headquarters")


@pytest.mark.parametrize("kind", ["application/gzip", "application/x-ndjson"])
async def test_an_upload_without_end_fails(shop: Shop, member: Person, kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHUNK", 10)
    good = [order(member.vin) for _ in range(10)]
    whole = as_json_lines(good) + b"\n" if "json" in kind else as_csv(good) + b"\n"
    whole += b"x" * (2 << 20)
    answer = await upload(shop, whole if "json" in kind else gzip.compress(whole), kind=kind)
    await jobs.work_off(shop.api.db, UUID(answer.json()["id"]), NOW, jobs.Limits(most_mib=1))
    job = await read(shop, answer)
    assert counts(job) == ("failed", 10, 10, 0, 0, 10 * 123)
    assert job["fault"] == "more than 1 MiB once unpacked: send it in parts"


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_upload_of_refused_rows_fails(
    shop: Shop, member: Person, dry_run: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "CHUNK", 10)
    monkeypatch.setattr(jobs, "MOST_REFUSED", 25)
    good = [order(member.vin) for _ in range(10)]
    file = as_csv(good) + b"\n" + b"x\n" * 1_000 + as_csv([order(member.vin)])
    answer = await upload(shop, file, query=f"?dry_run={dry_run}".lower())
    job = await worked_off(shop, answer)
    assert job["status"] == "failed"
    assert job["fault"].startswith("more than 10,000 rows refused: none posted from line 32 on")
    assert counts(job)[1:] == ((0, 0, 0, 0, 0) if dry_run else (30, 10, 0, 20, 10 * 123))
    assert len(await rejected(shop, answer)) == (0 if dry_run else 20)


async def test_what_was_refused_before_a_crash_counts(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHUNK", 10)
    monkeypatch.setattr(jobs, "MOST_REFUSED", 25)
    answer = await upload(shop, as_csv([]) + b"\nx" * 20)
    await shop.pool.execute("UPDATE import_job SET refused = 10 WHERE id = $1", UUID(answer.json()["id"]))
    assert (await worked_off(shop, answer))["refused"] == 20


async def test_a_dry_run_has_an_end(shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "MOST_REHEARSED", 5)
    some = [order(member.vin) for _ in range(6)]
    assert (await worked_off(shop, await upload(shop, as_csv(some[:5]), query="?dry_run=true")))["status"] == "done"
    job = await worked_off(shop, await upload(shop, as_csv(some), query="?dry_run=true"))
    assert (job["status"], job["fault"]) == ("failed", "more than 5 rows: a dry run takes no more at once")
    assert (await worked_off(shop, await upload(shop, as_csv(some))))["posted"] == 6


@pytest.fixture
def few_may_wait(shop: Shop) -> Iterator[None]:
    """Three imports of one sender, 1 MiB together."""
    shop.api.app.state.settings = SETTINGS.model_copy(update={"imports_waiting": 3, "imports_waiting_mib": 1})
    yield
    shop.api.app.state.settings = SETTINGS


@pytest.mark.usefixtures("few_may_wait")
async def test_a_senders_waiting_imports_have_a_limit(shop: Shop):
    sender, other = (shop.api.token(Role.HQ_ADMIN, subject=name) for name in ("sender", "other"))
    first, *_ = [await upload(shop, b"x" * 1_000, sender) for _ in range(2)]
    # too much together, whatever it is told beforehand
    answer = await upload(shop, b"x" * (1 << 20), sender)
    assert problem(answer) == (429, "/problems/too-many-imports")
    assert (answer.json()["limit"], answer.json()["limit_mib"]) == (3, 1)
    assert (await upload(shop, b"x" * (1 << 20), other)).status_code == 202
    assert (await upload(shop, b"", sender)).status_code == 202

    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("a body of whom has too many waiting is not read")
        yield b""

    assert problem(await upload(shop, unread(), sender)) == (429, "/problems/too-many-imports")
    await worked_off(shop, first)
    both = await asyncio.gather(*(upload(shop, b"", sender) for _ in range(2)))
    assert sorted(answer.status_code for answer in both) == [202, 429]


async def test_a_job_given_up_leaves_nothing_behind(shop: Shop):
    job_id = UUID((await upload(shop, b"x")).json()["id"])
    await shop.pool.execute("UPDATE import_job SET status = 'running' WHERE id = $1", job_id)
    await jobs.give_up(shop.api.db, job_id, NOW)
    left = "SELECT status, (SELECT count(*) FROM import_chunk WHERE job_id = j.id) FROM import_job j WHERE id = $1"
    assert [tuple(row) for row in await shop.pool.fetch(left, job_id)] == [("failed", 0)]


async def test_a_rehearsed_upload(shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHUNK", 3)
    some = [order(member.vin) for _ in range(7)]
    file = as_csv([*some, *some, order(car(999_999))])
    before = await shop.wallet(member)
    answer = await upload(shop, file, query="?dry_run=true")
    job = await worked_off(shop, answer)
    assert (job["dry_run"], *counts(job)) == (True, "done", 15, 7, 7, 1, 7 * 123)
    assert [int(line) for line, _, _ in await rejected(shop, answer)] == [16]
    assert await shop.wallet(member) == before
    assert counts(await worked_off(shop, await upload(shop, file))) == ("done", 15, 7, 7, 1, 7 * 123)


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}
