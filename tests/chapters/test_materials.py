"""Materials from headquarters: asked for, approved out of a stock, shipped and received."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count, product
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.chapters.materials_rules import REQUEST_TRANSITIONS, RequestStatus
from app.chapters.verify import CHECKS
from app.core.actors import Role
from app.core.problems import WrongStatus
from app.core.transitions import require_step
from tests.api import Api
from tests.shop import Shop, pointers

REQUESTS = "/dealers/BJ001/material-requests"
SHIPMENT = {"carrier": "顺丰", "tracking_no": "SF1234567890"}
REASON = {"reason": "说明"}
NOTHING = "00000000-0000-0000-0000-000000000009"
_names = count(1)


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The database's owner."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def stocked(shop: Shop, stock: int) -> str:
    body = {"name": f"茶杯{next(_names)}", "kind": "gift", "unit": "件"}
    status, made = await shop.post("/materials", body, shop.hq)
    assert (status, made["stock"]) == (201, 0)
    if stock:
        assert (await shop.post(movements(made["id"]), {"change": stock} | REASON, shop.hq))[0] == 201
    return str(made["id"])


def movements(material: str) -> str:
    return f"/materials/{material}/movements"


async def stock(shop: Shop, material: str) -> int:
    """What is there, which is also what the movements add up to."""
    found = (await shop.get(f"/materials/{material}", shop.hq))[1]["stock"]
    moved = (await shop.get(movements(material), shop.hq, limit=200))[1]["items"]
    assert sum(movement["change"] for movement in moved) == found
    return int(found)


async def ask(shop: Shop, *lines: tuple[str, int], token: str = "") -> tuple[int, Any]:
    body = {"lines": [{"material_id": material, "quantity": quantity} for material, quantity in lines]}
    return await shop.post(REQUESTS, body, token or shop.director)


async def asked(shop: Shop, *lines: tuple[str, int]) -> str:
    status, made = await ask(shop, *lines)
    assert (status, made["status"]) == (201, "asked"), made
    return f"/material-requests/{made['id']}"


async def test_from_asking_to_receipt(shop: Shop):
    cups, flags = await stocked(shop, 10), await stocked(shop, 5)
    request = await asked(shop, (cups, 4), (flags, 5))
    assert await stock(shop, cups) == 10
    status, approved = await shop.post(f"{request}/approval", None, shop.hq)
    assert (status, approved["status"]) == (200, "approved")
    assert (await stock(shop, cups), await stock(shop, flags)) == (6, 0)
    status, sent = await shop.post(f"{request}/shipment", SHIPMENT, shop.hq)
    assert (status, sent["status"], sent["tracking_no"]) == (200, "shipped", "SF1234567890")
    staff = shop.api.token(Role.CARE_STAFF, dealer="BJ001")
    receipt: dict[str, Any] = {"differing": [{"material_id": cups, "quantity": 3}]}
    status, problem = await shop.post(f"{request}/receipt", receipt, staff)
    assert (status, pointers(problem)) == (422, [("/difference", "difference_missing")])
    status, got = await shop.post(f"{request}/receipt", receipt | {"difference": "一只破损"}, staff)
    assert (status, got["status"], got["difference"]) == (200, "received", "一只破损")
    assert {line["material_id"]: line["received"] for line in got["lines"]} == {cups: 3, flags: 5}
    assert (await shop.get(request, shop.director))[1] == got
    assert (await stock(shop, cups), await stock(shop, flags)) == (6, 0)


async def test_less_is_approved(shop: Shop):
    cups, flags, caps = [await stocked(shop, 5) for _ in range(3)]
    request = await asked(shop, (cups, 9), (flags, 2), (caps, 3))
    less = [{"material_id": cups, "quantity": 4}, {"material_id": caps, "quantity": 0}]
    status, problem = await shop.post(f"{request}/approval", {"differing": less}, shop.hq)
    assert (status, pointers(problem)) == (422, [("/reason", "missing")])
    assert (await shop.get(request, shop.hq))[1]["status"] == "asked"
    status, approved = await shop.post(f"{request}/approval", {"differing": less, "reason": "库存不足"}, shop.hq)
    assert (status, approved["status"], approved["reason"]) == (200, "approved", "库存不足")
    assert {line["material_id"]: line["approved"] for line in approved["lines"]} == {cups: 4, flags: 2, caps: 0}
    assert [await stock(shop, one) for one in (cups, flags, caps)] == [1, 3, 5]
    assert (await shop.post(f"{request}/shipment", SHIPMENT, shop.hq))[0] == 200
    _, got = await shop.post(f"{request}/receipt", {}, shop.director)
    assert {line["material_id"]: line["received"] for line in got["lines"]} == {cups: 4, flags: 2, caps: 0}


async def test_less_that_was_promised_goes_back(shop: Shop):
    cups = await stocked(shop, 5)
    request = await asked(shop, (cups, 5))
    less = {"differing": [{"material_id": cups, "quantity": 2}], "reason": "库存不足"}
    assert (await shop.post(f"{request}/approval", less, shop.hq))[0] == 200
    assert await stock(shop, cups) == 3
    assert (await shop.post(f"{request}/withdrawal", REASON, shop.director))[0] == 200
    assert await stock(shop, cups) == 5


@pytest.mark.parametrize(
    ("quantity", "fault"),
    [(6, ("/differing/0/quantity", "less_than_equal")), (0, ("/differing", "approval_empty"))],
)
async def test_what_cannot_be_approved(shop: Shop, quantity: int, fault: tuple[str, str]):
    cups, other = await stocked(shop, 9), await stocked(shop, 9)
    request = await asked(shop, (cups, 5))
    body: dict[str, Any] = {"differing": [{"material_id": cups, "quantity": quantity}], "reason": "说明"}
    status, problem = await shop.post(f"{request}/approval", body, shop.hq)
    assert (status, pointers(problem)) == (422, [fault])
    for named, code in (([other], "unknown_material"), ([cups, cups], "material_repeated")):
        body["differing"] = [{"material_id": one, "quantity": 1} for one in named]
        status, problem = await shop.post(f"{request}/approval", body, shop.hq)
        assert (status, pointers(problem)) == (422, [(f"/differing/{len(named) - 1}/material_id", code)])
    assert (await shop.get(request, shop.hq))[1]["status"] == "asked"
    assert await stock(shop, cups) == 9


@pytest.mark.parametrize(
    ("tampering", "check"),
    [
        ("UPDATE material SET stock = stock + 1 WHERE id = $1", "stock-is-movements"),
        ("UPDATE material_request_line SET approved = 1 WHERE material_id = $1", "requests-moved-once"),
        ("UPDATE material_movement SET change = change - 1 WHERE material_id = $1", "requests-moved-once"),
    ],
)
async def test_verify_finds_what_does_not_add_up(
    shop: Shop, owner: asyncpg.Connection, tampering: str, check: str
) -> None:
    cups = await stocked(shop, 5)
    assert (await shop.post(f"{await asked(shop, (cups, 2))}/approval", None, shop.hq))[0] == 200
    assert not [line for one in CHECKS for line in await one.run(owner)]
    change = owner.transaction()
    await change.start()
    try:
        await owner.execute(tampering, UUID(cups))
        found = {one.name: await one.run(owner) for one in CHECKS}
        assert any(cups in line for line in found[check])
    finally:
        await change.rollback()


async def test_what_was_promised_goes_back(shop: Shop):
    cups = await stocked(shop, 3)
    request = await asked(shop, (cups, 3))
    assert (await shop.post(f"{request}/approval", None, shop.hq))[0] == 200
    assert await stock(shop, cups) == 0
    status, withdrawn = await shop.post(f"{request}/withdrawal", REASON, shop.director)
    assert (status, withdrawn["status"], withdrawn["reason"]) == (200, "withdrawn", "说明")
    assert await stock(shop, cups) == 3
    again = await asked(shop, (cups, 3))
    assert (await shop.post(f"{again}/refusal", REASON, shop.hq))[1]["status"] == "refused"
    assert await stock(shop, cups) == 3


STEPS = {
    RequestStatus.APPROVED: ("approval", None),
    RequestStatus.REFUSED: ("refusal", REASON),
    RequestStatus.WITHDRAWN: ("withdrawal", REASON),
    RequestStatus.SHIPPED: ("shipment", SHIPMENT),
    RequestStatus.RECEIVED: ("receipt", {}),
}
WAYS: dict[RequestStatus, tuple[RequestStatus, ...]] = {
    RequestStatus.ASKED: (),
    RequestStatus.APPROVED: (RequestStatus.APPROVED,),
    RequestStatus.REFUSED: (RequestStatus.REFUSED,),
    RequestStatus.WITHDRAWN: (RequestStatus.WITHDRAWN,),
    RequestStatus.SHIPPED: (RequestStatus.APPROVED, RequestStatus.SHIPPED),
    RequestStatus.RECEIVED: (RequestStatus.APPROVED, RequestStatus.SHIPPED, RequestStatus.RECEIVED),
}
ALLOWED = {
    ("asked", "approved"), ("asked", "refused"), ("asked", "withdrawn"), ("approved", "shipped"),
    ("approved", "withdrawn"), ("shipped", "received"),
}  # fmt: skip


@pytest.mark.parametrize(("current", "to"), list(product(RequestStatus, RequestStatus)))
def test_the_written_table(current: RequestStatus, to: RequestStatus) -> None:
    if (current, to) in ALLOWED:
        require_step(REQUEST_TRANSITIONS, current, to)
        return
    with pytest.raises(WrongStatus):
        require_step(REQUEST_TRANSITIONS, current, to)


@pytest.mark.parametrize("current", list(RequestStatus))
async def test_steps_beside_the_table_are_refused(shop: Shop, current: RequestStatus):
    cups = await stocked(shop, 5)
    request = await asked(shop, (cups, 1))
    for step in WAYS[current]:
        assert await take(shop, request, step) == 200
    before = await stock(shop, cups)
    for to in STEPS:
        if (current, to) not in ALLOWED:
            assert await take(shop, request, to) == 409
    assert (await shop.get(request, shop.hq))[1]["status"] == current
    assert await stock(shop, cups) == before


async def take(shop: Shop, request: str, to: RequestStatus) -> int:
    path, body = STEPS[to]
    is_chapters = to in {RequestStatus.RECEIVED, RequestStatus.WITHDRAWN}
    status, answer = await shop.post(f"{request}/{path}", body, shop.director if is_chapters else shop.hq)
    assert status == 200 or answer["type"] == "/problems/wrong-status"
    return status


async def test_a_race_leaves_nothing_below_zero(shop: Shop):
    cups, flags = await stocked(shop, 5), await stocked(shop, 100)
    wanted = [await asked(shop, *([(cups, 1), (flags, 1)][:: 1 if n % 2 else -1])) for n in range(12)]
    answers = await asyncio.gather(*(shop.post(f"{request}/approval", None, shop.hq) for request in wanted))
    assert sorted(status for status, _ in answers) == [200] * 5 + [409] * 7
    assert {answer["type"] for status, answer in answers if status == 409} == {"/problems/stock-short"}
    # all or nothing
    assert (await stock(shop, cups), await stock(shop, flags)) == (0, 95)


async def test_one_request_approved_by_several_is_taken_once(shop: Shop):
    cups = await stocked(shop, 50)
    request = await asked(shop, (cups, 10))
    answers = await asyncio.gather(*(shop.post(f"{request}/approval", None, shop.hq) for _ in range(5)))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409]
    assert await stock(shop, cups) == 40


async def test_stock_is_booked_once_and_never_below_zero(shop: Shop):
    cups = await stocked(shop, 2)
    path = movements(cups)
    for _ in range(2):
        status, _ = await shop.post(path, {"change": 3} | REASON, shop.hq, key=f"arrival-{cups}")
        assert status == 201
    assert await stock(shop, cups) == 5
    status, problem = await shop.post(path, {"change": -6} | REASON, shop.hq)
    assert (status, problem["type"], problem["stock"], problem["needed"]) == (409, "/problems/stock-short", 5, 6)
    status, problem = await shop.post(path, {"change": 0} | REASON, shop.hq)
    assert (status, pointers(problem)) == (422, [("/change", "change_zero")])
    assert (await shop.post(movements(NOTHING), {"change": 1} | REASON, shop.hq))[0] == 404
    answers = await asyncio.gather(*(shop.post(path, {"change": -2} | REASON, shop.hq) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [201, 201, 409, 409]
    assert await stock(shop, cups) == 1


async def test_the_catalogue_changes(api: Api, shop: Shop):
    cups, other = await stocked(shop, 1), await stocked(shop, 1)
    read = await api.call("GET", f"/materials/{cups}", shop.director)
    tag = {"If-Match": read.headers["ETag"]}

    async def patch(body: Any, headers: dict[str, str], token: str = "") -> tuple[int, Any]:
        answer = await api.call("PATCH", f"/materials/{cups}", token or shop.hq, json=body, headers=headers)
        return answer.status_code, answer.json()

    taken = (await shop.get(f"/materials/{other}", shop.hq))[1]["name"]
    assert (await patch({"name": taken}, tag))[1]["type"] == "/problems/material-exists"
    assert (await shop.post("/materials", {"name": taken, "kind": "gift", "unit": "件"}, shop.hq))[0] == 409
    assert (await patch({"is_offered": False}, tag, shop.director))[0] == 403
    assert (await patch({"stock": 99}, tag))[0] == 422
    assert (await patch({"is_offered": False}, tag))[1]["version"] == 2
    assert (await patch({"is_offered": True}, tag))[0] == 412
    status, problem = await ask(shop, (other, 1), (cups, 1))
    assert (status, pointers(problem)) == (422, [("/lines/1/material_id", "unknown_material")])
    offered = (await shop.get("/materials", shop.director, is_offered=True, limit=200))[1]["items"]
    assert cups not in {material["id"] for material in offered}


async def test_requests_that_are_refused(shop: Shop):
    cups, flags = await stocked(shop, 9), await stocked(shop, 9)
    for lines, fault in (
        ([(cups, 1), (cups, 2)], ("/lines/1/material_id", "material_repeated")),
        ([(NOTHING, 1)], ("/lines/0/material_id", "unknown_material")),
        ([(cups, 0)], ("/lines/0/quantity", "greater_than_equal")),
    ):
        status, problem = await ask(shop, *lines)
        assert (status, pointers(problem)) == (422, [fault])
    request = await asked(shop, (cups, 1))
    for step, body in (("approval", None), ("shipment", SHIPMENT)):
        assert (await shop.post(f"{request}/{step}", body, shop.hq))[0] == 200
    wrong = {"differing": [{"material_id": flags, "quantity": 1}], "difference": "错"}
    status, problem = await shop.post(f"{request}/receipt", wrong, shop.director)
    assert (status, pointers(problem)) == (422, [("/differing/0/material_id", "unknown_material")])
    assert (await shop.get(request, shop.hq))[1]["status"] == "shipped"
    assert (await shop.post(f"{request}/shipment", {"carrier": "顺丰", "tracking_no": "?"}, shop.hq))[0] == 422


async def test_who_may(api: Api, shop: Shop):
    cups = await stocked(shop, 9)
    request = await asked(shop, (cups, 1))
    foreign = api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert (await ask(shop, (cups, 1), token=foreign))[0] == 404
    assert (await ask(shop, (cups, 1), token=shop.advisor))[0] == 403
    assert (await ask(shop, (cups, 1), token=shop.hq))[0] == 403
    line = {"lines": [{"material_id": cups, "quantity": 1}]}
    no_chapter = api.token(Role.CARE_DIRECTOR, dealer="BJ002")
    assert (await shop.post("/dealers/BJ002/material-requests", line, no_chapter))[0] == 404
    assert (await shop.get(request, foreign))[0] == 404
    assert (await shop.post(f"{request}/withdrawal", REASON, foreign))[0] == 404
    assert (await shop.post(f"{request}/receipt", {}, foreign))[0] == 404
    assert (await shop.post(f"{request}/approval", None, shop.director))[0] == 403
    assert (await shop.get(movements(cups), shop.director))[0] == 403
    ids = [item["id"] for item in (await shop.get("/material-requests", foreign, limit=200))[1]["items"]]
    assert ids == []
    manager = api.token(Role.GENERAL_MANAGER, dealer="BJ001")
    found = (await shop.get("/material-requests", manager, status="asked", limit=200))[1]["items"]
    assert request.rpartition("/")[2] in {item["id"] for item in found}
    assert {item["status"] for item in found} == {"asked"}
    mine = (await shop.get("/material-requests", shop.hq, dealer_code="SH001"))[1]["items"]
    assert mine == []
    first = (await shop.get("/material-requests", shop.hq, limit=1))[1]
    after = (await shop.get("/material-requests", shop.hq, limit=1, cursor=first["next_cursor"]))[1]
    assert first["items"][0]["id"] < after["items"][0]["id"]


async def test_a_closed_chapter_asks_for_nothing_more(api: Api, shop: Shop):
    body = {"code": "BJ777", "region_code": "BJ", "has_after_sales": True}
    assert (await shop.post("/dealers", body, shop.hq))[0] == 201
    assert (await shop.post("/dealers/BJ777/chapter", {}, shop.hq))[0] == 201
    cups, director = await stocked(shop, 9), api.token(Role.CARE_DIRECTOR, dealer="BJ777")
    line = {"lines": [{"material_id": cups, "quantity": 2}]}
    made = [(await shop.post("/dealers/BJ777/material-requests", line, director))[1]["id"] for _ in range(3)]
    for request in made[:2]:
        assert (await shop.post(f"/material-requests/{request}/approval", None, shop.hq))[0] == 200
    assert (await shop.post(f"/material-requests/{made[0]}/shipment", SHIPMENT, shop.hq))[0] == 200
    assert await stock(shop, cups) == 5
    assert (await shop.post("/dealers/BJ777/chapter/closing", {"to_dealer_code": None} | REASON, shop.hq))[0] == 200
    found = [(await shop.get(f"/material-requests/{request}", shop.hq))[1]["status"] for request in made]
    assert found == ["shipped", "withdrawn", "withdrawn"]
    assert await stock(shop, cups) == 7
    assert (await shop.post("/dealers/BJ777/material-requests", line, director))[0] == 404
    assert (await shop.post(f"/material-requests/{made[0]}/receipt", {}, director))[0] == 200


pytestmark = pytest.mark.usefixtures("shop")
