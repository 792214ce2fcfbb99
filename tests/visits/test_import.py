"""Files of repair orders: every refusal with its line, chunks, conflicts, races, rehearsals."""

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.core.tabular import Rejection, Row, open_rows
from app.core.unreadable import Unreadable
from app.visits import queries, service
from app.visits.rules import COLUMNS
from app.visits.service import OrderReport, import_orders
from app.wiring import verify
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop, order

HEADER = ",".join(COLUMNS)


@pytest.fixture(scope="module")
async def member(shop: Shop) -> Person:
    """Whose car comes to the workshop."""
    return await shop.member()


def line(vin: str, **fields: Any) -> str:
    return ",".join(str(order(vin, **fields)[name]) for name in COLUMNS)


def rows(orders: Sequence[dict[str, Any]]) -> Iterator[Row]:
    return iter([Row(number, [str(made[name]) for name in COLUMNS]) for number, made in enumerate(orders, 2)])


async def load(shop: Shop, path: Path, **options: Any) -> tuple[OrderReport, list[Rejection]]:
    return await import_orders(shop.api.db, open_rows(path, COLUMNS), actor="test", now=NOW, **options)


async def stored(shop: Shop) -> tuple[int, int]:
    """Orders and postings in the books."""
    row = await shop.pool.fetchrow("SELECT (SELECT count(*) FROM repair_order), (SELECT count(*) FROM ledger.posting)")
    assert row is not None
    return row[0], row[1]


