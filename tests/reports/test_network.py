"""The figures of a month's end over HTTP: as counted by hand, for whom, and as files."""

import csv
import io
from typing import Any

import openpyxl
import pytest

from app.core.actors import Role
from app.reports.queries import Place
from tests.shop import Shop, problem

Body = dict[str, Any]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
KEYS = (
    "members", "applying", "owners", "recruitment_rate", "joining_rate", "chapters", "dealers_after_sales", "coverage",
    "new_members",
)  # fmt: skip


def figures(*values: float | None) -> Body:
    return dict(zip(KEYS, values, strict=True))


SEPTEMBER = {
    "national": figures(5, 0, 2, 2.5, 0.0, 2, 4, 0.5, 3),
    "BJ": figures(3, 0, 1, 3.0, 0.0, 1, 2, 0.5, 3),
    "SH": figures(2, 0, 1, 2.0, 0.0, 1, 2, 0.5, 0),
}
OCTOBER = {
    "national": figures(7, 2, 5, 1.8, 0.2, 3, 4, 0.75, 3),
    "BJ": figures(5, 2, 3, 2.3333, 0.25, 1, 2, 0.5, 2),
    "SH": figures(1, 0, 2, 0.5, 0.0, 2, 2, 1.0, 1),
}
# so far: the month is not over
NOVEMBER = {
    "national": figures(7, 1, 6, 1.3333, 0.0, 3, 4, 0.75, 1),
    "BJ": figures(4, 1, 3, 1.6667, None, 1, 2, 0.5, 1),
    "SH": figures(1, 0, 3, 0.3333, 0.0, 2, 2, 1.0, 0),
}
BJ001 = figures(5, 2, 3, 2.3333, 0.3333, 1, 1, 1.0, 2)


@pytest.fixture(scope="module")
def north(months: Shop) -> str:
    return months.api.token(Role.REGIONAL_MANAGER, region="BJ")


async def read(shop: Shop, path: str, token: str = "", **params: Any) -> Body:
    status, told = await shop.get(f"/reports/{path}", token or shop.hq, **params)
    assert status == 200, told
    return dict(told)


@pytest.mark.parametrize(("month", "as_of", "expected"), [
    ("2026-09", "2026-09-30", SEPTEMBER), ("2026-10", "2026-10-31", OCTOBER), ("2026-11", "2026-11-21", NOVEMBER),
])  # fmt: skip
async def test_the_country_and_its_regions(months: Shop, month: str, as_of: str, expected: Body):
    regions = {code: one for code, one in expected.items() if code != "national"}
    assert await read(months, "network", month=month) == {
        "month": month, "as_of": as_of, "frozen_at": None, "national": expected["national"], "regions": regions,
    }  # fmt: skip


async def test_without_a_month_the_last_that_is_over(months: Shop):
    assert await read(months, "network") == await read(months, "network", month="2026-10")


async def test_before_there_was_anything_there_are_no_rates(months: Shop):
    found = await read(months, "network", month="2025-06")
    assert found["national"] == figures(0, 0, 0, None, None, 0, 4, 0.0, 0)


async def test_down_to_the_dealers(months: Shop):
    assert await read(months, "network/BJ", month="2026-10") == {
        "month": "2026-10", "as_of": "2026-10-31", "frozen_at": None, "code": "BJ", "name": "Beijing",
        "figures": OCTOBER["BJ"],
        "dealers": {
            "BJ001": BJ001,
            "BJ002": figures(0, 0, 0, None, 0.0, 0, 1, 0.0, 0),
            "BJ003": figures(0, 0, 0, None, None, 0, 0, None, 0),
        },
    }  # fmt: skip


async def test_a_region_sees_itself(months: Shop, north: str):
    found = await read(months, "network", north, month="2026-10")
    assert (found["national"], found["regions"]) == (None, {"BJ": OCTOBER["BJ"]})
    assert await read(months, "network/BJ", north, month="2026-10") == await read(months, "network/BJ", month="2026-10")
    assert problem(await months.api.call("GET", "/reports/network/SH", north)) == (404, "/problems/not-found")


async def test_a_dealer_sees_itself(months: Shop):
    for token in (months.director, months.api.token(Role.GENERAL_MANAGER, dealer="BJ001")):
        found = await read(months, "network", token, month="2026-10")
        assert (found["national"], found["regions"]) == (None, {})
        found = await read(months, "network/BJ", token, month="2026-10")
        assert (found["figures"], found["dealers"]) == (None, {"BJ001": BJ001})
        assert (await months.get("/reports/network/SH", token))[0] == 404


@pytest.mark.parametrize("path", ["network", "network/BJ", "ranking"])
async def test_who_may_not_read_reports(months: Shop, path: str):
    for token in (months.advisor, months.program, months.api.token(Role.PARTNER_CLERK)):
        assert problem(await months.api.call("GET", f"/reports/{path}", token)) == (403, "/problems/forbidden")
    assert (await months.get(f"/reports/{path}", ""))[0] == 401
    reader = months.api.token(Role.API_CLIENT, scopes="reports:read")
    assert (await months.get(f"/reports/{path}", reader))[0] == 200
    assert (await months.get(f"/reports/{path}", reader, format="csv"))[0] == 403


