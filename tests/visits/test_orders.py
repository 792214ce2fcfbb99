"""Repair orders one by one: posted once, read by their dealer, cancelled and corrected."""

from typing import Any

import pytest

from app.core.actors import Role
from app.core.paging import encode_cursor
from app.wiring import verify
from tests.members.conftest import car
from tests.shop import Shop, order, pointers


async def send(shop: Shop, body: dict[str, Any], token: str = "") -> tuple[int, Any]:
    return await shop.post("/repair-orders", body, token or shop.advisor)


async def search(shop: Shop, token: str, vin: str, page: str = "", **filters: Any) -> tuple[int, Any]:
    return await shop.post(f"/repair-orders/search{page}", {"vin": vin} | filters, token)


async def cancel(shop: Shop, made: dict[str, Any], token: str = "", key: str | None = None) -> tuple[int, Any]:
    path = f"/repair-orders/{made['dealer_code']}/{made['order_no']}/cancellation"
    return await shop.post(path, {"reason": "wrong amount"}, token or shop.director, key=key)


async def test_an_order_is_posted_once(shop: Shop):
    member = await shop.member()
    made = order(member.vin)
    status, first = await send(shop, made)
    assert status == 201
    assert {name: first[name] for name in made} == made | {"closed_at": "2026-11-21T01:30:00Z"}
    assert (first["points"], first["member_id"], first["revision"], first["business_date"], first["cancelled_at"]) == (
        123, str(member.id), 1, "2026-11-21", None,
    )  # fmt: skip
    assert await send(shop, made) == (200, first)
    assert await send(shop, made, shop.hq) == (200, first)
    # the same moment told otherwise
    assert await send(shop, made | {"closed_at": "2026-11-21T01:30:00Z"}) == (200, first)
    assert await shop.wallet(member) == (123, 0, 0, 0)


@pytest.mark.parametrize(
    "change",
    [{"paid_fen": 12344}, {"kind": "repair"}, {"closed_at": "2026-11-21T09:30:01+08:00"}, {"labour_fen": 4346}],
)
async def test_another_content_is_a_conflict(shop: Shop, change: dict[str, Any]):
    member = await shop.member()
    made = order(member.vin)
    await send(shop, made)
    status, answer = await send(shop, made | change)
    assert (status, answer["type"]) == (409, "/problems/order-conflict")
    assert next(iter(change)) in answer["reason"]
    assert answer["reason"] in answer["detail"]
    assert await shop.wallet(member) == (123, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"closed_at": "2026-11-21T10:00:01+08:00"}, "lies in the future"),
        ({"closed_at": "0001-01-01T00:00:00+14:00"}, "lies before 2000"),
        ({"paid_fen": 14346}, "is more than labour_fen + parts_fen = 14345"),
        ({"vin": car(999_999)}, f"{car(999_999)} is not known"),
        ({"vin": "LSVAB26E0T200000\0"}, "must be 17 letters and digits"),
        ({"order_no": " 1"}, "must be 1 to 64 printable characters"),
        ({"dealer_code": "ZZ999"}, "there is no dealer 'ZZ999'"),
    ],
)
async def test_an_order_that_breaks_a_rule(shop: Shop, change: dict[str, Any], reason: str):
    status, answer = await send(shop, order((await shop.member()).vin) | change, shop.hq)
    assert (status, answer["type"]) == (422, "/problems/order-refused")
    assert reason in answer["reason"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"paid_fen": -1}, ("/paid_fen", "greater_than_equal")),
        ({"paid_fen": 12.5}, ("/paid_fen", "int_type")),
        ({"paid_fen": "12"}, ("/paid_fen", "int_type")),
        ({"paid_fen": 10**12}, ("/paid_fen", "less_than")),
        ({"closed_at": "2026-11-21T09:30:00"}, ("/closed_at", "timezone_aware")),
        ({"kind": "wash"}, ("/kind", "literal_error")),
        ({"order_no": ""}, ("/order_no", "string_too_short")),
        ({"points": 5}, ("/points", "extra_forbidden")),
    ],
)
async def test_a_field_that_cannot_be(shop: Shop, change: dict[str, Any], fault: tuple[str, str]):
    status, answer = await send(shop, order(car(1)) | change)
    assert (status, answer["type"], pointers(answer)) == (422, "/problems/invalid-payload", [fault])


async def test_who_may_send(shop: Shop):
    made = order((await shop.member()).vin, dealer_code="SH001")
    status, answer = await send(shop, made)
    assert (status, answer["type"]) == (404, "/problems/not-found")
    clerk = shop.api.token(Role.FINANCE_CLERK, dealer="SH001")
    reading = shop.api.token(Role.API_CLIENT, scopes="orders:read")
    assert [(await send(shop, made, token))[0] for token in (clerk, reading, shop.foreign)] == [403, 403, 201]