async def test_each_bad_line_has_its_reason(shop: Shop, member: Person, tmp_path: Path):
    vin, other = member.vin, (await shop.member()).vin
    lines = [
        line(vin, order_no="A1"),  # 2
        line(vin, order_no="A1"),  # 3 the same again
        line(vin, order_no="A1", paid_fen=12344),  # 4
        line(other, order_no="A1"),  # 5
        line(vin, order_no="A1", closed_at="2026-11-21T09:30:01+08:00"),  # 6
        line(vin, order_no="A1", kind="repair"),  # 7
        line(vin, dealer_code="ZZ999"),  # 8
        line(car(999_999)),  # 9
        line(vin[:-1] + "\0"),  # 10
        line(vin, parts_fen=-1),  # 11
        line(vin, paid_fen="12.5"),  # 12
        line(vin, paid_fen="1e3"),  # 13
        line(vin, paid_fen="１２"),  # 14
        line(vin, labour_fen=""),  # 15
        line(vin, parts_fen=10**12),  # 16
        line(vin, closed_at="yesterday"),  # 17
        line(vin, closed_at="2026-11-02T10:30:00"),  # 18
        line(vin, closed_at="2026-11-21T10:00:01+08:00"),  # 19
        line(vin, closed_at="0001-01-01T00:00:00+14:00"),  # 20
        line(vin, paid_fen=14346),  # 21
        line(vin, kind="wash"),  # 22
        line(vin) + ",more",  # 23
        line(vin, order_no=""),  # 24
        line(vin, order_no=" A2"),  # 25
        line(vin, order_no="A\0"),  # 26
        line(vin, order_no="x" * 65),  # 27
        line(vin, order_no="A3", paid_fen=0, labour_fen=0, parts_fen=0),  # 28 posts 0 points
        line(vin, order_no="A4", closed_at="2026-11-21T10:00:00+08:00"),  # 29 this very moment
        line(vin.lower(), order_no="A5", dealer_code="SH001", closed_at="2026-11-20T16:30:00Z"),  # 30 the 21st in China
        line(vin, order_no="A6", paid_fen=14345),  # 31 all of it paid
        line(vin, order_no="A7", paid_fen=99),  # 32 less than a yuan
    ]
    path = tmp_path / "orders.csv"
    path.write_bytes("\n".join([HEADER, *lines]).encode() + b"\n" + line(vin, order_no="A8").encode() + b"\xff\n")
    report, rejections = await load(shop, path)
    refused = {rejection.line: rejection.reason for rejection in rejections}
    known = "order_no: BJ001 A1 is known with another {}; the first stands"
    whole_fen = "must be whole fen, 0 to 999999999999, without sign or fraction"
    assert refused == {
        4: known.format("paid_fen"),
        5: known.format("vin"),
        6: known.format("closed_at"),
        7: known.format("kind"),
        8: "dealer_code: there is no dealer 'ZZ999'",
        9: f"vin: {car(999_999)} is not known",
        10: f"vin: {vin[:-1] + chr(0)!r} must be 17 letters and digits",
        11: f"parts_fen: '-1' {whole_fen}",
        12: f"paid_fen: '12.5' {whole_fen}",
        13: f"paid_fen: '1e3' {whole_fen}",
        14: f"paid_fen: '１２' {whole_fen}",
        15: f"labour_fen: '' {whole_fen}",
        16: f"parts_fen: '1000000000000' {whole_fen}",
        17: "closed_at: 'yesterday' must be a time such as 2026-10-31T09:30:00+08:00",
        18: "closed_at: '2026-11-02T10:30:00' must carry its offset, such as +08:00",
        19: "closed_at: 2026-11-21T10:00:01+08:00 lies in the future",
        20: "closed_at: 0001-01-01T00:00:00+14:00 lies before 2000",
        21: "paid_fen: 14346 is more than labour_fen + parts_fen = 14345",
        22: "kind: 'wash' must be maintenance or repair",
        23: "8 columns expected, 9 found",
        24: "order_no: '' must be 1 to 64 printable characters",
        25: "order_no: ' A2' must be 1 to 64 printable characters",
        26: "order_no: 'A\\x00' must be 1 to 64 printable characters",
        27: f"order_no: {'x' * 65!r} must be 1 to 64 printable characters",
        33: "not UTF-8: save the file as UTF-8",
    }
    assert report == OrderReport(read=32, posted=6, already_known=1, refused=25, points=123 + 0 + 123 + 123 + 143)
    assert not any("\0" in rejection.row for rejection in rejections)
    abroad = await shop.pool.fetchrow(
        "SELECT member_id, vin, business_date, points FROM repair_order WHERE order_no = 'A5'"
    )
    assert abroad is not None
    assert tuple(abroad) == (member.id, vin, date(2026, 11, 21), 123)

    path.write_text("\n".join([HEADER, *lines[2:6], line(vin, order_no="A1")]), encoding="utf-8")
    later, rejections = await load(shop, path)
    assert [rejection.reason for rejection in rejections] == [refused[number] for number in (4, 5, 6, 7)]
    assert later == OrderReport(read=5, posted=0, already_known=1, refused=4, points=0)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
async def test_every_spelling_of_a_file(shop: Shop, member: Person, tmp_path: Path, bom: bytes, end: str, pack):
    path = tmp_path / "orders.csv"
    path.write_bytes(pack(bom + end.join([HEADER, line(member.vin), line(member.vin, paid_fen=-1)]).encode()))
    report, rejections = await load(shop, path)
    assert (report.read, report.posted, report.points) == (2, 1, 123)
    assert [rejection.line for rejection in rejections] == [3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (HEADER.replace("paid_fen", "paid").encode(), r"lacks the column\(s\) paid_fen"),
        (b"\x1f\x8bdamaged", "damaged gzip"),
    ],
)
async def test_unreadable_from_the_start(shop: Shop, tmp_path: Path, content: bytes, reason: str):
    path, before = tmp_path / "orders.csv.gz", await stored(shop)
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        await load(shop, path)
    assert await stored(shop) == before


async def test_what_was_read_before_the_damage_is_posted(
    shop: Shop, member: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "CHUNK", 50)
    path, before = tmp_path / "orders.csv.gz", await stored(shop)
    lines = [line(member.vin) for _ in range(990)]
    whole = gzip.compress("\n".join([HEADER, *lines]).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Unreadable, match="damaged gzip"):
        await load(shop, path)
    orders, postings = (now - then for now, then in zip(await stored(shop), before, strict=True))
    assert orders == postings
    assert 0 < orders < 990
    assert orders % 50 == 0

    path.write_bytes(whole)
    report, _ = await load(shop, path)
    assert (report.read, report.posted, report.already_known) == (990, 990 - orders, orders)


