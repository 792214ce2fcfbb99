"""A network over three months, as its figures are worked out by hand in `test_network`."""

from datetime import UTC, date, datetime

import pytest

from app.chapters.imports import import_dealers
from app.core.db import Database
from app.core.tabular import Row
from app.members.imports import import_members
from tests.api import Api
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Shop

DEALERS = {
    date(2026, 1, 1): ("BJ001,BJ,Beijing,true,true", "BJ002,BJ,Beijing,true,false", "BJ003,BJ,Beijing,false,false",
                       "SH001,SH,Shanghai,true,true"),
    date(2026, 10, 15): ("SH002,SH,Shanghai,true,true",),
}  # fmt: skip
MEMBERS = {
    # chapter, joined on
    "A": ("BJ001", "2026-09-10"),
    "B": ("BJ001", "2026-09-10"),  # left on 20 October
    "C": ("BJ001", "2026-09-10"),  # left on 2 November
    "D": ("BJ001", "2026-10-05"),
    "E": ("BJ001", "2026-10-06"),  # on headquarters' roll from 3 November on
    "F": ("SH001", "2026-08-01"),  # with BJ001 from 10 October on
    "G": ("SH002", "2026-10-20"),
    "H": ("SH001", "2026-08-01"),  # on headquarters' roll from 31 October on
    "I": ("BJ001", "2026-11-04"),
}
DELIVERIES = [
    # dealer, delivered on, kind, the owner: a member's letter, or somebody's who never joined
    ("BJ001", "2026-10-05", "individual", "D"),
    ("BJ001", "2026-10-30", "individual", "I"),  # joined after the month
    ("BJ001", "2026-10-11", "individual", "p"),
    ("BJ001", "2026-09-11", "individual", "p"),  # one owner of two cars
    ("BJ001", "2026-10-12", "company", "q"),
    ("BJ001", "2026-10-31", "government", "r"),
    ("BJ002", "2026-10-13", "individual", "s"),  # no chapter
    ("SH001", "2026-09-01", "individual", "t"),
    ("SH002", "2026-10-02", "individual", "u"),  # no chapter yet
    ("SH001", "2026-11-02", "individual", "v"),
]
APPLICATIONS = [
    # applied at, refused at
    ("2026-10-30T10:00:00+08:00", "2026-11-05T10:00:00+08:00"),
    ("2026-10-31T23:59:00+08:00", "2026-11-01T00:00:00+08:00"),
    ("2026-11-01T00:00:00+08:00", None),
    ("2026-10-01T10:00:00+08:00", "2026-10-31T23:59:00+08:00"),
]


def phone(owner: str) -> str:
    """An owner's number."""
    return f"138{ord(owner):08d}"


@pytest.fixture(scope="module")
async def months(api: Api) -> Shop:
    """Everything above has happened."""
    await set_up(api.db)
    shop = Shop(api)
    for serial, (dealer, day, kind, owner) in enumerate(DELIVERIES):
        body = {
            "dealer_code": dealer, "vin": vin(owner) if owner.isupper() else car(720_000 + serial), "delivered_on": day,
            "owner_kind": kind, "owner_name": "王芳",
        } | ({"phone": phone(owner)} if kind == "individual" else {})  # fmt: skip
        status, made = await shop.post("/deliveries", body, shop.hq)
        assert status == 201, made
    await leave(shop, "B", "2026-10-20T10:00:00+08:00")
    await leave(shop, "C", "2026-11-02T10:00:00+08:00")
    await move(api.db, "E", None, date(2026, 11, 3))
    await move(api.db, "F", "BJ001", date(2026, 10, 10))
    await move(api.db, "H", None, date(2026, 10, 31))
    for serial, (applied_at, refused_at) in enumerate(APPLICATIONS):
        await apply(shop, serial, applied_at, refused_at)
    return shop


async def set_up(db: Database) -> None:
    """The dealers and their members."""
    for opened_on, lines in DEALERS.items():
        await import_dealers(db, (Row(2, line.split(",")) for line in lines), now=NOW, opened_on=opened_on)
    for who, (dealer, day) in MEMBERS.items():
        row = Row(2, [dealer, "王芳", phone(who), vin(who), day])
        evening = datetime.fromisoformat(f"{day}T18:00+08:00")
        report, refused = await import_members(db, iter([row]), now=evening)
        assert (report.posted, refused) == (1, [])


def vin(owner: str) -> str:
    """A member's car."""
    return car(730_000 + ord(owner))


async def member_id(db: Database, owner: str) -> str:
    """A member's id."""
    return str(await db.pool.fetchval("SELECT member_id FROM ownership WHERE vin = $1", vin(owner)))


async def leave(shop: Shop, owner: str, at: str) -> None:
    """A member leaves."""
    async with shop.at(datetime.fromisoformat(at).astimezone(UTC)):
        path = f"/members/{await member_id(shop.api.db, owner)}/status"
        status, told = await shop.post(path, {"to": "left", "reason": "搬家"}, shop.hq)
        assert status == 200, told


async def move(db: Database, owner: str, dealer: str | None, day: date) -> None:
    """A member is elsewhere from a day on."""
    async with db.transaction() as connection:
        await connection.execute("SELECT set_config('club.moved_on', $1, true)", day.isoformat())
        await connection.execute("UPDATE member SET dealer_code = $1 WHERE id = $2", dealer, await member_id(db, owner))


async def apply(shop: Shop, serial: int, applied_at: str, refused_at: str | None) -> None:
    """Somebody applies to BJ001, and may be refused."""
    body = {"name": "李", "phone": f"137{serial:08d}", "vin": car(740_000 + serial), "source": "event"}
    async with shop.at(datetime.fromisoformat(applied_at).astimezone(UTC)):
        status, made = await shop.post("/applications", body | {"dealer_code": "BJ001"}, shop.hq)
        assert status == 201, made
    if refused_at:
        async with shop.at(datetime.fromisoformat(refused_at).astimezone(UTC)):
            path = f"/applications/{made['id']}/refusal"
            assert (await shop.post(path, {"reason": "重复"}, shop.hq))[0] == 200
