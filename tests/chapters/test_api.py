"""The network over HTTP: who may read and change which dealer, chapter and account."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.chapters import queries, service
from app.chapters.imports import COLUMNS, import_dealers
from app.chapters.schemas import DealerCreate
from app.core.actors import Role
from app.core.tabular import Row
from tests.api import Api
from tests.now import NOW


@pytest.fixture(scope="module", autouse=True)
async def network(api: Api) -> None:
    """BJ001 and SH001 with chapters, BJ002 without."""
    lines = ["BJ001,BJ,Beijing,true,true", "BJ002,BJ,Beijing,false,false", "SH001,SH,Shanghai,true,true"]
    assert len(COLUMNS) == 5
    rows = (Row(number, line.split(",")) for number, line in enumerate(lines, 2))
    await import_dealers(api.db, rows, now=NOW)


def hq(api: Api) -> str:
    return api.token(Role.HQ_ADMIN)


def director(api: Api, dealer: str = "BJ001") -> str:
    return api.token(Role.CARE_DIRECTOR, dealer=dealer)


async def codes(api: Api, token: str, query: str = "") -> list[str]:
    answer = await api.call("GET", f"/dealers{query}", token)
    assert answer.status_code == 200, answer.text
    return [item["code"] for item in answer.json()["items"]]


async def new_dealer(api: Api, code: str, **fields: object) -> dict[str, object]:
    body = {"code": code, "region_code": "BJ", "has_after_sales": True} | fields
    answer = await api.call("POST", "/dealers", hq(api), json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_everyone_reads_what_is_theirs(api: Api):
    assert await codes(api, hq(api), "?has_after_sales=true") == ["BJ001", "SH001"]
    assert await codes(api, hq(api), "?region_code=BJ&has_chapter=false") == ["BJ002"]
    assert await codes(api, api.token(Role.API_CLIENT, scopes="network:read")) == ["BJ001", "BJ002", "SH001"]
    for role in (Role.CARE_DIRECTOR, Role.SERVICE_ADVISOR, Role.FINANCE_CLERK):
        assert await codes(api, api.token(role, dealer="SH001")) == ["SH001"]
    regions = await api.call("GET", "/regions", director(api))
    assert regions.json() == [{"code": "BJ", "name": "Beijing"}, {"code": "SH", "name": "Shanghai"}]


async def test_an_empty_network_starts_with_a_region(api: Api):
    body = {"code": "CD", "name": "成都"}
    answers = await asyncio.gather(*(api.call("POST", "/regions", hq(api), json=body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert {a.json()["type"] for a in answers if a.status_code == 409} == {"/problems/region-exists"}
    assert next(a.json() for a in answers if a.status_code == 201) == body
    assert body in (await api.call("GET", "/regions", hq(api))).json()
    await new_dealer(api, "CD001", region_code="CD")
    assert await codes(api, hq(api), "?region_code=CD") == ["CD001"]


async def test_a_key_makes_one_region(api: Api):
    body = {"code": "JN", "name": "济南"}
    first = await api.call("POST", "/regions", hq(api), json=body, key="jinan")
    again = await api.call("POST", "/regions", hq(api), json=body, key="jinan")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, body)


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"code": ""}, "/code", "string_pattern_mismatch"),
        ({"code": "成都"}, "/code", "string_pattern_mismatch"),
        ({"code": "A" * 17}, "/code", "string_pattern_mismatch"),
        ({"name": " "}, "/name", "string_too_short"),
        ({"color": "red"}, "/color", "extra_forbidden"),
    ],
)
async def test_a_wrong_region_is_refused(api: Api, body: dict[str, str], pointer: str, code: str):
    answer = await api.call("POST", "/regions", hq(api), json={"code": "XX", "name": "X"} | body)
    assert answer.status_code == 422, answer.text
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [(pointer, code)]
    assert (await api.call("POST", "/regions", director(api), json={"code": "XX", "name": "X"})).status_code == 403


@pytest.mark.parametrize(
    ("role", "options", "status"),
    [
        (Role.MEMBER, {}, 403),
        (Role.API_CLIENT, {"scopes": "members:read"}, 403),
        (Role.SERVICE_ADVISOR, {"dealer": "SH001"}, 404),
        (Role.SERVICE_ADVISOR, {"dealer": "BJ001"}, 200),
        (Role.HQ_ADMIN, {}, 200),
    ],
)
async def test_who_reads_a_dealer(api: Api, role: Role, options: dict[str, Any], status: int):
    answer = await api.call("GET", "/dealers/BJ001", api.token(role, **options))
    assert answer.status_code == status
    assert (await api.call("GET", "/dealers/BJ001")).status_code == 401


async def test_pages_follow_one_another(api: Api):
    seen, cursor = [], ""
    while cursor is not None:
        page = (await api.call("GET", f"/dealers?limit=1{cursor}", hq(api))).json()
        seen += [item["code"] for item in page["items"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == await codes(api, hq(api))


@pytest.mark.parametrize("cursor", ["nonsense", "WzFd", "WyJcdTAwMDAiXQ", "%00"])
async def test_a_made_up_cursor_is_refused(api: Api, cursor: str):
    answer = await api.call("GET", f"/dealers?cursor={cursor}", hq(api))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "cursor_invalid")


async def test_create_edit_and_lose_a_race(api: Api):
    created = await new_dealer(api, "BJ010", name="京十店")
    assert created["chapter"] is None
    again = await api.call(
        "POST", "/dealers", hq(api), json={k: created[k] for k in ("code", "region_code", "has_after_sales")}
    )
    assert (again.status_code, again.json()["type"]) == (409, "/problems/dealer-exists")

    tag = (await api.call("GET", "/dealers/BJ010", hq(api))).headers["ETag"]
    change = {"region_code": "SH", "has_after_sales": False}
    changed = await api.call("PATCH", "/dealers/BJ010", hq(api), json=change, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert changed.json() == created | change | {"version": 2}
    assert changed.headers["ETag"] != tag
    late = await api.call("PATCH", "/dealers/BJ010", hq(api), json={"name": None}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["type"]) == (412, "/problems/precondition-failed")
    assert (await api.call("GET", "/dealers/BJ010", hq(api))).json()["name"] == "京十店"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"code": "HQ"}, "/code", "dealer_code_format"),
        ({"code": "bj011"}, "/code", "dealer_code_format"),
        ({"code": "12345"}, "/code", "dealer_code_format"),
        ({"region_code": "XX"}, "/region_code", "unknown_region"),
        ({"name": "a\u0000b"}, "/name", "string_pattern_mismatch"),
        ({"color": "red"}, "/color", "extra_forbidden"),
    ],
)
async def test_a_wrong_dealer_is_refused(api: Api, body: dict[str, str], pointer: str, code: str):
    sent = {"code": "BJ011", "region_code": "BJ", "has_after_sales": True} | body
    answer = await api.call("POST", "/dealers", hq(api), json=sent)
    assert answer.status_code == 422, answer.text
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]


async def test_another_broken_constraint_is_no_dealer_that_exists(api: Api, monkeypatch: pytest.MonkeyPatch):
    async def known(*_: object) -> bool:
        return True

    monkeypatch.setattr(queries, "region_exists", known)
    with pytest.raises(IntegrityError, match="fk_dealer_region_code"):
        async with api.db.session() as session:
            await service.create_dealer(session, DealerCreate(code="BJ014", region_code="ZZ", has_after_sales=True))


async def test_null_does_not_empty_what_must_be_there(api: Api):
    await new_dealer(api, "BJ012")
    answer = await api.call("PATCH", "/dealers/BJ012", hq(api), json={"region_code": None}, headers={"If-Match": '"1"'})
    assert answer.status_code == 422


async def test_only_headquarters_edits_dealers(api: Api):
    body = {"code": "BJ013", "region_code": "BJ", "has_after_sales": True}
    assert (await api.call("POST", "/dealers", director(api), json=body)).status_code == 403
    edit = await api.call("PATCH", "/dealers/BJ001", director(api), json={}, headers={"If-Match": '"1"'})
    assert edit.status_code == 403


async def test_a_dealer_has_one_chapter(api: Api):
    await new_dealer(api, "BJ020")
    assert (await api.call("GET", "/dealers/BJ020/chapter", hq(api))).status_code == 404
    future = await api.call("POST", "/dealers/BJ020/chapter", hq(api), json={"opened_on": "2026-11-22"})
    assert future.json()["errors"][0]["code"] == "date_in_future"
    answers = await asyncio.gather(
        *(api.call("POST", "/dealers/BJ020/chapter", hq(api), json={"name": f"分会{n}"}) for n in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    opened = next(answer.json() for answer in answers if answer.status_code == 201)
    assert opened["opened_on"] == "2026-11-21"
    assert {a.json()["type"] for a in answers if a.status_code == 409} == {"/problems/chapter-exists"}
    assert (await api.call("POST", "/dealers/ZZ999/chapter", hq(api), json={})).status_code == 404
    assert (await api.call("POST", "/dealers/BJ020/chapter", director(api, "BJ020"), json={})).status_code == 403


async def test_a_key_is_bound_to_its_dealer(api: Api):
    await new_dealer(api, "BJ021")
    await new_dealer(api, "BJ022")
    first = await api.call("POST", "/dealers/BJ021/chapter", hq(api), json={}, key="open")
    again = await api.call("POST", "/dealers/BJ021/chapter", hq(api), json={}, key="open")
    assert (again.status_code, again.json()) == (201, first.json())
    other = await api.call("POST", "/dealers/BJ022/chapter", hq(api), json={}, key="open")
    assert (other.status_code, other.json()["type"]) == (409, "/problems/idempotency-key-conflict")


async def test_the_director_names_the_own_chapter(api: Api):
    found = await api.call("GET", "/dealers/SH001/chapter", director(api, "SH001"))
    named = await api.call(
        "PATCH", "/dealers/SH001/chapter", director(api, "SH001"), json={"name": "浦东车友会"},
        headers={"If-Match": found.headers["ETag"]},
    )  # fmt: skip
    assert (named.status_code, named.json()["name"]) == (200, "浦东车友会")
    foreign = await api.call(
        "PATCH", "/dealers/SH001/chapter", director(api), json={"name": "x"}, headers={"If-Match": '"2"'}
    )
    assert foreign.status_code == 404


def account(username: str, **fields: object) -> dict[str, object]:
    return {
        "username": username,
        "name": "李娜",
        "role": "service_advisor",
        "password": "right horse battery",
    } | fields


async def test_staff_come_and_go(api: Api):
    made = await api.call("POST", "/dealers/BJ001/staff", director(api), json=account("li.na"))
    assert made.status_code == 201, made.text
    person = made.json()
    assert (person["dealer_code"], person["is_active"], "password" in person) == ("BJ001", True, False)
    sign_in = {"username": "li.na", "password": "right horse battery"}
    assert (await api.call("POST", "/sign-in", json=sign_in)).status_code == 403
    change = sign_in | {"new_password": "a horse of one's own"}
    assert (await api.call("POST", "/sign-in/password", json=change)).status_code == 204
    sign_in["password"] = change["new_password"]
    assert (await api.call("POST", "/sign-in", json=sign_in)).status_code == 200

    listed = (await api.call("GET", "/dealers/BJ001/staff", director(api))).json()["items"]
    assert [(item["username"], item["version"]) for item in listed] == [("li.na", 1)]
    gone = await api.call(
        "PATCH",
        f"/staff/{person['id']}",
        director(api),
        json={"is_active": False},
        headers={"If-Match": '"1"'},
    )
    assert (gone.status_code, gone.json()["is_active"], gone.json()["version"]) == (200, False, 2)
    assert (await api.call("POST", "/sign-in", json=sign_in)).status_code == 401


async def test_staff_of_others_are_not_there(api: Api):
    made = await api.call("POST", "/dealers/BJ001/staff", hq(api), json=account("wang.wei"))
    path = f"/staff/{made.json()['id']}"
    for method, where, body in (
        ("GET", "/dealers/BJ001/staff", None),
        ("POST", "/dealers/BJ001/staff", account("spy")),
        ("PATCH", path, {"is_active": False}),
    ):
        foreign = await api.call(method, where, director(api, "SH001"), json=body, headers={"If-Match": '"1"'})
        assert foreign.status_code == 404, (method, where)
        advisor = api.token(Role.SERVICE_ADVISOR, dealer="BJ001")
        assert (await api.call(method, where, advisor, json=body, headers={"If-Match": '"1"'})).status_code == 403
    assert (await api.call("POST", "/dealers/BJ001/staff", hq(api), json=account("wang.wei"))).status_code == 409
    assert (await api.call("POST", "/dealers/BJ001/staff", hq(api), json=account("boss", role="hq"))).status_code == 422
