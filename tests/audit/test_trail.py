"""The trail only grows, and only headquarters' admin and the auditor read it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.audit import service
from app.audit.models import Action
from app.core.actors import Actor, Role, acting
from app.core.db import connect
from app.core.origin import Commanded, origin
from tests.api import Api
from tests.audit.trail import deeds
from tests.now import NOW

CHANGES = {
    "UPDATE": "UPDATE audit_event SET actor = 'somebody else'",
    "DELETE": "DELETE FROM audit_event",
    "TRUNCATE": "TRUNCATE audit_event",
}


@pytest.fixture
async def service_connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """As the service connects."""
    connection = await connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """As the database's owner."""
    connection = await connect(dsn, role=None)
    yield connection
    await connection.close()


@pytest.fixture(autouse=True, scope="module")
async def _a_deed(api: Api) -> None:
    await service.record(api.db.pool, Action.CLOSED, "period", ["2026-01"], changes={"statements": (None, 3)})


@pytest.mark.parametrize("change", CHANGES)
async def test_the_service_may_not(service_connection: asyncpg.Connection, change: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await service_connection.execute(CHANGES[change])


@pytest.mark.parametrize("change", CHANGES)
async def test_the_owner_is_stopped(owner: asyncpg.Connection, change: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute(CHANGES[change])


async def test_a_narrow_reach_writes_and_does_not_read(service_connection: asyncpg.Connection):
    count = "SELECT count(*) FROM audit_event"
    everything = await service_connection.fetchval(count)
    async with service_connection.transaction():
        await service_connection.execute("SELECT set_config('club.reach', 'dealer', true)")
        await service.record(service_connection, Action.EXPORTED, "statement", ["narrow"])
        assert await service_connection.fetchval(count) == 0
    assert await service_connection.fetchval(count) == everything + 1


async def test_who_may_read(api: Api):
    for role in Role:
        token = api.token(role, dealer="BJ001", region="BJ", member=UUID(int=1), scopes="audit:read members:read")
        status = (await api.call("GET", "/audit-events", token)).status_code
        assert status == (200 if role in {Role.HQ_ADMIN, Role.AUDITOR} else 403), role


async def test_who_did_it(api: Api, monkeypatch: pytest.MonkeyPatch):
    clerk = Actor("wang.fang", Role.FINANCE_CLERK, "SH001")
    await service.record(api.db.pool, Action.EXPORTED, "statement", ["s-1"], actor=clerk)
    monkeypatch.setattr("getpass.getuser", lambda: "ops")
    source = origin.set(Commanded("close"))
    await service.record(api.db.pool, Action.CLOSED, "period", ["s-2"])
    origin.reset(source)
    caller = acting.set(Actor("hq.li", Role.REGIONAL_MANAGER, region_code="BJ"))
    await service.record(api.db.pool, Action.EXPORTED, "statement", ["s-3"])
    acting.reset(caller)
    found = [(await deeds(api, target_id=target))[0] for target in ("s-1", "s-2", "s-3")]
    assert [tuple(deed[name] for name in ("actor", "role", "reach", "operation")) for deed in found] == [
        ("wang.fang", "finance_clerk", "dealer:SH001", None),
        ("ops", "operator", None, "club close"),
        ("hq.li", "regional_manager", "region:BJ", None),
    ]


def test_an_operator_without_a_name(monkeypatch: pytest.MonkeyPatch):
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert Commanded("close").operator == "uid 4711"


@pytest.fixture(scope="module")
async def five(api: Api) -> list[str]:
    """Five deeds of one actor, a minute apart, the last two at the same moment."""
    actor = Actor("five", Role.HQ_FINANCE)
    ids = []
    for minute, action in enumerate(
        [Action.EXPORTED, Action.CLOSED, Action.EXPORTED, Action.EXPORTED, Action.EXPORTED]
    ):
        deed = service.event(action, "statement", [f"st-{minute}"], actor=actor)
        deed["at"] = NOW + timedelta(minutes=min(minute, 3))
        ids.append(str(deed["id"]))
        await api.db.pool.execute(
            "INSERT INTO audit_event (id, at, actor, role, reach, action, target_kind, target_ids, changes, outcome)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '{}', 'done')",
            *(deed[name] for name in ("id", "at", "actor", "role", "reach", "action", "target_kind", "target_ids")),
        )
    return ids[::-1]


async def test_pages(api: Api, five: list[str]):
    token, read, cursor = api.token(Role.HQ_ADMIN), list[str](), None
    for size in (2, 2, 1):
        params = {"actor": "five", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.call("GET", "/audit-events", token, params=params)).json()
        assert len(page["items"]) == size
        read += [deed["id"] for deed in page["items"]]
        cursor = page["next_cursor"]
    assert (read, cursor) == (five, None)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"action": "closed"}, [3]),
        ({"target_id": "st-1"}, [3]),
        ({"target_id": "st"}, []),
        ({"target_kind": "statement"}, [0, 1, 2, 3, 4]),
        ({"target_kind": "member"}, []),
        ({"outcome": "forbidden"}, []),
        ({"since": (NOW + timedelta(minutes=2)).isoformat()}, [0, 1, 2]),
        ({"until": (NOW + timedelta(minutes=2)).isoformat()}, [3, 4]),
        ({"since": "2026-11-21T10:01:00+08:00", "until": "2026-11-21T10:02:00+08:00"}, [3]),
    ],
)
async def test_filters(api: Api, five: list[str], wanted: dict[str, str], found: list[int]):
    assert [deed["id"] for deed in await deeds(api, actor="five", **wanted)] == [five[place] for place in found]


@pytest.mark.parametrize(
    "wanted",
    [
        {"action": "eaten"},
        {"since": "2026-11-21T10:00:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"target_id": "a\0b"},
        {"limit": 0},
        {"cursor": "nonsense"},
        {"cursor": "WyIyMDI2LTExLTIxVDAyOjAwOjAwIiwieCJd"},
    ],
)
async def test_what_cannot_be_asked(api: Api, wanted: dict[str, Any]):
    answer = await api.call("GET", "/audit-events", api.token(Role.AUDITOR), params=wanted)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-payload")