async def test_the_first_in_file_order_stands_across_chunks(
    shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "CHUNK", 3)
    firsts = [order(member.vin) for _ in range(20)]
    others = [made | {"paid_fen": 5000} for made in firsts]
    report, rejections = await import_orders(
        shop.api.db, rows([*firsts, *others, *reversed(firsts)]), actor="test", now=NOW
    )
    assert report == OrderReport(read=60, posted=20, already_known=20, refused=20, points=20 * 123)
    assert [rejection.line for rejection in rejections] == list(range(22, 42))


async def test_two_imports_of_one_file_share_the_work(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHUNK", 100)
    cars = [(await shop.member()).vin for _ in range(10)]
    orders = [order(cars[number % 10]) for number in range(2_000)]
    before = await stored(shop)
    reports = await asyncio.gather(
        *(import_orders(shop.api.db, rows(orders), actor=actor, now=NOW) for actor in ("one", "two", "three"))
    )
    total = OrderReport()
    for report, rejections in reports:
        assert report.read == 2_000 == report.posted + report.already_known
        assert rejections == []
        total.add(report)
    assert (total.posted, total.already_known, total.points) == (2_000, 4_000, 2_000 * 123)
    assert await stored(shop) == (before[0] + 2_000, before[1] + 2_000)


async def test_an_import_that_is_cancelled_leaves_whole_chunks_and_goes_on_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "CHUNK", 100)
    cars = [(await shop.member()).vin for _ in range(10)]
    orders = [order(cars[number % 10]) for number in range(1_000)]
    before = await stored(shop)
    for passed in range(1, 9):
        read, under_way = rows(orders), asyncio.Event()

        def until_then(
            read: Iterator[Row] = read, passed: int = passed, at: asyncio.Event = under_way
        ) -> Iterator[Row]:
            for row in read:
                if row.line == passed * 110:
                    at.set()
                yield row

        task = asyncio.create_task(import_orders(shop.api.db, until_then(), actor="test", now=NOW))
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        posted = [now - then for now, then in zip(await stored(shop), before, strict=True)]
        assert posted[0] == posted[1]
        assert posted[0] % 100 == 0, "whole chunks, and none under way any more"
    report, _ = await import_orders(shop.api.db, rows(orders), actor="test", now=NOW)
    assert report.read == report.posted + report.already_known == 1_000
    assert await stored(shop) == (before[0] + 1_000, before[1] + 1_000)


@pytest.mark.parametrize("seed", range(3))
async def test_many_imports_of_shuffled_files(shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int):
    monkeypatch.setattr(service, "CHUNK", 15)
    shuffled = Random(seed)
    cars = [(await shop.member()).vin for _ in range(10)]
    orders = [order(shuffled.choice(cars)) for _ in range(300)]
    files = [shuffled.sample(orders, len(orders)) for _ in range(4)]
    async with asyncio.timeout(30):
        reports = await asyncio.gather(
            *(import_orders(shop.api.db, rows(file), actor="test", now=NOW) for file in files)
        )
    assert sum(report.posted for report, _ in reports) == 300
    assert sum(report.already_known for report, _ in reports) == 900


