"""A member's points as read: today's truth before the sweep, history by page, lines."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.actors import Role
from app.points import ledger
from app.points.queries import Expiry, OpenLot, as_of
from tests.api import Api
from tests.members.conftest import Owner
from tests.now import NOW

DAY = date(2026, 11, 21)


def lot(pending: int = 0, available: int = 0, held: int = 0, since: int = 0, until: int = 0) -> OpenLot:
    return OpenLot(pending, available, held, DAY + timedelta(since), DAY + timedelta(until))


def test_as_of_a_day():
    lots = [
        lot(available=10, until=-1),  # lapsed
        lot(available=7, held=3, until=-5),
        lot(available=20),  # today is its last day
        lot(pending=5, since=-2, until=30),  # matured
        lot(pending=9, since=0, until=30),
        lot(pending=4, since=1, until=90),
        lot(available=1, until=40),
        lot(available=1, until=50),
    ]
    found = as_of(DAY, 8, lots)
    assert (found.available, found.pending, found.held, found.owed) == (28, 4, 3, 0)
    assert found.next_expiries == [
        Expiry(DAY, 20), Expiry(DAY + timedelta(30), 6), Expiry(DAY + timedelta(40), 1),
    ]  # fmt: skip


@pytest.fixture
async def member(api: Api, network: None, owner: Owner) -> UUID:
    """A new member of BJ001."""
    made = await api.call("POST", "/members", api.token(Role.HQ_ADMIN), json=owner(dealer_code="BJ001"))
    return UUID(made.json()["id"])


def at(day: date) -> datetime:
    return datetime.combine(day, NOW.timetz())


async def grant(api: Api, member: UUID, points: int, since: date, until: date, key: str) -> ledger.Posting:
    earning = ledger.Earning(member, points, "SH001", "BJ001", f"test:{member}:{key}", DAY, since, until)
    return await ledger.earn(api.db.pool, earning, ledger.Request("test", f"{member}:{key}", at(DAY)))


async def read(api: Api, member: UUID, path: str = "points", token: str = "") -> Any:
    answer = await api.call("GET", f"/members/{member}/{path}", token or api.token(Role.HQ_ADMIN))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_reading_agrees_with_the_sweep(api: Api, member: UUID):
    """Each day is read before and after the sweep has been by: nothing may change."""
    first = await grant(api, member, 30, DAY, DAY + timedelta(90), "spent")
    await ledger.redeem(
        api.db.pool,
        member,
        30,
        place="BJ001",
        cause="test:buy",
        request=ledger.Request("test", f"{member}:buy", at(DAY)),
    )
    await ledger.reverse(
        api.db.pool, member, first.posting_no, cause="test:undo", reason="wrong",
        request=ledger.Request("test", f"{member}:undo", at(DAY)),
    )  # fmt: skip
    for number, (points, since, until) in enumerate([(10, 2, 5), (25, 3, 4), (12, 3, 9), (8, 7, 7), (40, 9, 12)]):
        await grant(api, member, points, DAY + timedelta(since), DAY + timedelta(until), str(number))
    seen = []
    try:
        for offset in range(15):
            api.app.state.now = at(DAY + timedelta(offset))
            before = await read(api, member)
            if offset % 4 == 3:
                await ledger.sweep(api.db.pool, now=api.app.state.now)
                assert await read(api, member) == before, offset
            seen.append((before["available"], before["pending"], before["owed"]))
    finally:
        api.app.state.now = NOW
    assert seen[0] == (0, 95, 30)
    assert seen[2] == (0, 85, 20)
    assert seen[3] == (17, 48, 0)
    assert seen[5] == (12, 48, 0)
    assert seen[9] == (52, 0, 0)
    assert seen[14] == (0, 0, 0)


async def test_history_pages_newest_first(api: Api, member: UUID):
    for number in range(5):
        await grant(api, member, 10 + number, DAY, DAY + timedelta(9), str(number))
    token = api.token(Role.MEMBER, member=member)
    first = await read(api, member, "postings?limit=2", token)
    assert [(e["posting_no"], e["points"], e["available"]) for e in first["items"]] == [
        (5, 14, 60),
        (4, 13, 46),
    ]
    second = await read(api, member, f"postings?limit=3&cursor={first['next_cursor']}", token)
    assert [e["posting_no"] for e in second["items"]] == [3, 2, 1]
    assert second["next_cursor"] is None
    assert second["items"][0] | {"posted_at": ""} == {
        "posting_no": 3, "kind": "earn", "points": 12, "cause": f"test:{member}:2", "place": "BJ001",
        "reason": None,
        "booked_on": "2026-11-21", "period": "2026-11-01", "posted_at": "", "resolves": None,
        "available": 33, "pending": 0, "held": 0, "owed": 0,
    }  # fmt: skip


@pytest.mark.parametrize("cursor", ["x", "WyJhIl0", "WzkyMjMzNzIwMzY4NTQ3NzU4MDhd"])
async def test_a_made_up_cursor(api: Api, member: UUID, cursor: str):
    answer = await api.call("GET", f"/members/{member}/postings?cursor={cursor}", api.token(Role.HQ_ADMIN))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "cursor_invalid")


async def test_lines_hide_the_funder_from_the_member(api: Api, member: UUID):
    await grant(api, member, 10, DAY, DAY + timedelta(9), "a")
    await grant(api, member, 10, DAY, DAY + timedelta(8), "b")
    spent = await ledger.redeem(
        api.db.pool,
        member,
        15,
        place="BJ001",
        cause="test:buy",
        request=ledger.Request("test", f"{member}:buy", NOW),
    )
    path = f"postings/{spent.posting_no}"
    whole = await read(api, member, path)
    line = {"from_bucket": "available", "to_bucket": "spent", "funder": "SH001"}
    assert whole["lines"] == [line | {"lot_no": 2, "points": 10}, line | {"lot_no": 1, "points": 5}]
    own = await read(api, member, path, api.token(Role.MEMBER, member=member))
    assert {line["funder"] for line in own["lines"]} == {None}
    assert (await api.call("GET", f"/members/{member}/postings/99", api.token(Role.HQ_ADMIN))).status_code == 404
    assert (await api.call("GET", f"/members/{member}/postings/0", api.token(Role.HQ_ADMIN))).status_code == 422


@pytest.mark.parametrize(
    ("role", "options", "status"),
    [
        (Role.CARE_DIRECTOR, {"dealer": "BJ001"}, 200),
        (Role.SERVICE_ADVISOR, {"dealer": "BJ001"}, 200),
        (Role.CARE_DIRECTOR, {"dealer": "SH001"}, 404),
        (Role.API_CLIENT, {"scopes": "points:read"}, 200),
        (Role.API_CLIENT, {"scopes": "members:read"}, 403),
        (Role.MEMBER, {"member": UUID(int=9)}, 404),
    ],
)
async def test_who_reads_points(api: Api, member: UUID, role: Role, options: dict[str, Any], status: int):
    posting = await grant(api, member, 1, DAY, DAY, "x")
    for path in ("points", "postings", f"postings/{posting.posting_no}"):
        assert (await api.call("GET", f"/members/{member}/{path}", api.token(role, **options))).status_code == status
