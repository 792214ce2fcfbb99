"""Searching by filter, and what a filter may ask."""

from typing import Any

import pytest

from app.core.actors import Role
from app.core.catalogue import Language
from app.members.fields import fields
from tests.api import Api
from tests.core.test_filters import where
from tests.now import NOW
from tests.shop import Person, Shop, order, pointers

LEFT = where("status", "is", "left")


@pytest.fixture(scope="module")
async def people(shop: Shop) -> dict[str, Person]:
    """Two members of BJ001, one of SH001, one on headquarters' roll."""
    people = {
        "张伟": await shop.member(points=2_000, name="张伟"),
        "单雄信": await shop.member(name="单雄信"),
        "李娜": await shop.member(dealer="SH001", points=500, name="李娜"),
    }
    answer = await shop.post("/repair-orders", order(people["张伟"].vin), shop.advisor)
    assert answer[0] == 201, answer
    body = {"name": "张三", "phone": "13700000001", "vin": "LJCPCBLCX11000237", "source": "event"}
    status, made = await shop.post("/members", body, shop.hq)
    assert status == 201
    people["张三"] = Person(made["id"], made["member_no"], body["phone"], body["vin"])
    return people


@pytest.fixture
async def found(shop: Shop, people: dict[str, Person]) -> Any:
    """Who is found by a filter, by name."""

    async def ask(tree: dict[str, Any], token: str = "") -> set[str]:
        status, page = await shop.post("/members/search", {"filter": tree}, token or shop.hq)
        assert status == 200, page
        return {member["name"] for member in page["items"]}

    return ask


ALL = {"张伟", "单雄信", "李娜", "张三"}


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        (where("status", "is", "active"), ALL),
        (LEFT, set()),
        ({"not": LEFT}, ALL),
        (where("source", "one_of", ["event", "import"]), {"张三"}),
        (where("chapter", "is", "bj001"), {"张伟", "单雄信"}),
        (where("chapter", "empty"), {"张三"}),
        (where("chapter", "is_not", "BJ001"), {"李娜", "张三"}),
        (where("region", "is", "SH"), {"李娜"}),
        (where("region", "none_of", ["SH", "GZ"]), {"张伟", "单雄信", "张三"}),
        (where("name", "starts_with", "张"), {"张伟", "张三"}),
        (where("name", "contains", "雄"), {"单雄信"}),
        (where("initials", "starts_with", "SX"), {"单雄信"}),
        (where("joined_on", "is", {"days_ago": 0}), ALL),
        (where("joined_on", "less", {"days_ago": 0}), set()),
        (where("vehicle.count", "is", 1), ALL),
        (where("vehicle.vin", "is", "ljcpcblcx11000237"), {"张三"}),
        (where("vehicle.owned_since", "at_least", {"months_ago": 1}), ALL),
        (where("points.available", "at_least", 500), {"张伟", "李娜"}),
        (where("points.available", "between", [1, 1000]), {"李娜"}),
        (where("points.owed", "more", 0), set()),
        (where("points.next_expiry", "filled"), {"张伟", "李娜"}),
        (where("points.next_expiry", "at_most", {"months_ahead": 1}), set()),
        (where("visits.last_on", "at_least", {"days_ago": 30}), {"张伟"}),
        (where("visits.last_on", "empty"), {"单雄信", "李娜", "张三"}),
        (where("visits.count_12m", "is", 0), {"单雄信", "李娜", "张三"}),
        (where("visits.paid_12m_fen", "more", 12_344), {"张伟"}),
        (where("visits.paid_12m_fen", "more", 12_345), set()),
        (
            {"and": [where("region", "is", "BJ"), {"or": [where("points.available", "is", 0), LEFT]}]},
            {"单雄信"},
        ),
        ({"not": {"or": [where("region", "is", "BJ"), where("region", "empty")]}}, {"李娜"}),
    ],
)
async def test_a_filter_finds(found: Any, tree: dict[str, Any], names: set[str]) -> None:
    assert await found(tree) == names


