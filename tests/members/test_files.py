"""Files of members through the API: the preflight, what comes back to be fixed, and an export that changes nothing."""

import csv
import gzip
import io
from collections.abc import Sequence
from datetime import date
from typing import Any

import httpx
import pytest
from openpyxl import Workbook, load_workbook

from app.core import workbooks
from app.core.actors import Role
from app.members import files
from app.members.import_extras import OPTIONAL
from app.members.imports import COLUMNS
from tests.api import Api
from tests.members.conftest import car
from tests.shop import Shop, problem

HEADER = ",".join(COLUMNS)
_FAULTY = [
    "BJ001,张伟,13711110001,{0},2026-01-02",  # 2 good
    "BJ002,,1371111,SHORT,2026-02-30",  # 3 all of it wrong
    "XX999,李强,13711110002,{1},2099-01-01",  # 4
    "BJ001,李强,13711110002,LSVAB26E9T2777777,2026-01-02",  # 5
    "BJ001,王芳,13711110001,{2},2026-01-02",  # 6 another name
    "SH001,赵敏,13711110003,{0},2026-01-02",  # 7 another owner
    "BJ001,赵敏",  # 8
]


def table(*rows: str, header: str = HEADER) -> bytes:
    return "\r\n".join([header, *rows]).encode()


def book(*rows: Sequence[Any]) -> bytes:
    made: Any = Workbook()
    for row in rows:
        made.active.append(list(row))
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


async def upload(
    api: Api, content: bytes, token: str, *, kind: str = "text/csv", language: str = "en", **params: Any
) -> httpx.Response:
    headers = {"Content-Type": kind, "Accept-Language": language}
    return await api.call("POST", "/members/imports", token, content=content, headers=headers, params=params)


async def counted(api: Api) -> tuple[Any, ...]:
    row = await api.db.pool.fetchrow(
        """SELECT (SELECT count(*) FROM member), (SELECT count(*) FROM ownership), (SELECT count(*) FROM vehicle),
                  (SELECT sum(version) FROM member), (SELECT count(*) FROM member_status_change),
                  (SELECT count(*) FROM ledger.member_balance)"""
    )
    assert row is not None
    return tuple(row)


def faulty(first: int) -> bytes:
    return table(*(line.format(car(first), car(first + 1), car(first + 2)) for line in _FAULTY))


async def test_a_preflight_tells_every_fault_and_takes_nothing(shop: Shop) -> None:
    before = await counted(shop.api)
    answer = await upload(shop.api, faulty(910_000), shop.hq, dry_run=True)
    assert answer.status_code == 200
    told = answer.json()
    counts = ("dry_run", "read", "posted", "already_known", "refused")
    assert [told[name] for name in counts] == [True, 7, 1, 0, 6]
    assert [(fault["line"], fault["column"], fault["code"]) for fault in told["faults"]] == [
        (3, "dealer_code", "dealer_no_chapter"), (3, "name", "name"), (3, "phone", "phone_format"),
        (3, "vin", "vin_format"), (3, "delivered_on", "date_format"),
        (4, "dealer_code", "dealer_unknown"), (4, "delivered_on", "date_future"),
        (5, "vin", "vin_check_digit"), (6, "phone", "phone_taken"), (7, "vin", "vehicle_taken"), (8, None, "row"),
    ]  # fmt: skip
    by_code = {fault["code"]: fault for fault in told["faults"]}
    assert by_code["phone_format"]["value"] == "1371111"
    assert by_code["phone_format"]["right"].startswith("11 digits")
    assert by_code["date_future"]["right"] == "2026-11-21 or earlier"
    assert by_code["vin_check_digit"]["right"].endswith("position 9 is 7")
    assert await counted(shop.api) == before


async def test_the_preflight_speaks_chinese(shop: Shop) -> None:
    answer = await upload(shop.api, faulty(910_010), shop.hq, language="zh", dry_run=True)
    fault = answer.json()["faults"][0]
    assert (fault["fault"], fault["right"]) == ("经销商 BJ002 没有分会", "有分会的经销商代码；总部名册留空")