async def test_a_member_of_another_chapter_earns_here(shop: Shop):
    member = await shop.member(dealer="SH001")
    assert (await send(shop, order(member.vin)))[1]["points"] == 123
    assert await shop.wallet(member) == (123, 0, 0, 0)


async def test_a_dealer_sees_its_own(shop: Shop):
    member = await shop.member()
    here, there = order(member.vin), order(member.vin, dealer_code="SH001")
    await send(shop, here)
    await send(shop, there, shop.hq)
    paths = [f"/repair-orders/{made['dealer_code']}/{made['order_no']}" for made in (here, there)]
    for token, statuses in ((shop.advisor, [200, 404]), (shop.foreign, [404, 200]), (shop.program, [200, 200])):
        assert [(await shop.get(path, token))[0] for path in paths] == statuses

    async def listed(token: str, **filters: Any) -> list[str]:
        status, page = await search(shop, token, member.vin.lower(), **filters)
        assert status == 200
        listed = await shop.api.call("GET", "/repair-orders", token, params=filters | {"limit": 200})
        assert [item for item in listed.json()["items"] if item["vin"] == member.vin] == page["items"]
        return [item["order_no"] for item in page["items"]]

    assert await listed(shop.hq) == [here["order_no"], there["order_no"]]
    assert await listed(shop.hq, dealer_code="SH001") == [there["order_no"]]
    assert await listed(shop.advisor) == [here["order_no"]]
    assert await listed(shop.advisor, dealer_code="SH001") == []
    assert (await shop.get("/repair-orders/BJ001/none", shop.advisor))[0] == 404


async def test_an_order_number_may_have_a_slash(shop: Shop):
    made = order((await shop.member()).vin, order_no="RO/2026/7")
    assert (await send(shop, made))[0] == 201
    for written in ("RO/2026/7", "RO%2F2026%2F7"):
        status, read = await shop.get(f"/repair-orders/BJ001/{written}", shop.advisor)
        assert (status, read["order_no"]) == (200, "RO/2026/7")
    status, read = await cancel(shop, made)
    assert (status, read["cancelled_at"]) == (200, "2026-11-21T02:00:00Z")


async def test_a_list_goes_on_page_by_page(shop: Shop):
    member = await shop.member()
    numbers = [f"P{number}" for number in range(5)]
    for number in reversed(numbers):
        await send(shop, order(member.vin, order_no=number))
    seen, cursor = [], None
    while True:
        _, page = await search(shop, shop.advisor, member.vin, "?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen.append([item["order_no"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [numbers[:2], numbers[2:4], numbers[4:]]


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"cursor": "what"}, ("/query/cursor", "cursor_invalid")),
        ({"cursor": "WyJhIiwiYiJd"}, ("/query/cursor", "cursor_invalid")),
        ({"limit": 0}, ("/query/limit", "greater_than_equal")),
        ({"limit": 201}, ("/query/limit", "less_than_equal")),
        ({"dealer_code": "\0"}, ("", "nul_character")),
    ],
)
async def test_a_list_refuses_what_it_cannot_read(shop: Shop, params: dict[str, Any], fault: tuple[str, str]):
    status, answer = await shop.get("/repair-orders", shop.advisor, **params)
    assert (status, pointers(answer)) == (422, [fault])


async def test_vehicles_are_no_part_of_a_url(shop: Shop):
    parameters = [
        (path, parameter["name"])
        for path, operations in shop.api.app.openapi()["paths"].items()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if path.startswith("/api/v1/repair-orders")
    ]
    assert parameters
    assert [found for found in parameters if "vin" in found[1]] == []
    status, answer = await search(shop, shop.advisor, "LSV")
    assert (status, pointers(answer)) == (422, [("/vin", "string_too_short")])
    clerk = shop.api.token(Role.FINANCE_CLERK, dealer="BJ001")
    assert (await search(shop, clerk, car(1)))[0] == 403