async def test_every_field_can_be_asked(shop: Shop, people: dict[str, Person]) -> None:
    """Each field with each operator is SQL that the database takes, inside a group and negated."""
    _, listed = await shop.get("/segments/fields", shop.hq)
    samples = {"text": "x", "number": 1, "money": 1, "date": {"days_ago": 1}, "bool": True}
    for field in listed["items"]:
        value = samples.get(field["kind"]) or field["choices"][0]["value"]
        for op in field["operators"]:
            many = op in {"one_of", "none_of", "between"}
            tree = where(field["name"], op, *([] if op in {"filled", "empty"} else [[value, value] if many else value]))
            asked = {"filter": {"and": [tree, {"not": {"or": [tree, LEFT]}}]}}
            status, page = await shop.post("/segments/preview", asked, shop.hq)
            assert (status, page["count"]) == (200, 0), (field["name"], op, page)


async def test_a_chapter_finds_its_own(shop: Shop, found: Any) -> None:
    assert await found({"not": LEFT}, shop.director) == {"张伟", "单雄信"}
    status, page = await shop.post("/segments/preview", {"filter": {"not": LEFT}}, shop.director)
    assert (status, page["count"], len(page["items"])) == (200, 2, 2)


async def test_a_corrected_or_cancelled_order_is_no_second_visit(shop: Shop, found: Any) -> None:
    member = await shop.member(name="王五")
    first = order(member.vin)
    assert (await shop.post("/repair-orders", first, shop.advisor))[0] == 201
    path = f"/repair-orders/BJ001/{first['order_no']}/cancellation"
    status, cancelled = await shop.post(path, {"reason": "错单"}, shop.director)
    assert status == 200, cancelled
    assert "王五" in await found(where("visits.count_12m", "is", 0))
    assert (await shop.post("/repair-orders", first | {"paid_fen": 10_000}, shop.advisor))[0] == 201
    assert "王五" in await found(where("visits.count_12m", "is", 1))
    assert "王五" in await found(where("visits.paid_12m_fen", "is", 10_000))
    assert "王五" not in await found(where("visits.last_on", "less", NOW.date().isoformat()[:8] + "01"))


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ({"name": "张"}, {"张伟", "张三"}),
        ({"name": "张", "initials": "zs"}, {"张三"}),
        ({"initials": "Zw"}, {"张伟"}),
        ({"initials": "sx"}, {"单雄信"}),
        ({"phone": "137 0000 0001"}, {"张三"}),
        ({"vin": "LJCPCBLCX11000237", "name": "李"}, set()),
        ({"name": "%"}, set()),
        ({"name": "张", "filter": where("region", "is", "BJ")}, {"张伟"}),
    ],
)
async def test_search(shop: Shop, people: dict[str, Person], search: dict[str, Any], names: set[str]) -> None:
    status, page = await shop.post("/members/search", search, shop.hq)
    assert (status, {member["name"] for member in page["items"]}) == (200, names)


async def test_a_new_name_has_new_initials_and_the_erased_none(shop: Shop) -> None:
    member = await shop.member(name="赵六")
    answer = await shop.api.call(
        "PATCH", f"/members/{member.id}", shop.hq, json={"name": "钱七"}, headers={"If-Match": '"1"'}
    )
    assert answer.status_code == 200
    initials = "SELECT name_initials FROM member WHERE id = $1"
    assert await shop.pool.fetchval(initials, member.id) == "qq"
    left = await shop.post(f"/members/{member.id}/status", {"to": "left", "reason": "搬家"}, shop.director)
    assert left[0] == 200
    await shop.pool.execute("SELECT restricted.erase($1, now())", member.id)
    assert await shop.pool.fetchval(initials, member.id) is None


# --- refusals ---


