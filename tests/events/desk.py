"""Who plans, approves and runs events at BJ001 and SH001, in their region and at headquarters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.core.actors import Role
from app.core.clock import CHINA
from tests.now import NOW
from tests.shop import Answer, Person, Shop

Body = dict[str, Any]
DAY = datetime(2026, 12, 12, 10, 0, tzinfo=CHINA)
"""A Saturday three weeks after the tests' present."""


def plan(**fields: Any) -> Body:
    """A fruit-picking day of BJ001 for 30 persons, which costs nobody anything, unless `fields` say otherwise."""
    return {
        "dealer_code": "BJ001", "title": "秋日采摘", "purpose": "老车主携家人采摘，增进感情", "event_class": "care",
        "kind": "fruit_picking", "place": "平谷", "starts_at": str(DAY), "ends_at": str(DAY + timedelta(hours=6)),
        "registration_opens_at": str(DAY - timedelta(days=14)), "registration_closes_at": str(DAY - timedelta(days=2)),
        "capacity": 30, "expected_guests": 25, "is_open": True, "year": 2026,
    } | fields  # fmt: skip


def line(payer: str = "hq", planned: int = 300_000, kind: str = "money", **fields: Any) -> Body:
    """A line of a budget."""
    return {"kind": kind, "payer": payer, "purpose": f"{payer} {kind}", "planned": planned} | fields


@dataclass
class Desk:
    """Everybody's tokens, and what they do."""

    shop: Shop

    def __post_init__(self) -> None:
        token = self.shop.api.token
        self.hq = token(Role.HQ_OPERATIONS)
        self.finance = token(Role.HQ_FINANCE)
        self.north = token(Role.REGIONAL_MANAGER, region="BJ")
        self.south = token(Role.REGIONAL_MANAGER, region="SH")
        self.director = token(Role.CARE_DIRECTOR, dealer="BJ001")
        self.manager = token(Role.GENERAL_MANAGER, dealer="BJ001")
        self.foreign_director = token(Role.CARE_DIRECTOR, dealer="SH001")
        self.foreign_manager = token(Role.GENERAL_MANAGER, dealer="SH001")

    @asynccontextmanager
    async def at(self, moment: datetime) -> AsyncIterator[None]:
        """For a while it is another time, and everybody has signed in again."""
        self._turn_to(moment)
        try:
            yield
        finally:
            self._turn_to(NOW)

    def _turn_to(self, moment: datetime) -> None:
        self.shop.api.app.state.now = moment
        self.__post_init__()

    def of(self, member: Person) -> str:
        """The member's own token."""
        return self.shop.api.token(Role.MEMBER, member=member.id)

    async def plan(self, token: str = "", **fields: Any) -> Body:
        """A draft."""
        status, made = await self.shop.post("/events", plan(**fields), token or self.director)
        assert status == 201, made
        return dict(made)

    async def do(self, event: Body, deed: str, token: str = "", **body: Any) -> Answer:
        """A step of an event."""
        return await self.shop.post(f"/events/{event['id']}/{deed}", body, token or self.director)

    async def done(self, event: Body, deed: str, token: str = "", **body: Any) -> Body:
        """The same, which is accepted."""
        status, answer = await self.do(event, deed, token, **body)
        assert status in {200, 201}, (deed, answer)
        return dict(answer)

    async def decide(self, event: Body, token: str, decision: str = "approved", **body: Any) -> Answer:
        """An approver's word."""
        return await self.do(event, "decisions", token, decision=decision, **body)

    async def proposed(self, token: str = "", **fields: Any) -> Body:
        """A proposal."""
        return await self.done(await self.plan(token, **fields), "proposal", token)

    async def approved(self, token: str = "", **fields: Any) -> Body:
        """An event that headquarters has approved, whatever the budget holds."""
        event = await self.proposed(token, **fields)
        status, answer = await self.decide(event, self.hq, beyond_budget=True, reason="试点")
        assert (status, answer["status"]) == (200, "approved"), answer
        return dict(answer)

    async def published(self, token: str = "", **fields: Any) -> Body:
        """An event that members know of; its registration opens at its time."""
        return await self.done(await self.approved(token, **fields), "publication", token)

    async def opened(self, token: str = "", **fields: Any) -> Body:
        """An event for which members can register."""
        return await self.done(await self.published(token, **fields), "opening", token)

    async def read(self, event: Body, token: str = "") -> Body:
        """An event as it is now."""
        status, found = await self.shop.get(f"/events/{event['id']}", token or self.hq)
        assert status == 200, found
        return dict(found)

    async def change(self, event: Body, token: str = "", *, version: int | None = None, **fields: Any) -> Answer:
        """A change of an event as it was last read."""
        tag = {"If-Match": f'"{event["version"] if version is None else version}"'}
        path = f"/events/{event['id']}"
        answer = await self.shop.api.call("PATCH", path, token or self.director, json=fields, headers=tag)
        return answer.status_code, answer.json()

    async def grant(
        self, place: str, money_fen: int, points: int = 0, *, token: str = "", year: int = 2026, version: int = 0
    ) -> Answer:
        """What headquarters grants a chapter's events of a year."""
        return await self._set(f"/event-budgets/{year}/granted/{place}", money_fen, points, token or self.hq, version)

    async def own(
        self, money_fen: int, points: int = 0, *, code: str = "BJ001", token: str = "", year: int = 2026,
        version: int = 0,
    ) -> Answer:  # fmt: skip
        """What a dealer spends of its own."""
        return await self._set(f"/event-budgets/{year}/own/{code}", money_fen, points, token or self.manager, version)

    async def _set(self, path: str, money_fen: int, points: int, token: str, version: int) -> Answer:
        body, tag = {"money_fen": money_fen, "points": points}, {"If-Match": f'"{version}"'}
        answer = await self.shop.api.call("PUT", path, token, json=body, headers=tag)
        return answer.status_code, answer.json()

    async def budget(self, code: str = "BJ001", purse: str = "hq", *, year: int = 2026, token: str = "") -> Body:
        """A chapter's budget as it stands."""
        status, found = await self.shop.get(f"/event-budgets/{year}", token or self.hq, dealer_code=code)
        assert status == 200
        return dict(next(one for one in found["items"] if one["purse"] == purse))


def faults(answer: Body) -> dict[str, str]:
    """The codes of a refused payload's faults, by place."""
    return {error["pointer"]: error["code"] for error in answer["errors"]}
