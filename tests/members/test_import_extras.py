"""Birthdays and answers in files of members: taken, refused, and sent back unchanged."""

import csv
import io
from datetime import date, datetime
from typing import Any

import pytest

from app.core.actors import Role
from app.core.clock import CHINA
from app.members.import_extras import OPTIONAL
from app.members.imports import COLUMNS
from tests.members.conftest import car
from tests.members.test_files import table, upload
from tests.shop import Shop

HEADER = ",".join((*COLUMNS, *OPTIONAL))


async def send(shop: Shop, serial: int, born_on: str, consents: str, **params: Any) -> dict[str, Any]:
    """One owner's row."""
    row = f"BJ001,带生日,137{serial:08d},{car(serial)},2026-01-02,{born_on},{consents}"
    told: dict[str, Any] = (await upload(shop.api, table(row, header=HEADER), shop.hq, **params)).json()
    return told


async def noted(shop: Shop, serial: int) -> tuple[date | None, list[tuple[Any, ...]]]:
    """The birthday and the answers of the car's owner."""
    birth = await shop.pool.fetchval(
        "SELECT born_on FROM member_birth NATURAL JOIN ownership WHERE vin = $1", car(serial)
    )
    answers = await shop.pool.fetch(
        "SELECT purpose, decision, c.version, channel, at, recorded_by FROM consent c"
        " JOIN ownership o USING (member_id) WHERE vin = $1 ORDER BY purpose",
        car(serial),
    )
    return birth, [tuple(answer) for answer in answers]


async def test_a_row_brings_a_birthday_and_answers_along(shop: Shop) -> None:
    told = await send(shop, 960_001, "1990-10-31", "marketing:given:1:paper; profiling:refused:1:counter:2026-03-04")
    assert (told["posted"], told["faults"]) == (1, [])
    assert await noted(shop, 960_001) == (
        date(1990, 10, 31),
        [
            ("marketing", "given", 1, "paper", datetime(2026, 1, 2, tzinfo=CHINA), "import"),
            ("profiling", "refused", 1, "counter", datetime(2026, 3, 4, tzinfo=CHINA), "import"),
        ],
    )
    again = await send(shop, 960_001, "1991-01-01", "marketing:refused:1:paper")
    assert (again["posted"], again["already_known"]) == (0, 1)
    assert (await noted(shop, 960_001))[0] == date(1990, 10, 31)
    assert len((await noted(shop, 960_001))[1]) == 2


@pytest.mark.parametrize(
    "extras", [(",".join(COLUMNS), ""), (f"{','.join(COLUMNS)},consents", ",marketing:given:1:web")]
)
async def test_a_file_may_lack_either_column(shop: Shop, extras: tuple[str, str]) -> None:
    header, cells = extras
    serial = 960_010 + len(cells)
    row = f"BJ001,没生日,137{serial:08d},{car(serial)},2026-01-02{cells}"
    assert (await upload(shop.api, table(row, header=header), shop.hq)).json()["posted"] == 1
    birth, answers = await noted(shop, serial)
    assert (birth, len(answers)) == (None, 1 if cells else 0)


@pytest.mark.parametrize(
    ("born_on", "consents", "code"),
    [
        ("1990-13-01", "", "born_on"),
        ("1899-12-31", "", "born_on"),
        ("2026-11-22", "", "born_on"),
        ("31.10.1990", "", "born_on"),
        ("2015-06-01", "", "guardian_needed"),
        ("2012-11-21", "", "guardian_needed"),
        ("", "marketing", "consents"),
        ("", "marketing:given:1", "consents"),
        ("", "marketing:given:2:paper", "consents"),
        ("", "marketing:given:1:pigeon", "consents"),
        ("", "marketing:withdrawn:1:paper", "consents"),
        ("", "partner:given:1:paper", "consents"),
        ("", "marketing:given:1:paper:2026-11-22", "consents"),
        ("", "marketing:given:1:paper:2026-02-30", "consents"),
        ("", "marketing:given:1:paper;marketing:refused:1:paper", "consents"),
        ("", "marketing:given:1:paper;", "consents"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_cannot_be_is_refused(shop: Shop, born_on: str, consents: str, code: str, dry_run: bool) -> None:
    told = await send(shop, 960_100, born_on, consents, dry_run=dry_run)
    assert (told["posted"], [fault["code"] for fault in told["faults"]]) == (0, [code])
    assert told["faults"][0]["value"] == (consents if code == "consents" else born_on)
    assert await noted(shop, 960_100) == (None, [])


async def test_on_its_fourteenth_birthday_plus_one_the_owner_joins(shop: Shop) -> None:
    assert (await send(shop, 960_200, "2012-11-20", ""))["posted"] == 1


async def test_an_exported_birthday_is_for_who_may_see_it_and_imports_again(shop: Shop) -> None:
    await send(shop, 960_300, "1988-08-08", "")
    found = {}
    for who, token in (("director", shop.director), ("auditor", shop.api.token(Role.AUDITOR))):
        answer = await shop.api.call("GET", "/members/export", token)
        rows = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
        found[who] = next(row["born_on"] for row in rows if row["vin"] == car(960_300))
        if who == "director":
            again = (await upload(shop.api, answer.content, token)).json()
            assert (again["posted"], again["refused"]) == (0, 0)
    assert found == {"director": "1988-08-08", "auditor": ""}