async def test_faults_are_named_with_their_place(shop: Shop) -> None:
    tree = {"and": [where("phone", "is", "1"), where("joined_on", "less", "soon"), {"or": []}]}
    for path in ("/members/search", "/segments/preview"):
        status, refused = await shop.post(path, {"filter": tree}, shop.hq)
        assert status == 422
        assert pointers(refused) == [
            ("/filter/and/0/field", "filter_unknown_field"),
            ("/filter/and/1/value", "filter_date"),
            ("/filter/and/2/or", "filter_empty_group"),
        ]


async def test_a_field_one_may_not_see(api: Api, shop: Shop, people: dict[str, Person]) -> None:
    program = api.token(Role.API_CLIENT, scopes="members:read members:write")
    tree = {"and": [where("points.available", "at_least", 1), where("visits.count_12m", "at_least", 1)]}
    for path, body in (
        ("/members/search", {"filter": tree}),
        ("/segments/preview", {"filter": tree}),
        ("/segments", {"name": "钱包", "filter": tree}),
    ):
        status, refused = await shop.post(path, body, program)
        assert (status, refused["type"]) == (403, "/problems/field-not-visible")
        assert refused["fields"] == "points.available, visits.count_12m"
    _, listed = await shop.get("/segments/fields", program)
    assert not {field["name"] for field in listed["items"]} & {"points.available", "visits.count_12m"}


async def test_nor_by_somebody_elses_segment(api: Api, shop: Shop, people: dict[str, Person]) -> None:
    body = {"name": "有积分", "filter": where("points.available", "at_least", 1)}
    _, made = await shop.post("/segments", body, shop.hq)
    program = api.token(Role.API_CLIENT, scopes="members:read")
    status, shown = await shop.get(f"/segments/{made['id']}", program)
    assert (status, shown["explanation"]) == (200, None)
    status, refused = await shop.get(f"/segments/{made['id']}/members", program)
    assert (status, refused["type"]) == (403, "/problems/field-not-visible")


async def test_names_of_fields_are_in_both_languages(api: Api) -> None:
    async with api.db.session() as session:
        for field in (await fields(session)).values():
            for language in Language:
                assert field.label(language)
                assert all(field.choice_label(choice, language) for choice in field.choices)


# --- profiles ---


async def test_a_hobby_and_the_circle_are_fields(shop: Shop, found: Any, people: dict[str, Person]) -> None:
    member = people["李娜"].id
    insert = "INSERT INTO member_attribute (id, member_id, attribute_key, value) VALUES (gen_random_uuid(), $1, $2, $3)"
    for hobby in ("photography", "food"):
        await shop.pool.execute(insert, member, "hobby", hobby)
    await shop.pool.execute(
        "INSERT INTO member_profile (member_id, circle, channels, days, updated_at, updated_by, version)"
        " VALUES ($1, 'loyal', '{sms,wechat}', 'any', now(), 'test', 0)",
        member,
    )
    assert await found(where("attribute.hobby", "is", "food")) == {"李娜"}
    assert await found(where("attribute.hobby", "one_of", ["food", "music"])) == {"李娜"}
    assert "李娜" not in await found(where("attribute.hobby", "is_not", "food"))
    assert await found(where("circle", "is", "loyal")) == set(), "she has not agreed to be seen so"
    agrees = {"purpose": "profiling", "decision": "given", "version": 1, "channel": "phone"}
    assert (await shop.post(f"/members/{member}/consents", agrees, shop.hq))[0] == 200
    assert await found(where("circle", "is", "loyal")) == {"李娜"}
    _, tried = await shop.post("/segments/preview", {"filter": where("attribute.hobby", "is", "food")}, shop.hq)
    assert tried["explanation"] == {"zh": "爱好为美食", "en": "hobbies is food and wine"}