async def test_of_two_files_that_disagree_one_stands(shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHUNK", 20)
    mine = [order(member.vin) for _ in range(200)]
    theirs = [made | {"paid_fen": 10_000} for made in mine]
    reports = await asyncio.gather(
        *(import_orders(shop.api.db, rows(orders), actor="test", now=NOW) for orders in (mine, theirs))
    )
    (one, refused_one), (two, refused_two) = reports
    assert (one.posted + two.posted, one.refused + two.refused) == (200, 200)
    assert one.posted == two.refused == len(refused_two)
    assert two.posted == one.refused == len(refused_one)
    assert (one.points, two.points) == (one.posted * 123, two.posted * 100)


async def test_a_rehearsal_reports_the_same_and_leaves_nothing(
    shop: Shop, member: Person, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "CHUNK", 7)
    some = [order(member.vin) for _ in range(30)]
    file = [*some, *some, *(made | {"kind": "repair"} for made in some), order(car(999_998))]
    before = await stored(shop)
    rehearsed = await import_orders(shop.api.db, rows(file), actor="test", now=NOW, dry_run=True)
    assert await stored(shop) == before
    done = await import_orders(shop.api.db, rows(file), actor="test", now=NOW)
    assert rehearsed == done
    assert done[0] == OrderReport(read=91, posted=30, already_known=30, refused=31, points=30 * 123)


async def test_orders_of_another_dealer_can_be_kept_out(shop: Shop, member: Person):
    file = [order(member.vin), order(member.vin, dealer_code="SH001")]
    report, rejections = await import_orders(
        shop.api.db, rows(file), actor="test", now=NOW, only_dealers=frozenset({"BJ001"})
    )
    assert (report.posted, report.refused) == (1, 1)
    assert rejections[0].reason == "dealer_code: SH001 is not your dealer BJ001"


async def test_who_has_left_earns_nothing(shop: Shop):
    member = await shop.member(points=5)
    assert (await shop.post(f"/members/{member.id}/status", {"to": "left", "reason": "moved"}, shop.hq))[0] == 200
    made = order(member.vin)
    report, _ = await import_orders(shop.api.db, rows([made]), actor="test", now=NOW)
    assert (report.posted, report.points) == (1, 0)
    status, read = await shop.get(f"/repair-orders/BJ001/{made['order_no']}", shop.advisor)
    assert (status, read["member_id"], read["points"]) == (200, None, 0)
    assert (await shop.wallet(member))[0] == 5


async def test_whose_car_it_was_that_day(shop: Shop):
    seller, buyer = await shop.member(), await shop.member()
    await shop.pool.execute(
        "UPDATE ownership SET since = '2026-03-01', until = '2026-06-30' WHERE member_id = $1", seller.id
    )
    await shop.pool.execute(
        "INSERT INTO ownership (id, vin, member_id, since) VALUES (gen_random_uuid(), $1, $2, '2026-07-02')",
        seller.vin, buyer.id,
    )  # fmt: skip
    days = ["2026-02-28", "2026-03-01", "2026-06-30", "2026-07-01", "2026-07-02"]
    file = [order(seller.vin, closed_at=f"{day}T23:59:59+08:00") for day in days]
    report, _ = await import_orders(shop.api.db, rows(file), actor="test", now=NOW)
    owners = [
        await shop.pool.fetchval("SELECT member_id FROM repair_order WHERE order_no = $1", made["order_no"])
        for made in file
    ]
    assert owners == [None, seller.id, seller.id, None, buyer.id]
    assert (report.posted, report.points) == (5, 3 * 123)


async def test_a_wallet_closed_meanwhile_is_matched_anew(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """A member leaves after the chunk was matched and before it is posted."""
    stays, leaves = await shop.member(), await shop.member()
    insert, left = queries.insert_orders, list[Person]()

    async def insert_late(*arguments: Any) -> None:
        if not left:
            left.append(leaves)
            body = {"to": "left", "reason": "moved"}
            assert (await shop.post(f"/members/{leaves.id}/status", body, shop.hq))[0] == 200
        await insert(*arguments)

    monkeypatch.setattr(queries, "insert_orders", insert_late)
    file = [order(stays.vin), order(leaves.vin)]
    report, _ = await import_orders(shop.api.db, rows(file), actor="test", now=NOW)
    assert report == OrderReport(read=2, posted=2, points=123)
    assert ((await shop.wallet(stays))[0], (await shop.wallet(leaves))[0]) == (123, 0)


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}
