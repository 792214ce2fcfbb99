"""Enrolment: who enrols whom where; one membership a person, one owner a vehicle, also in a rush."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from app.core.actors import Role
from app.core.db import Database
from app.members import queries
from app.members.rules import is_member_number
from tests.api import Api
from tests.members.conftest import Owner

pytestmark = pytest.mark.usefixtures("network")


async def enrol(api: Api, token: str, body: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = await api.call("POST", "/members", token, json=body, **options)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def advisor(api: Api, dealer: str = "BJ001") -> str:
    return api.token(Role.SERVICE_ADVISOR, dealer=dealer)


async def test_a_new_member_has_all_a_member_needs(api: Api, owner: Owner, director: Callable[[str], str]):
    body = owner()
    joined = await enrol(api, director("BJ001"), body)
    assert is_member_number(joined["member_no"])
    assert (joined["outcome"], joined["status"], joined["warnings"]) == ("new_member", "active", [])
    assert (joined["dealer_code"], joined["joined_on"]) == ("BJ001", "2026-11-21")
    assert joined["phone"] == f"+86{body['phone']}"
    assert joined["vehicles"] == [{"vin": body["vin"], "since": "2026-11-21", "check_digit_ok": True}]
    wallet = await api.call("GET", f"/members/{joined['id']}/points", director("BJ001"))
    assert wallet.json() == {"available": 0, "pending": 0, "held": 0, "owed": 0, "next_expiries": []}
    steps = await api.db.pool.fetch("SELECT * FROM member_status_change WHERE member_id = $1", UUID(joined["id"]))
    assert [(s["from_status"], s["to_status"], s["actor"]) for s in steps] == [(None, "active", "care_director:BJ001")]


async def test_the_same_person_again(api: Api, owner: Owner):
    first = await enrol(api, advisor(api), body := owner())
    again = await enrol(api, advisor(api), body | {"phone": f"+86 {body['phone']}", "vin": body["vin"].lower()})
    assert (again["id"], again["outcome"]) == (first["id"], "already_known")
    second_car = await enrol(api, advisor(api), body | {"vin": owner()["vin"]})
    assert (second_car["id"], second_car["outcome"], len(second_car["vehicles"])) == (
        first["id"],
        "add_vehicle",
        2,
    )


async def test_a_phone_of_another_name_tells_nothing_of_the_other(api: Api, owner: Owner):
    await enrol(api, advisor(api), body := owner(name="欧阳修文"))
    refused = await api.call(
        "POST", "/members", advisor(api, "SH001"), json=body | {"name": "李四", "vin": owner()["vin"]}
    )
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/phone-taken")
    assert "欧阳" not in refused.text


async def test_a_vehicle_of_another(api: Api, owner: Owner):
    await enrol(api, advisor(api), body := owner())
    refused = await api.call("POST", "/members", advisor(api), json=owner(vin=body["vin"]))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/vehicle-taken")


async def test_another_chapters_member_keeps_the_rest_to_itself(api: Api, owner: Owner):
    await enrol(api, advisor(api), body := owner())
    new = owner()["vin"]
    seen = await enrol(api, advisor(api, "SH001"), body | {"vin": new})
    assert (seen["outcome"], seen["dealer_code"], seen["joined_on"]) == ("add_vehicle", None, None)
    own = await enrol(api, advisor(api), body)
    assert (own["dealer_code"], own["joined_on"], len(own["vehicles"])) == ("BJ001", "2026-11-21", 2)
    assert [vehicle["vin"] for vehicle in seen["vehicles"]] == [new]
    assert seen["phone"] == f"{body['phone'][:3]}****{body['phone'][-4:]}"


async def test_a_european_vin_is_a_warning(api: Api, owner: Owner):
    body = owner(vin="WVGZZZ5NZEW069297")
    joined = await enrol(api, advisor(api), body, headers={"Accept-Language": "en"})
    assert [(w["pointer"], w["code"]) for w in joined["warnings"]] == [("/vin", "vin_check_digit")]
    assert "outside China" in joined["warnings"][0]["detail"]
    assert joined["vehicles"][0]["check_digit_ok"] is False


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"vin": "1M8GDM9A1KP042788"}, "/vin", "vin_check_digit"),
        ({"vin": "11111111111111111"}, "/vin", "vin_repeated"),
        ({"vin": "IOQ"}, "/vin", "vin_format"),
        ({"phone": "12345678901"}, "/phone", "phone_format"),
        ({"name": "   "}, "/name", "string_too_short"),
        ({"name": "a\u0000"}, "/name", "string_pattern_mismatch"),
        ({"source": "dream"}, "/source", "enum"),
        ({"dealer_code": "HQ"}, "/dealer_code", "dealer_code_format"),
        ({"dealer_code": "ZZ999"}, "/dealer_code", "unknown_dealer"),
        ({"vip": True}, "/vip", "extra_forbidden"),
    ],
)
async def test_what_is_wrong_is_named(api: Api, owner: Owner, fields: dict[str, Any], pointer: str, code: str):
    answer = await api.call("POST", "/members", api.token(Role.HQ_ADMIN), json=owner(**fields))
    assert answer.status_code == 422, answer.text
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [(pointer, code)]


@pytest.mark.parametrize(
    ("role", "options", "dealer", "status"),
    [
        (Role.HQ_ADMIN, {}, "SH001", 201),
        (Role.HQ_ADMIN, {}, None, 201),
        (Role.HQ_ADMIN, {}, "BJ002", 409),
        (Role.API_CLIENT, {"scopes": "members:enrol"}, "SH001", 201),
        (Role.API_CLIENT, {"scopes": "members:enrol"}, None, 201),
        (Role.API_CLIENT, {"scopes": "members:read members:apply"}, "SH001", 403),
        (Role.SERVICE_ADVISOR, {"dealer": "SH001"}, None, 201),
        (Role.SERVICE_ADVISOR, {"dealer": "SH001"}, "SH001", 201),
        (Role.SERVICE_ADVISOR, {"dealer": "SH001"}, "BJ001", 404),
        (Role.CARE_DIRECTOR, {"dealer": "BJ002"}, None, 409),
        (Role.FINANCE_CLERK, {"dealer": "SH001"}, None, 403),
        (Role.MEMBER, {"member": UUID(int=1)}, None, 403),
    ],
)
async def test_who_enrols_where(
    api: Api, owner: Owner, role: Role, options: dict[str, Any], dealer: str | None, status: int
):
    answer = await api.call("POST", "/members", api.token(role, **options), json=owner(dealer_code=dealer))
    assert answer.status_code == status, answer.text
    if status == 409:
        assert answer.json()["type"] == "/problems/no-chapter"
    if status == 201:
        assert answer.json()["dealer_code"] == (dealer or options.get("dealer"))


async def test_a_key_answers_alike(api: Api, owner: Owner):
    first = await enrol(api, advisor(api), body := owner(), key="joined")
    assert await enrol(api, advisor(api), body, key="joined") == first
    other = await api.call("POST", "/members", advisor(api), json=owner(), key="joined")
    assert (other.status_code, other.json()["type"]) == (409, "/problems/idempotency-key-conflict")
    refused = await api.call("POST", "/members", advisor(api), json=owner(vin=body["vin"]), key="refused")
    assert refused.status_code == 409
    assert (await enrol(api, advisor(api), owner(), key="refused"))["outcome"] == "new_member"


async def test_who_left_comes_back_under_the_same_number(api: Api, owner: Owner, director: Callable[[str], str]):
    joined = await enrol(api, advisor(api), body := owner())
    left = await api.call(
        "POST", f"/members/{joined['id']}/status", director("BJ001"), json={"to": "left", "reason": "moved"}
    )
    assert left.json()["status"] == "left"
    back = await enrol(api, advisor(api, "SH001"), body)
    assert (back["id"], back["member_no"]) == (joined["id"], joined["member_no"])
    assert (back["status"], back["dealer_code"]) == ("active", "SH001")
    is_open = "SELECT is_open FROM ledger.member_balance WHERE member_id = $1"
    assert await api.db.pool.fetchval(is_open, UUID(joined["id"])) is True


async def rush(api: Api, bodies: list[dict[str, Any]]) -> Counter[tuple[int, str]]:
    answers = await asyncio.gather(
        *(api.call("POST", "/members", api.token(Role.HQ_ADMIN), json=body) for body in bodies)
    )
    return Counter((a.status_code, a.json().get("outcome") or a.json()["type"]) for a in answers)


async def test_one_phone_many_names(api: Api, owner: Owner):
    phone = owner()["phone"]
    outcomes = await rush(api, [owner(phone=phone, name=f"车主{n}") for n in range(12)])
    assert outcomes == {(201, "new_member"): 1, (409, "/problems/phone-taken"): 11}


async def test_one_vehicle_many_owners(api: Api, owner: Owner):
    vin = owner()["vin"]
    outcomes = await rush(api, [owner(vin=vin) for _ in range(12)])
    assert outcomes == {(201, "new_member"): 1, (409, "/problems/vehicle-taken"): 11}


async def test_one_person_pressing_twelve_times(api: Api, owner: Owner):
    outcomes = await rush(api, [owner()] * 12)
    assert outcomes == {(201, "new_member"): 1, (201, "already_known"): 11}


async def test_without_its_lock_the_race_is_real(api: Api, owner: Owner, monkeypatch: pytest.MonkeyPatch):
    """The control: the tests above would see a missing lock."""

    async def no_lock(*_: object) -> None:
        await asyncio.sleep(0.02)

    monkeypatch.setattr(queries, "lock_enrolment", no_lock)
    phone = owner()["phone"]
    outcomes = await rush(api, [owner(phone=phone, name=f"车主{n}") for n in range(12)])
    assert outcomes != {(201, "new_member"): 1, (409, "/problems/phone-taken"): 11}
    index = api.db.vault.index(f"+86{phone}")
    assert await api.db.pool.fetchval("SELECT count(*) FROM member WHERE phone_index = $1", index) == 1


@pytest.mark.parametrize("by", ["member_no", "vin", "phone"])
async def test_at_any_counter(api: Api, owner: Owner, database: Database, by: str):
    joined = await enrol(api, advisor(api), body := owner())
    number = {"member_no": joined["member_no"], "vin": body["vin"].lower(), "phone": body["phone"]}[by]
    found = await queries.at_counter(database, **{by: number})
    assert found == (UUID(joined["id"]), joined["member_no"], "张*", "active", "BJ001")
    assert await queries.at_counter(database, **{by: number[:-1]}) is None
    assert await queries.reached_at(database, UUID(joined["id"])) == (f"+86{body['phone']}", "active")
    assert await queries.reached_at(database, UUID(int=3)) is None
