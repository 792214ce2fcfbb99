"""Memberships that turn out to be one person's count as one, in every month that is not frozen."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from app.chapters.imports import import_dealers
from app.core.tabular import Row
from app.members.imports import import_members
from app.reports import service
from app.reports.schemas import Figures
from tests.api import Api
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Shop

FIRST, SECOND = (13600000001, car(760_001), "2026-09-20"), (13600000002, car(760_002), "2026-10-12")


@pytest.fixture(scope="module")
async def twice(api: Api) -> Shop:
    """王芳 joined BJ001 in September, and again in October with a car that SH001 delivered to another number."""
    dealers = ("BJ001,BJ,Beijing,true,true", "SH001,SH,Shanghai,true,true")
    rows = (Row(2, line.split(",")) for line in dealers)
    await import_dealers(api.db, rows, now=NOW, opened_on=date(2026, 1, 1))
    people = (Row(2, ["BJ001", "王芳", str(phone), vin, day]) for phone, vin, day in (FIRST, SECOND))
    assert (await import_members(api.db, people, now=NOW))[0].posted == 2
    shop = Shop(api)
    for _, vin, day in (FIRST, SECOND):
        body = {"dealer_code": "SH001", "vin": vin, "delivered_on": day, "owner_kind": "individual"}
        assert (await shop.post("/deliveries", body | {"owner_name": "王芳"}, shop.hq))[0] == 201
    return shop


async def counted(shop: Shop, month: int) -> tuple[int, int, int]:
    """Members, owners and new members of a month."""
    found = await service.read(shop.api.db.pool, date(2026, month, 1), now=NOW)
    national = service.network(found, None).national
    assert isinstance(national, Figures)
    return national.members, national.owners, national.new_members


async def test_one_person_counts_once(twice: Shop):
    ids = [str(await _owner(twice, vin)) for _, vin, _ in (FIRST, SECOND)]
    assert [await counted(twice, month) for month in (9, 10, 11)] == [(1, 1, 1), (2, 2, 1), (2, 2, 0)]

    # whichever of the two goes on
    for gone, stays in (ids, ids[::-1]):
        merge = {"from_id": gone, "into_id": stays, "reason": "同一个人"}
        status, made = await twice.post("/members/merges", merge, twice.hq)
        assert status == 201, made
        assert [await counted(twice, month) for month in (9, 10, 11)] == [(1, 1, 1), (1, 1, 0), (1, 1, 0)]
        undone: dict[str, Any] = {"reason": "两个人"}
        assert (await twice.post(f"/members/merges/{made['id']}/undo", undone, twice.hq))[0] == 200
        assert [await counted(twice, month) for month in (9, 10, 11)] == [(1, 1, 1), (2, 2, 1), (2, 2, 0)]


async def _owner(shop: Shop, vin: str) -> UUID:
    found: UUID = await shop.pool.fetchval("SELECT member_id FROM ownership WHERE vin = $1", vin)
    return found
