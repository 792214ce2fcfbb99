"""Partners of the tests, their perks, and what members and tills do with vouchers."""

from itertools import count
from typing import Any

from app.core.actors import Role
from app.wiring import verify
from tests.shop import Answer, Person, Shop

_serials = count(1)
Body = dict[str, Any]
NAME = "湖滨酒店"


def code_of(name: str = "P") -> str:
    """A code of its own."""
    return f"{name}{next(_serials):03}"


async def partner(shop: Shop, *, token: str = "", **fields: Any) -> str:
    """A new partner, a hotel of headquarters unless `fields` say otherwise; its code."""
    body = {"code": code_of(), "name": NAME, "category": "hotel", "valid_from": "2026-01-01"} | fields
    status, made = await shop.post("/partners", body, token or shop.hq)
    assert status == 201, made
    return str(made["code"])


async def perk(shop: Shop, partner_code: str, *, token: str = "", offered: bool = True, **fields: Any) -> str:
    """A perk that is offered; its id."""
    body = {"partner_code": partner_code, "name": "下午茶", "valid_from": "2026-01-01"} | fields
    status, made = await shop.post("/perks", body, token or shop.hq)
    assert (status, made.get("is_offered")) == (201, False), made
    if offered:
        assert (await change(shop, f"/perks/{made['id']}", token or shop.hq, is_offered=True))[0] == 200
    return str(made["id"])


async def change(shop: Shop, path: str, token: str, **fields: Any) -> Answer:
    """A change of a record as it stands."""
    etag = (await shop.api.call("GET", path, shop.hq)).headers["ETag"]
    answer = await shop.api.call("PATCH", path, token, json=fields, headers={"If-Match": etag})
    return answer.status_code, answer.json()


def own(shop: Shop, member: Person) -> str:
    """The member's own token."""
    return shop.api.token(Role.MEMBER, member=member.id)


def clerk(shop: Shop, partner_code: str, name: str = "till") -> str:
    """The token of a partner's clerk."""
    return shop.api.token(Role.PARTNER_CLERK, partner=partner_code, subject=f"{name}.{partner_code}")


def manager(shop: Shop, partner_code: str) -> str:
    """The token of who answers for a partner's money."""
    return shop.api.token(Role.PARTNER_MANAGER, partner=partner_code)


async def claim(shop: Shop, member: Person, perk_id: str, *, key: str | None = None) -> Answer:
    """What a member claims in the app."""
    return await shop.post("/members/me/vouchers", {"perk_id": perk_id}, own(shop, member), key=key)


async def claimed(shop: Shop, member: Person, perk_id: str) -> Body:
    """A voucher that is claimed."""
    status, made = await claim(shop, member, perk_id)
    assert status == 201, made
    return dict(made)


async def give_back(shop: Shop, member: Person, voucher: Body) -> Answer:
    """A voucher returned unused."""
    return await shop.post(f"/members/me/vouchers/{voucher['id']}/return", {}, own(shop, member))


async def check(shop: Shop, partner_code: str, code: str) -> Answer:
    """What the till sees of a code."""
    return await shop.post("/vouchers/checks", {"code": code}, clerk(shop, partner_code))


async def use(shop: Shop, partner_code: str, code: str, *, till: str = "till", key: str | None = None) -> Answer:
    """A code used at the till."""
    return await shop.post("/vouchers/uses", {"code": code}, clerk(shop, partner_code, till), key=key)


async def agree(shop: Shop, member: Person, partner_code: str, decision: str = "given") -> None:
    """The member's answer to a partner's getting its data."""
    notices = (await shop.get("/privacy/notices", shop.hq))[1]["items"]
    version = next(notice["version"] for notice in notices if notice["purpose"] == "partner")
    body = {
        "purpose": "partner", "decision": decision, "channel": "app", "version": version,
        "partner": {"code": partner_code, "name": NAME},
    }  # fmt: skip
    answer = await shop.api.call("POST", f"/members/{member.id}/consents", own(shop, member), json=body)
    assert answer.is_success, answer.text


async def report(shop: Shop, partner_code: str, uses: list[Body]) -> Answer:
    """What a till reports that worked by the list of just now."""
    known = (await shop.get("/vouchers/offline", clerk(shop, partner_code)))[1]
    return await shop.post("/vouchers/offline", {"token": known["token"], "uses": uses}, clerk(shop, partner_code))


def rule(partner_code: str, **fields: Any) -> Body:
    """Ten points of a partner for a visit there."""
    definition = {
        "trigger": "custom", "condition": f'event.name == "visit-{partner_code.lower()}"', "amount": "10",
        "funders": [{"party": f"partner:{partner_code}", "percent": "100"}],
        "expiry": {"kind": "rolling_months", "months": 24}, "valid_from": "2026-11-01",
        "examples": [
            {"fields": {"name": f"visit-{partner_code.lower()}"}, "on": "2026-11-21", "points": 10},
        ],
    } | fields  # fmt: skip
    named = {"code": f"r-{partner_code.lower()}", "label_zh": "到店", "label_en": "Visit"}
    return named | {"definition": definition}


async def publish(shop: Shop, body: Body) -> None:
    """A rule of headquarters, in force."""
    status, made = await shop.post("/rules", body, shop.hq)
    assert status == 201, made
    path = f"/rules/{made['id']}/publication"
    assert (await shop.api.call("POST", path, shop.hq, headers={"If-Match": '"1"'})).is_success


async def visit(shop: Shop, member: Person, partner_code: str, key: str) -> Any:
    """What a visit to the partner gave."""
    event = {
        "trigger": "custom", "key": f"{partner_code}-{key}", "member_id": str(member.id),
        "fields": {"name": f"visit-{partner_code.lower()}"},
    }  # fmt: skip
    status, answer = await shop.post("/points/earnings", event, shop.hq)
    assert status < 300, answer
    return answer


def kind(answer: Answer) -> tuple[int, str]:
    """A refusal's status and type."""
    return answer[0], answer[1]["type"].removeprefix("/problems/")


async def disagreeing(dsn: str) -> dict[str, list[str]]:
    """Which checks fail, and over which rows."""
    return {one.name: list(rows) for one, rows in await verify(dsn) if rows}
