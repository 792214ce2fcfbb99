"""Who writes incentives, approves and pays lists of them, and what is sold meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from app.core.actors import Role
from tests.shop import Answer, Shop

if TYPE_CHECKING:
    from tests.referrals.conftest import Desk

DECEMBER = datetime(2026, 12, 5, 2, 0, tzinfo=UTC)
JANUARY = datetime(2027, 1, 5, 2, 0, tzinfo=UTC)
SUCCESS, RECRUIT, CHAPTER = 50_000, 2_000, 30_000
WHO: dict[str, dict[str, Any]] = {
    "director": {"role": Role.CARE_DIRECTOR, "dealer": "BJ001"},
    "manager": {"role": Role.GENERAL_MANAGER, "dealer": "BJ001"},
    "foreign": {"role": Role.GENERAL_MANAGER, "dealer": "SH001"},
    "consultant": {"role": Role.SALES_CONSULTANT, "dealer": "BJ001"},
    "hq": {"role": Role.HQ_OPERATIONS},
    "finance": {"role": Role.HQ_FINANCE},
    "admin": {"role": Role.HQ_ADMIN},
}
_codes = count(1)

Body = dict[str, Any]


def rule(trigger: str = "referral_success", amount: str = str(SUCCESS), fen: int | None = None, **terms: Any) -> Body:
    """A rule of November on, with one example."""
    fields = {"party": "referrer"} if trigger == "referral_success" else {"source": "delivery"}
    example = {"fields": fields, "on": "2026-11-10", "fen": int(amount) if fen is None else fen}
    written = {"trigger": trigger, "amount_fen": amount, "valid_from": "2026-11-01", "examples": [example]} | terms
    return {"code": f"i{next(_codes)}", "label_zh": "奖励", "label_en": "Incentive", "terms": written}


class Office:
    """Who writes, approves and pays, in whatever month it is."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def send(self, who: str, method: str, path: str, body: Any = None, version: int = 1) -> Answer:
        """A request of somebody who signs in for it."""
        token = self.shop.api.token(subject=who, **WHO[who])
        answer = await self.shop.api.call(method, path, token, json=body, headers={"If-Match": f'"{version}"'})
        is_json = "json" in answer.headers["Content-Type"]
        return answer.status_code, answer.json() if is_json else answer.content

    async def write(self, who: str, **written: Any) -> Body:
        """A rule in force."""
        status, made = await self.send(who, "POST", "/incentive-rules", rule(**written))
        assert status == 201, made
        return dict(made)

    async def draw_up(self, who: str, month: str) -> Body:
        """A month's list."""
        status, made = await self.send(who, "POST", "/incentive-lists", {"month": month})
        assert status == 201, made
        return dict(made)

    async def lines(self, who: str, made: Body) -> list[tuple[str, str, str, int]]:
        """Kind, payee, document and fen of a list's lines."""
        status, found = await self.send(who, "GET", f"/incentive-lists/{made['id']}/lines?limit=200")
        assert status == 200, found
        return [(line["kind"], line["payee"], line["document"], line["fen"]) for line in found["items"]]

    async def step(self, who: str, made: Body, deed: str, body: Any = None) -> Answer:
        """An approval or a payment of the list as it was seen."""
        return await self.send(who, "POST", f"/incentive-lists/{made['id']}/{deed}", body, made["version"])

    async def approved(self, who: str, made: Body) -> Body:
        """A list that is approved."""
        status, found = await self.step(who, made, "approval")
        assert status == 200, found
        return dict(found)


async def sold(desk: Desk, **fields: Any) -> Body:
    """A referral by Li that is a success."""
    made = await desk.registered(await desk.shop.member(), **fields)
    made["delivery"] = (await desk.deliver(made["buyer_phone"]))["id"]
    return made


def document(made: Body) -> str:
    return f"referral_success:{made['id']}"


def later(office: Office, moment: datetime) -> None:
    office.shop.api.app.state.now = moment
