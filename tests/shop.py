"""A small network with members and their cars, for tests that go through the API as users would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from app.chapters.imports import import_dealers
from app.core.actors import Role
from app.core.tabular import Row
from tests.api import Api
from tests.members.conftest import DEALERS, car
from tests.now import NOW

Answer = tuple[int, Any]
_serials = count(500_001)


class Person(NamedTuple):
    """A member of the tests, with one car."""

    id: UUID
    member_no: str
    phone: str
    vin: str


class Shop:
    """BJ001 and SH001 with chapters, BJ002 without; who works there, and what they do every day."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.pool = api.db.pool
        self.hq = api.token(Role.HQ_ADMIN)
        self.advisor = api.token(Role.SERVICE_ADVISOR, dealer="BJ001")
        self.director = api.token(Role.CARE_DIRECTOR, dealer="BJ001")
        self.foreign = api.token(Role.SERVICE_ADVISOR, dealer="SH001")
        self.program = api.token(
            Role.API_CLIENT,
            scopes="points:earn points:redeem points:reverse orders:write orders:cancel orders:read records:export",
        )

    @classmethod
    async def open(cls, api: Api) -> "Shop":
        """The network in the books."""
        rows = (Row(number, line.split(",")) for number, line in enumerate(DEALERS, 2))
        await import_dealers(api.db, rows, now=NOW, opened_on=NOW.date().replace(year=2025))
        return cls(api)

    async def post(self, path: str, body: Any, token: str, *, key: str | None = None) -> Answer:
        """A POST's status and answer; without a key, under one of its own."""
        answer = await self.api.call("POST", path, token, json=body, key=key or f"key-{next(_serials)}")
        return answer.status_code, answer.json()

    async def get(self, path: str, token: str, **params: Any) -> Answer:
        """A GET's status and answer."""
        answer = await self.api.call("GET", path, token, params=params)
        return answer.status_code, answer.json()

    async def member(self, *, points: int = 0, dealer: str = "BJ001", name: str = "张伟") -> Person:
        """A new member who has so many points of headquarters."""
        serial = next(_serials)
        body = {"name": name, "phone": f"139{serial:08d}", "vin": car(serial), "source": "delivery"}
        status, made = await self.post("/members", body | {"dealer_code": dealer}, self.hq)
        assert status == 201, made
        person = Person(UUID(made["id"]), made["member_no"], body["phone"], body["vin"])
        if points:
            assert (await self.earn(person, points))[0] == 201
        return person

    async def earn(self, member: Person, points: int, *, key: str | None = None, **fields: Any) -> Answer:
        """Points for a cause of its own, unless `fields` name one."""
        cause = {"type": "campaign", "key": f"c-{next(_serials)}"}
        body = {"member_id": str(member.id), "points": points, "cause": cause} | fields
        return await self.post("/points/earnings", body, self.hq, key=key)

    async def redeem(self, member: Person, points: int, token: str, *, key: str | None = None, **fields: Any) -> Answer:
        """Points spent on a repair order."""
        body = {"member_id": str(member.id), "points": points, "order_no": "RO-1"} | fields
        return await self.post("/redemptions", body, token, key=key)

    async def partner(self, code: str, name: str) -> None:
        """A national partner; one that is there already stays."""
        body = {"code": code, "name": name, "category": "hotel", "valid_from": "2026-01-01"}
        assert (await self.post("/partners", body, self.hq))[0] in {201, 409}

    async def code(self, member: Person) -> str:
        """What the member's app shows now."""
        status, shown = await self.get("/redemptions/code", self.api.token(Role.MEMBER, member=member.id))
        assert status == 200
        return str(shown["code"])

    async def wallet(self, member: Person) -> tuple[int, int, int, int]:
        """Available, pending, held and owed points."""
        status, read = await self.get(f"/members/{member.id}/points", self.hq)
        assert status == 200
        return read["available"], read["pending"], read["held"], read["owed"]

    @asynccontextmanager
    async def at(self, moment: datetime) -> AsyncIterator[None]:
        """For a while it is another time; tokens are good all the same."""
        authenticate = self.api.app.state.authenticate
        known = {
            token: authenticate(token) for token in (self.hq, self.advisor, self.director, self.foreign, self.program)
        }
        self.api.app.state.authenticate = lambda token: known.get(token) or authenticate(token)
        self.api.app.state.now = moment
        try:
            yield
        finally:
            self.api.app.state.now = NOW
            self.api.app.state.authenticate = authenticate


def order(vin: str, **fields: Any) -> dict[str, Any]:
    """A repair order of BJ001 of this morning over 123.45 yuan, with a number of its own."""
    return {
        "dealer_code": "BJ001", "order_no": f"RO{next(_serials)}", "vin": vin, "closed_at": "2026-11-21T09:30:00+08:00",
        "kind": "maintenance", "labour_fen": 4345, "parts_fen": 10000, "paid_fen": 12345,
    } | fields  # fmt: skip


def pointers(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The faults a 422 names."""
    return [(error["pointer"], error["code"]) for error in body["errors"]]


def problem(answer: httpx.Response) -> tuple[int, str]:
    """A refusal's status and type."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"]