@pytest.mark.parametrize("format", ["csv", "xlsx"])
async def test_what_was_refused_comes_back_to_be_fixed_and_sent_again(shop: Shop, format: str) -> None:
    first = 920_000 if format == "csv" else 920_100
    rows = [
        f"BJ001,=张伟,13820{first},{car(first)},2026-01-02",
        f"BJ001,李强,13820{first},{car(first + 1)},2026-01-03",  # another name
        "BJ001,王芳,12,x,2026-01-03",
    ]
    answer = await upload(shop.api, table(*rows), shop.hq, format=format)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="members-to-fix.{format}"'
    header, other, bad = _cells(answer, format)
    assert header == ["fault", "right", *COLUMNS, *OPTIONAL]
    assert other[0] == f"phone +8613820{first} belongs to a member of another name"
    assert (
        bad[0] == "phone '12' is not a mainland mobile number; VIN 'x' is not 17 letters and digits without I, O and Q"
    )
    assert [other[2:], bad[2:]] == [[*row.split(","), "", ""] for row in rows[1:]]
    other[4], bad[4], bad[5] = f"13830{first}", f"13840{first}", car(first + 2)
    again = (
        book(header, other, bad)
        if format == "xlsx"
        else "\n".join(",".join(f'"{cell}"' for cell in row) for row in (header, other, bad)).encode()
    )
    kind = workbooks.MEDIA_TYPE if format == "xlsx" else "text/csv"
    told = (await upload(shop.api, again, shop.hq, kind=kind)).json()
    assert (told["posted"], told["refused"], told["faults"]) == (2, 0, [])


def _cells(answer: httpx.Response, format: str) -> list[list[str]]:
    if format == "xlsx":
        sheet: Any = load_workbook(io.BytesIO(answer.content)).active
        return [[cell or "" for cell in row] for row in sheet.iter_rows(values_only=True)]
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


@pytest.mark.parametrize("way", ["gb18030", "gzip", "xlsx"])
async def test_the_same_row_in_any_kind_of_file(shop: Shop, way: str) -> None:
    serial = 930_000 + ord(way[1])
    row = ["BJ001", "欧阳娜", f"13910{serial}", car(serial), "2026-01-02"]
    content = table(",".join(row))
    match way:
        case "gb18030":
            sent, kind = content.decode().encode("gb18030"), "text/csv; charset=gb18030"
        case "gzip":
            sent, kind = gzip.compress(content), "application/gzip"
        case _:
            sent, kind = book(list(COLUMNS), [*row[:2], int(row[2]), row[3], date(2026, 1, 2)]), workbooks.MEDIA_TYPE
    told = (await upload(shop.api, sent, shop.hq, kind=kind)).json()
    assert (told["posted"], told["faults"]) == (1, [])
    name = await shop.api.db.pool.fetchval(
        "SELECT m.name FROM member m JOIN ownership o ON o.member_id = m.id WHERE o.vin = $1", car(serial)
    )
    assert name == "欧阳娜"