async def test_a_dealers_order_has_a_limit(shop: Shop):
    member = await shop.member()
    most = shop.api.app.state.settings.order_max_fen
    just, more = (order(member.vin, labour_fen=most + 1, paid_fen=paid) for paid in (most, most + 1))
    assert [(await send(shop, just, token))[0] for token in (shop.advisor, shop.program)] == [201, 200]
    program = shop.api.token(Role.API_CLIENT, scopes="orders:write")
    for token in (shop.advisor, shop.director, program):
        status, answer = await send(shop, more, token)
        assert (status, answer["type"], answer["limit_fen"]) == (422, "/problems/order-too-large", most)
    assert await shop.wallet(member) == (most // 100, 0, 0, 0)
    # headquarters' people answer for themselves
    assert (await send(shop, more, shop.hq))[0] == 201
    assert await shop.wallet(member) == (2 * (most // 100), 0, 0, 0)


async def test_a_cursor_far_out_is_the_end(shop: Shop):
    status, page = await shop.get("/repair-orders", shop.hq, cursor=encode_cursor("~", "~", 1 << 32))
    assert (status, page) == (200, {"items": [], "next_cursor": None})


async def test_cancelled_and_sent_corrected(shop: Shop):
    member = await shop.member()
    made = order(member.vin)
    await send(shop, made)
    status, cancelled = await cancel(shop, made)
    assert (status, cancelled["cancelled_at"], cancelled["revision"]) == (200, "2026-11-21T02:00:00Z", 1)
    assert await shop.wallet(member) == (0, 0, 0, 0)
    assert await cancel(shop, made) == (200, cancelled)

    corrected = made | {"paid_fen": 10_000}
    status, second = await send(shop, corrected)
    assert (status, second["revision"], second["points"], second["cancelled_at"]) == (201, 2, 100, None)
    assert (await send(shop, corrected))[0] == 200
    assert (await send(shop, made))[0] == 409
    assert await shop.wallet(member) == (100, 0, 0, 0)
    _, page = await search(shop, shop.advisor, member.vin)
    assert [(item["revision"], item["points"]) for item in page["items"]] == [(1, 123), (2, 100)]

    assert (await cancel(shop, made))[1]["revision"] == 2
    for out_of_the_books in (made, corrected):
        assert (await send(shop, out_of_the_books))[0] == 200
    assert await shop.wallet(member) == (0, 0, 0, 0)
    assert (await send(shop, made | {"paid_fen": 9_000}))[1]["revision"] == 3
    assert await shop.wallet(member) == (90, 0, 0, 0)


async def test_what_was_spent_is_owed_and_repaid_by_the_corrected_order(shop: Shop):
    member = await shop.member()
    made = order(member.vin)
    await send(shop, made)
    assert (await shop.redeem(member, 100, shop.advisor, code=await shop.code(member)))[0] == 201
    assert (await cancel(shop, made))[0] == 200
    assert await shop.wallet(member) == (0, 0, 0, 100)
    assert (await send(shop, made | {"paid_fen": 11_000}))[0] == 201
    assert await shop.wallet(member) == (10, 0, 0, 0)


async def test_an_order_that_earned_nothing_is_cancelled_too(shop: Shop):
    made = order((await shop.member()).vin, paid_fen=0)
    assert (await send(shop, made))[1]["points"] == 0
    assert (await cancel(shop, made))[0] == 200
    assert (await send(shop, made | {"paid_fen": 100}))[1]["points"] == 1


async def test_who_may_cancel(shop: Shop):
    made = order((await shop.member()).vin)
    await send(shop, made)
    foreign = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    tokens = (shop.advisor, foreign, shop.api.token(Role.API_CLIENT, scopes="orders:read"))
    assert [(await cancel(shop, made, token))[0] for token in tokens] == [403, 404, 403]
    assert (await cancel(shop, order(car(1))))[0] == 404
    answer = await shop.api.call(
        "POST", f"/repair-orders/BJ001/{made['order_no']}/cancellation", shop.director, json={"reason": "x"}
    )
    assert (answer.status_code, pointers(answer.json())) == (422, [("/header/Idempotency-Key", "missing")])
    assert (await cancel(shop, made, shop.program))[0] == 200


async def test_a_key_cancels_one_order(shop: Shop):
    member = await shop.member()
    one, two = order(member.vin), order(member.vin)
    for made in (one, two):
        await send(shop, made)
    assert (await cancel(shop, one, key="cancel-it"))[0] == 200
    status, answer = await cancel(shop, two, key="cancel-it")
    assert (status, answer["type"]) == (409, "/problems/idempotency-key-conflict")
    assert (await shop.get(f"/repair-orders/BJ001/{two['order_no']}", shop.advisor))[1]["cancelled_at"] is None
    assert await shop.wallet(member) == (123, 0, 0, 0)


async def test_an_earning_reversed_by_hand_frees_its_order(shop: Shop):
    member = await shop.member()
    made = order(member.vin)
    await send(shop, made)
    body = {"member_id": str(member.id), "posting_no": 1, "reason": "wrong"}
    assert (await shop.post("/points/reversals", body, shop.hq))[0] == 201
    assert (await send(shop, made | {"paid_fen": 200}))[1]["revision"] == 2
    assert await shop.wallet(member) == (2, 0, 0, 0)


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}
