"""What comes by itself: new members, birthdays and anniversaries, each once, also after nights without a worker."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app import worker
from app.core.db import Database
from app.earning import audiences, occasions
from app.wiring import verify
from tests.earning.writing import published
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop


async def gift(shop: Shop, trigger: str, **fields: Any) -> None:
    """Fifty points for an occasion, to members of BJ001 alone."""
    given = {"source": "delivery"} if trigger == "enrolment" else {"years": 1} if "purchase" in trigger else {}
    example = {"fields": given, "on": "2026-11-21", "points": 50}
    await published(shop, shop.hq, trigger=trigger, amount="50", examples=[example], **fields)


async def points(shop: Shop, member: Person) -> int:
    return (await shop.wallet(member))[0]


async def work(database: Database, now: datetime, *, of: tuple[occasions.Occasion, ...] = occasions.OF_THE_DAY) -> int:
    return await occasions.work(database, of, now=now)


async def test_a_birthday_earns_once_a_year(shop: Shop, database: Database):
    member, leapling = await shop.member(), await shop.member()
    for whose, day in ((member, "1980-11-19"), (leapling, "2000-02-29")):
        await shop.pool.execute(
            """INSERT INTO member_birth (member_id, born_on, recorded_at, recorded_by)
               VALUES ($1, $2::text::date, $3, 't')""",
            whose.id, day, NOW,
        )  # fmt: skip
    assert await work(database, NOW) == 0
    await gift(shop, "birthday")
    # two days late, for no worker ran
    assert (await work(database, NOW), await work(database, NOW)) == (1, 0)
    assert (await points(shop, member), await points(shop, leapling)) == (50, 0)
    assert await work(database, NOW + timedelta(days=10)) == 0
    assert await work(database, datetime(2027, 3, 1, 12, tzinfo=NOW.tzinfo)) == 1
    assert await work(database, datetime(2027, 11, 19, 12, tzinfo=NOW.tzinfo)) == 1
    assert (await points(shop, member), await points(shop, leapling)) == (100, 50)


async def test_an_anniversary_earns_once_a_year_and_not_on_the_day_itself(shop: Shop, database: Database):
    member, new = await shop.member(), await shop.member()
    for whose, day in ((member, "2024-11-20"), (new, "2026-11-20")):
        await shop.pool.execute(
            "UPDATE ownership SET purchased_on = $2::text::date WHERE member_id = $1", whose.id, day
        )
    await gift(shop, "purchase_anniversary")
    assert (await work(database, NOW), await work(database, NOW)) == (1, 0)
    assert (await points(shop, member), await points(shop, new)) == (50, 0)


async def test_who_joins_is_welcomed_by_the_workers_minute(shop: Shop, database: Database):
    """Enrolled over HTTP: 30 points at once from headquarters, 20 of the dealer's after two weeks' time, once."""
    early = await shop.member()
    shares = [{"party": "hq", "percent": "60"}, {"party": "dealer", "percent": "40"}]
    example = {"fields": {"source": "showroom"}, "dealer": {"code": "BJ001"}, "on": "2026-11-21", "points": 50}
    await published(
        shop, shop.hq, trigger="enrolment", amount="50", condition='event.source == "showroom"', funders=shares,
        valid_from="2026-11-21", pending={"kind": "days", "days": 14}, examples=[example],
    )  # fmt: skip
    body = {"name": "王芳", "phone": "13812345678", "vin": car(77_001), "source": "showroom"}
    status, member = await shop.post("/members", body, shop.advisor)
    assert status == 201, member
    for _ in range(2):
        await worker.minutely_work(database, lambda: NOW)
    lots = await shop.pool.fetch(
        "SELECT funder, granted, pending, document FROM ledger.lot WHERE member_id = $1 ORDER BY lot_no", member["id"]
    )
    document = f"enrolment:{member['id']}"
    assert [tuple(lot) for lot in lots] == [
        ("HQ", 30, 30, document), ("BJ001", 20, 20, document.replace(":", ".2:")),
    ]  # fmt: skip
    assert await points(shop, early) == 0


@pytest.mark.parametrize("chapter", ["BJ001", "SH001"])
async def test_a_rule_is_for_its_audience(shop: Shop, database: Database, chapter: str):
    body = {"name": f"members of {chapter}", "filter": {"field": "chapter", "op": "is", "value": chapter}}
    status, segment = await shop.post("/segments", body, shop.hq)
    assert status == 201, segment
    elsewhere = "SH001" if chapter == "BJ001" else "BJ001"
    member, other = await shop.member(dealer=chapter), await shop.member(dealer=elsewhere)
    await published(
        shop, shop.hq, trigger="custom", amount="7", condition=f'event.name == "{chapter}"', audience=segment["id"],
        examples=[{"fields": {"name": chapter}, "on": "2026-11-21", "points": 7}],
    )  # fmt: skip
    late = await shop.member(dealer=chapter)

    async def told(whose: Person, key: str) -> int:
        fields = {"name": chapter}
        event = {"trigger": "custom", "key": f"{whose.id}/{key}", "member_id": str(whose.id), "fields": fields}
        status, answer = await shop.post("/points/earnings", event, shop.program)
        assert status == 201, answer
        return int(answer["points"])

    assert [await told(whose, "1") for whose in (member, other, late)] == [7, 0, 0]
    # who came since is in from the next night on
    await audiences.choose_anew(database, now=NOW)
    assert [await told(whose, "2") for whose in (member, other, late)] == [7, 0, 7]


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}