async def test_an_attribute_is_seen_by_whom_it_is_for(shop: Shop, people: dict[str, Person]) -> None:
    await shop.pool.execute(
        "INSERT INTO attribute (key, label_zh, label_en, kind, choices, seen_by, edited_by, weight, is_retired,"
        " created_at, created_by, version) VALUES"
        " ('income', '收入', 'income', 'number', '[]', 'headquarters', 'headquarters', 0, false, now(), 'test', 1)"
    )
    await shop.pool.execute(
        "INSERT INTO member_attribute (id, member_id, attribute_key, value, number)"
        " VALUES (gen_random_uuid(), $1, 'income', '300000', 300000)",
        people["张伟"].id,
    )
    asked = {"filter": where("attribute.income", "at_least", 200_000)}
    status, page = await shop.post("/members/search", asked, shop.hq)
    assert (status, [member["name"] for member in page["items"]]) == (200, ["张伟"])
    status, refused = await shop.post("/members/search", asked, shop.director)
    assert (status, refused["type"], refused["fields"]) == (403, "/problems/field-not-visible", "attribute.income")


# --- cars ---


async def test_a_car_is_found_by_model_plate_and_dates(shop: Shop, found: Any, people: dict[str, Person]) -> None:
    member = people["单雄信"]
    await shop.pool.execute(
        "UPDATE vehicle SET model = 'X5', warranty_ends_on = '2027-01-31' WHERE vin = $1", member.vin
    )
    await shop.pool.execute(
        "UPDATE ownership SET plate = '京AD12345', purchased_on = '2026-10-01', insurance_ends_on = '2026-12-01'"
        " WHERE vin = $1",
        member.vin,
    )
    for tree in (
        where("vehicle.model", "one_of", ["X3", "X5"]),
        where("vehicle.model", "filled"),
        where("vehicle.plate", "is", "京ad·12345"),
        where("vehicle.purchased_on", "between", ["2026-10-01", "2026-10-31"]),
        where("vehicle.warranty_ends_on", "at_most", {"months_ahead": 6}),
        where("vehicle.insurance_ends_on", "at_most", {"days_ahead": 30}),
        {"and": [where("vehicle.model", "is", "X5"), {"not": where("vehicle.plate", "empty")}]},
    ):
        assert await found(tree) == {"单雄信"}, tree
    assert "单雄信" not in await found(where("vehicle.model", "is_not", "X5"))
    # a second car: asked for together, model and plate are those of one car, a model asked for twice that of two
    second = "LSVAB26E0T2999999"
    await shop.pool.execute(
        "INSERT INTO vehicle (vin, check_digit_ok, created_at, model) VALUES ($1, true, now(), 'X3')", second
    )
    await shop.pool.execute(
        "INSERT INTO ownership (id, vin, member_id, since) VALUES (gen_random_uuid(), $1, $2, '2026-01-01')",
        second, member.id,
    )  # fmt: skip
    older = where("vehicle.owned_since", "is", "2026-01-01")
    assert await found({"and": [older, where("vehicle.model", "is", "X3")]}) == {"单雄信"}
    assert await found({"and": [older, where("vehicle.model", "is", "X5")]}) == set()
    assert await found({"and": [where("vehicle.model", "is", "X3"), where("vehicle.model", "is", "X5")]}) == {"单雄信"}
    assert "单雄信" not in await found(where("vehicle.model", "is_not", "X5"))
    status, page = await shop.post("/members/search", {"plate": "京A·D12345"}, shop.hq)
    assert (status, [one["name"] for one in page["items"]]) == (200, ["单雄信"])
    status, refused = await shop.post("/members/search", {"plate": "京I12345"}, shop.hq)
    assert (status, pointers(refused)) == (422, [("/plate", "plate_format")])
    # plates are shown masked: nobody finds one out by its beginning
    status, refused = await shop.post(
        "/members/search", {"filter": where("vehicle.plate", "starts_with", "京")}, shop.hq
    )
    assert (status, pointers(refused)) == (422, [("/filter/op", "filter_unknown_operator")])