async def test_what_cannot_be_asked_for(months: Shop):
    for path in ("network", "network/BJ", "ranking"):
        answer = await months.api.call("GET", f"/reports/{path}", months.hq, params={"month": "2026-12"})
        assert problem(answer) == (409, "/problems/month-not-begun")
        assert (await months.get(f"/reports/{path}", months.hq, month="2026-13"))[0] == 422
        assert (await months.get(f"/reports/{path}", months.hq, format="pdf"))[0] == 422
    for region in ("XX", "bj"):
        assert (await months.get(f"/reports/network/{region}", months.hq))[0] == 404
    for wrong in ({"by": "luck"}, {"of": "members"}, {"cursor": "x"}, {"limit": 0}):
        assert (await months.get("/reports/ranking", months.hq, **wrong))[0] == 422


# --- ranks ---


async def ranks(shop: Shop, token: str = "", **params: Any) -> list[tuple[int | None, str]]:
    page = await read(shop, "ranking", token, month="2026-10", **params)
    assert page["next_cursor"] is None
    return [(one["rank"], one["code"]) for one in page["items"]]


async def test_regions_and_dealers_are_ranked(months: Shop, north: str):
    assert await ranks(months, of="regions") == [(1, "BJ"), (2, "SH")]
    assert await ranks(months, of="regions", by="coverage") == [(1, "SH"), (2, "BJ")]
    assert await ranks(months) == [
        (1, "BJ001"), (2, "SH002"), (3, "SH001"), (None, "BJ002"), (None, "BJ003"),
    ]  # fmt: skip
    assert await ranks(months, by="members", region="SH") == [(1, "SH002"), (2, "SH001")]
    # one's rank is that among all
    assert await ranks(months, north, of="regions", by="coverage") == [(2, "BJ")]
    assert await ranks(months, months.api.token(Role.CARE_DIRECTOR, dealer="SH001")) == [(3, "SH001")]
    assert await ranks(months, months.director, of="regions") == []


async def test_a_ranking_has_pages_and_figures(months: Shop):
    first = await read(months, "ranking", month="2026-10", limit=3)
    rest = await read(months, "ranking", month="2026-10", limit=3, cursor=first["next_cursor"])
    whole = await read(months, "ranking", month="2026-10")
    assert first["items"] + rest["items"] == whole["items"]
    assert rest["next_cursor"] is None
    assert whole["items"][0] == BJ001 | {"rank": 1, "code": "BJ001", "name": None}


def test_a_sales_only_dealers_chapter_covers_nothing():
    odd = Place("HZ001", "HZ", True, False, 1, 0, 4, 0, 0, 0).counts
    assert (odd.chapters, odd.dealers_after_sales, odd.coverage, odd.recruitment_rate) == (1, 0, None, 0.25)


# --- files ---


async def file(shop: Shop, path: str, format: str, **params: Any) -> tuple[str, bytes]:
    answer = await shop.api.call("GET", f"/reports/{path}", shop.hq, params={"format": format, **params})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith({"csv": "text/csv", "xlsx": XLSX}[format])
    return answer.headers["Content-Disposition"].partition('"')[2].rstrip('"'), answer.content


async def test_csv(months: Shop):
    name, content = await file(months, "network", "csv", month="2026-10")
    assert (name, content[:3]) == ("network-2026-10.csv", b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [(row["level"], row["code"], row["name"]) for row in rows] == [
        ("country", "", ""), ("region", "BJ", "Beijing"), ("region", "SH", "Shanghai"),
    ]  # fmt: skip
    assert [rows[0][key] for key in KEYS] == ["7", "2", "5", "1.8000", "0.2000", "3", "4", "0.7500", "3"]
    name, content = await file(months, "network/BJ", "csv", month="2026-10")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert name == "network-2026-10-BJ.csv"
    assert [row["code"] for row in rows] == ["BJ", "BJ001", "BJ002", "BJ003"]
    assert rows[3]["coverage"] == ""


async def test_xlsx_has_numbers_and_no_formula(months: Shop):
    evil = '=HYPERLINK("http://example.com","BJ")'
    etag = (await months.api.call("GET", "/dealers/BJ001", months.hq)).headers["ETag"]
    renamed = await months.api.call(
        "PATCH", "/dealers/BJ001", months.hq, json={"name": evil}, headers={"If-Match": etag}
    )
    assert renamed.status_code == 200
    name, content = await file(months, "ranking", "xlsx", month="2026-10")
    sheet = openpyxl.load_workbook(io.BytesIO(content))["network"]
    header, first, *rest = sheet.iter_rows()
    row = {title.value: cell for title, cell in zip(header, first, strict=True)}
    assert (name, len(rest)) == ("ranking-2026-10-dealers-recruitment_rate.xlsx", 4)
    assert (row["rank"].value, row["code"].value, row["level"].value) == (1, "BJ001", "dealer")
    assert (row["name"].value, row["name"].data_type) == (evil, "s")
    assert (row["recruitment_rate"].value, row["recruitment_rate"].number_format) == (2.3333, "0.00%")
    assert "f" not in {cell.data_type for line in sheet.iter_rows() for cell in line}
    _, content = await file(months, "network/BJ", "csv", month="2026-10")
    assert f"'{evil}" in [row["name"] for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig")))]


async def test_to_view_is_not_to_export_and_exports_are_on_record(months: Shop, north: str):
    for path in ("network", "network/BJ", "ranking"):
        answer = await months.api.call("GET", f"/reports/{path}", north, params={"format": "xlsx"})
        assert problem(answer) == (403, "/problems/forbidden")
    await file(months, "network", "xlsx", month="2026-09")
    found = await months.api.db.pool.fetchval(
        "SELECT actor FROM audit_event WHERE action = 'exported' AND target_ids = ARRAY['network-2026-09.xlsx']"
    )
    assert found == "hq_admin:all"