@pytest.mark.parametrize(
    ("content", "kind", "refusal", "reason"),
    [
        (book(list(COLUMNS), ["BJ001", "=A1", 1, 1, 1]), workbooks.MEDIA_TYPE, "unreadable-file", "B2 holds a formula"),
        (table("a", header="name,phone"), "text/csv", "unreadable-file", "lacks the column(s) dealer_code, vin"),
        (b"", "text/csv", "unreadable-file", "the file is empty"),
        (gzip.compress(table())[:-4], "application/gzip", "unreadable-file", "damaged gzip"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_as_a_whole(
    shop: Shop, content: bytes, kind: str, refusal: str, reason: str
) -> None:
    before = await counted(shop.api)
    answer = await upload(shop.api, content, shop.hq, kind=kind)
    assert problem(answer) == (422, f"/problems/{refusal}")
    assert reason in answer.json()["reason"]
    assert await counted(shop.api) == before


async def test_a_good_beginning_of_a_damaged_file_is_not_taken(shop: Shop) -> None:
    packed = gzip.compress(table(*(f"BJ001,张,1390{n:07d},{car(940_000 + n)},2026-01-02" for n in range(6_000))))
    before = await counted(shop.api)
    answer = await upload(shop.api, packed[: len(packed) // 2], shop.hq, kind="application/gzip")
    assert problem(answer) == (422, "/problems/unreadable-file")
    assert await counted(shop.api) == before


async def test_why_a_file_cannot_be_read_is_said_in_the_readers_language(shop: Shop) -> None:
    merged: Any = load_workbook(io.BytesIO(book(list(COLUMNS), ["BJ001", "张", 1, 1, 1])))
    merged.active.merge_cells("A2:B2")
    out = io.BytesIO()
    merged.save(out)
    answer = await upload(shop.api, out.getvalue(), shop.hq, kind=workbooks.MEDIA_TYPE, language="zh")
    assert problem(answer) == (422, "/problems/unreadable-file")
    reason = "单元格 A2:B2 已合并：请取消合并并逐格填写"
    assert (answer.json()["reason"], answer.json()["detail"]) == (reason, f"文件无法读取，未导入任何内容：{reason}")
    spoilt = (await upload(shop.api, table("BJ001,张"), shop.hq, language="zh", dry_run=True)).json()
    assert spoilt["faults"][0]["fault"] == "该行无法读取：应有 5 列，实有 2 列"


async def test_more_rows_than_one_upload_may_have(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ROWS", 3)
    rows = [f"BJ001,张伟,1370000{n},{car(975_000 + n)},2026-01-02" for n in range(2001, 2005)]
    before = await counted(shop.api)
    answer = await upload(shop.api, table(*rows), shop.hq)
    assert (*problem(answer), answer.json()["limit"]) == (413, "/problems/too-many-rows", 3)
    assert await counted(shop.api) == before
    assert (await upload(shop.api, table(*rows[:3]), shop.hq)).json()["posted"] == 3


async def test_a_row_without_a_car_is_who_is_known(shop: Shop) -> None:
    known = await shop.member(name="周洁")
    rows = [
        f"BJ001,周洁,{known.phone},,2026-01-02",
        f"BJ001,别人,{known.phone},,2026-01-02",
        "BJ001,吴敏,13700009999,,2026-01-02",
    ]
    before = await counted(shop.api)
    told = (await upload(shop.api, table(*rows), shop.hq)).json()
    assert [told[name] for name in ("posted", "already_known", "refused")] == [0, 1, 2]
    assert [(fault["line"], fault["column"], fault["code"]) for fault in told["faults"]] == [
        (3, "phone", "phone_taken"), (4, "vin", "vin_missing"),
    ]  # fmt: skip
    assert await counted(shop.api) == before


async def test_a_file_over_the_limit(shop: Shop) -> None:
    limit = shop.api.app.state.settings.member_upload_max_mib
    answer = await upload(shop.api, table("x" * (limit << 20)), shop.hq)
    assert problem(answer) == (413, "/problems/payload-too-large")
    assert answer.json()["limit_mib"] == limit


async def test_another_kind_of_body(shop: Shop) -> None:
    assert problem(await upload(shop.api, b"{}", shop.hq, kind="application/json")) == (
        415, "/problems/unsupported-media-type",
    )  # fmt: skip


async def test_a_director_takes_in_its_own_chapters_alone(shop: Shop) -> None:
    rows = [
        f"{dealer},张伟,1370000{serial},{car(950_000 + serial)},2026-01-02"
        for dealer, serial in (("BJ001", 1001), ("SH001", 1002), ("", 1003))
    ]
    told = (await upload(shop.api, table(*rows), shop.director)).json()
    assert (told["posted"], told["refused"]) == (1, 2)
    assert {(fault["code"], fault["right"]) for fault in told["faults"]} == {("dealer_foreign", "BJ001")}


@pytest.mark.parametrize("role", [Role.CARE_STAFF, Role.SERVICE_ADVISOR, Role.SALES_CONSULTANT, Role.GENERAL_MANAGER])
async def test_who_enrols_one_by_one_imports_no_files(shop: Shop, role: Role) -> None:
    token = shop.api.token(role, dealer="BJ001")
    assert problem(await upload(shop.api, table(), token)) == (403, "/problems/forbidden")
    assert problem(await shop.api.call("GET", "/members/export", token)) == (403, "/problems/forbidden")


async def test_a_rehearsal_remembers_what_earlier_chunks_bring(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.members.imports.CHUNK", 1)
    told = (await upload(shop.api, faulty(960_000), shop.hq, dry_run=True)).json()
    assert [fault["code"] for fault in told["faults"] if fault["line"] in {6, 7}] == ["phone_taken", "vehicle_taken"]


async def test_imports_are_on_record(shop: Shop) -> None:
    await upload(shop.api, table(f"BJ001,张伟,13500000777,{car(970_000)},2026-01-02"), shop.director)
    deed = await shop.api.db.pool.fetchrow(
        """SELECT a.actor, a.changes, m.name FROM audit_event a JOIN member m ON m.id::text = ANY (a.target_ids)
            WHERE a.action = 'imported' AND a.target_kind = 'member' ORDER BY a.at DESC, a.id DESC LIMIT 1"""
    )
    assert deed is not None
    assert (deed["actor"], deed["changes"], deed["name"]) == ("care_director:BJ001", '{"vehicles": [null, 1]}', "张伟")


# --- export ---


@pytest.mark.parametrize("format", ["csv", "xlsx"])
@pytest.mark.parametrize("who", ["hq", "director"])
async def test_an_export_sent_back_changes_nothing(shop: Shop, format: str, who: str) -> None:
    token = getattr(shop, who)
    two = await shop.member(name="=two cars")
    # a European maker's, which does without the check digit
    more = {"name": "=two cars", "phone": two.phone, "vin": f"WVGZZZ5NZE{two.vin[-7:]}"}
    await shop.post("/members", more | {"source": "delivery", "dealer_code": "BJ001"}, shop.hq)
    left = await shop.member(name="-left")
    await shop.post(f"/members/{left.id}/status", {"to": "left", "reason": "moved"}, shop.hq)
    await shop.member(dealer="SH001")
    carless = await shop.member(name="without")
    sale = {"vin": carless.vin, "sold_on": "2026-11-21"}
    assert (await shop.post(f"/members/{carless.id}/sold-vehicles", sale, shop.hq))[0] == 200
    gone = await shop.member(name="=two cars")
    merge = {"from_id": str(gone.id), "into_id": str(two.id), "reason": "one person"}
    assert (await shop.post("/members/merges", merge, shop.hq))[0] == 201
    before = await counted(shop.api)
    answer = await shop.api.call("GET", "/members/export", token, params={"format": format})
    assert answer.status_code == 200
    header, *lines = _cells(answer, format)
    assert header == list(files.EXPORTED)
    assert ("SH001" in {line[0] for line in lines}) == (who == "hq")
    assert sum(line[5] == two.member_no for line in lines) == 3
    assert [line[3] for line in lines if line[5] == carless.member_no] == [""]
    assert not [line for line in lines if line[5] == gone.member_no]
    again = await upload(shop.api, answer.content, token, kind=answer.headers["Content-Type"])
    told = again.json()
    assert (told["read"], told["posted"], told["already_known"]) == (len(lines), 0, len(lines)), told["faults"]
    assert await counted(shop.api) == before


async def test_numbers_are_whole_for_who_cares_and_that_is_on_record(shop: Shop) -> None:
    person = await shop.member()
    mine = await shop.api.call("GET", "/members/export", shop.director)
    assert f"+86{person.phone}" in mine.text
    kinds = await shop.api.db.pool.fetch(
        "SELECT action FROM audit_event WHERE operation LIKE '%export%' AND actor = 'care_director:BJ001'"
        " AND (action = 'exported' OR $1 = ANY (target_ids))",
        str(person.id),
    )
    assert {kind for (kind,) in kinds} >= {"exported", "unmasked"}
    auditors = await shop.api.call("GET", "/members/export", shop.api.token(Role.AUDITOR))
    assert person.member_no in auditors.text
    assert person.phone not in auditors.text


async def test_one_chapters_alone(shop: Shop) -> None:
    await shop.member(dealer="SH001")
    answer = await shop.api.call("GET", "/members/export", shop.hq, params={"dealer_code": "SH001"})
    assert {line[0] for line in _cells(answer, "csv")[1:]} == {"SH001"}


async def test_too_much_is_refused_and_not_cut(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await shop.member(dealer="SH001")
    monkeypatch.setattr(files, "_PAGE", 1)
    whole = await shop.api.call("GET", "/members/export", shop.hq, params={"dealer_code": "SH001"})
    monkeypatch.setattr(files, "MOST_EXPORTED", len(_cells(whole, "csv")) - 2)
    answer = await shop.api.call("GET", "/members/export", shop.hq, params={"dealer_code": "SH001"})
    assert problem(answer) == (422, "/problems/export-too-large")
