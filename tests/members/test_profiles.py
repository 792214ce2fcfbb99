"""Profiles: attributes that headquarters defines, contact, and how complete it all is."""

from typing import Any
from uuid import uuid4

import pytest

from app.core.actors import Role
from app.core.db import new_id
from tests.api import Api
from tests.core.test_filters import where
from tests.shop import Person, Shop, pointers


@pytest.fixture
async def member(shop: Shop) -> Person:
    return await shop.member(name="张伟")


@pytest.fixture
def change(shop: Shop) -> Any:
    """PATCHes a member's profile as of a version."""

    async def patch(member: Person, body: dict[str, Any], version: int = 0, token: str = "") -> tuple[int, Any]:
        answer = await shop.api.call(
            "PATCH", f"/members/{member.id}/profile", token or shop.director, json=body,
            headers={"If-Match": f'"{version}"'},
        )  # fmt: skip
        return answer.status_code, answer.json()

    return patch


@pytest.fixture(scope="module")
async def attributes(shop: Shop) -> None:
    """One of each kind beside the hobbies, with different audiences."""
    defined: tuple[dict[str, Any], ...] = (
        {"key": "employer", "kind": "text", "seen_by": "member", "edited_by": "staff"},
        {"key": "cars_at_home", "kind": "number"},
        {"key": "licence_since", "kind": "date", "seen_by": "member", "edited_by": "member"},
        {"key": "smokes", "kind": "bool"},
        {"key": "shirt", "kind": "choice", "choices": [_choice("m"), _choice("l")], "weight": 20},
        {"key": "risk", "kind": "text", "seen_by": "headquarters", "edited_by": "headquarters"},
    )
    for body in defined:
        status, made = await shop.post("/attributes", body | _labels(body["key"]), shop.hq)
        assert status == 201, made


def _labels(name: str) -> dict[str, str]:
    return {"label_zh": f"属性{name}", "label_en": name}


def _choice(value: str) -> dict[str, str]:
    return {"value": value, "zh": f"选{value}", "en": value}


def own(shop: Shop, member: Person) -> str:
    return shop.api.token(Role.MEMBER, member=member.id)


# --- attributes ---


async def test_who_sees_which_attributes(shop: Shop, attributes: None, member: Person) -> None:
    seen = {}
    for who, token in {"hq": shop.hq, "staff": shop.director, "member": own(shop, member)}.items():
        _, page = await shop.get("/attributes", token)
        seen[who] = {item["key"] for item in page["items"]} & {"hobby", "employer", "smokes", "risk"}
    assert seen["hq"] == {"hobby", "employer", "smokes", "risk"}
    assert seen["staff"] == {"hobby", "employer", "smokes"}
    assert seen["member"] == {"hobby", "employer"}
    assert (await shop.get("/attributes/risk", shop.director))[0] == 404
    program = shop.api.token(Role.API_CLIENT, scopes="members:read")
    assert (await shop.get("/attributes/risk", program))[0] == 404


async def test_attributes_by_page(shop: Shop, attributes: None) -> None:
    seen: list[str] = []
    cursor = None
    while cursor or not seen:
        _, page = await shop.get("/attributes", shop.hq, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [item["key"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == sorted(set(seen))
    assert "shirt" in seen


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"kind": "choice"}, ("/choices", "missing")),
        ({"kind": "text", "choices": [_choice("a")]}, ("/choices", "extra_forbidden")),
        ({"kind": "choice", "choices": [_choice("a"), _choice("a")]}, ("/choices", "choice_repeated")),
        ({"kind": "text", "seen_by": "staff", "edited_by": "member"}, ("/edited_by", "edited_unseen")),
        ({"kind": "float"}, ("/kind", "enum")),
        ({"kind": "text", "weight": 101}, ("/weight", "less_than_equal")),
        ({"kind": "text", "key": "Shoe Size"}, ("/key", "string_pattern_mismatch")),
    ],
)
async def test_senseless_attributes(shop: Shop, body: dict[str, Any], fault: tuple[str, str]) -> None:
    status, refused = await shop.post("/attributes", {"key": "senseless"} | _labels("x") | body, shop.hq)
    assert (status, pointers(refused)) == (422, [fault])


async def test_only_headquarters_defines(shop: Shop) -> None:
    body = {"key": "mine", "kind": "text"} | _labels("mine")
    assert (await shop.post("/attributes", body, shop.director))[0] == 403
    assert (await shop.post("/attributes", body, shop.hq))[0] == 201
    status, refused = await shop.post("/attributes", body, shop.hq)
    assert (status, refused["type"]) == (409, "/problems/attribute-exists")


async def test_an_attribute_changes_and_retires(shop: Shop, change: Any, member: Person) -> None:
    body = {"key": "pets", "kind": "choices", "choices": [_choice("cat")]} | _labels("pets")
    assert (await shop.post("/attributes", body, shop.hq))[0] == 201

    async def patch(body: dict[str, Any], version: int) -> tuple[int, Any]:
        answer = await shop.api.call(
            "PATCH", "/attributes/pets", shop.hq, json=body, headers={"If-Match": f'"{version}"'}
        )
        return answer.status_code, answer.json()

    status, refused = await patch({"choices": [_choice("dog")]}, 1)
    assert (status, pointers(refused)) == (422, [("/choices", "choice_removed")])
    status, changed = await patch({"choices": [_choice("cat"), _choice("dog")]}, 1)
    assert (status, changed["version"], len(changed["choices"])) == (200, 2, 2)
    assert (await patch({"weight": 1}, 1))[0] == 412
    assert (await patch({"weight": None}, 2))[0] == 422
    status, kept = await change(member, {"attributes": {"pets": ["dog"]}})
    assert (status, kept["attributes"]) == (200, {"pets": ["dog"]})
    assert (await patch({"is_retired": True}, 2))[0] == 200
    _, kept = await shop.get(f"/members/{member.id}/profile", shop.director)
    assert kept["attributes"] == {}
    status, refused = await change(member, {"attributes": {"pets": ["cat"]}}, 1)
    assert (status, pointers(refused)) == (422, [("/attributes/pets", "unknown_attribute")])


# --- profiles ---


async def test_a_profile_is_filled_and_emptied(
    shop: Shop, attributes: None, change: Any, member: Person
) -> None:  # fmt: skip
    status, empty = await shop.get(f"/members/{member.id}/profile", shop.director)
    assert (status, empty["version"], empty["attributes"], empty["contact"]) == (200, 0, {}, None)
    values = {
        "hobby": ["sports", "family", "sports"], "employer": " 铁路 ", "cars_at_home": 2,
        "licence_since": "2001-05-01", "smokes": False, "shirt": "l",
    }  # fmt: skip
    contact = {"channels": ["wechat", "phone"], "days": "weekends", "from_hour": 9, "until_hour": 20}
    body = {"value_class": "G", "circle": "opinion_leader", "contact": contact, "attributes": values}
    status, filled = await change(member, body)
    assert status == 200, filled
    assert filled["attributes"] == values | {"hobby": ["family", "sports"], "employer": "铁路"}
    assert (filled["value_class"], filled["circle"], filled["contact"]) == ("G", "opinion_leader", contact)
    assert filled["version"] == 1
    status, changed = await change(member, {"attributes": {"hobby": ["music", "family"], "smokes": None}}, 1)
    assert (status, changed["attributes"]["hobby"]) == (200, ["family", "music"])
    assert "smokes" not in changed["attributes"]
    assert changed["circle"] == "opinion_leader"
    status, changed = await change(member, {"circle": None, "contact": None}, 2)
    assert (status, changed["circle"], changed["contact"]) == (200, None, None)


async def test_of_two_editors_one_is_told(change: Any, member: Person) -> None:
    assert (await change(member, {"circle": "loyal"}))[0] == 200
    status, refused = await change(member, {"circle": "owner"})
    assert (status, refused["type"]) == (412, "/problems/precondition-failed")


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"value_class": "P"}, [("/value_class", "enum")]),
        ({"circle": "friend"}, [("/circle", "enum")]),
        ({"contact": {"channels": ["phone", "phone"]}}, [("/contact/channels", "choice_repeated")]),
        ({"contact": {"channels": [], "from_hour": 9}}, [("/contact", "needed_together")]),
        ({"contact": {"channels": [], "from_hour": 20, "until_hour": 9}}, [("/contact/until_hour", "hours_order")]),
        ({"attributes": {"shoe": "42"}}, [("/attributes/shoe", "unknown_attribute")]),
        ({"attributes": {"risk": "x"}}, [("/attributes/risk", "unknown_attribute")]),
        (
            {"attributes": {"cars_at_home": "2", "smokes": 1, "licence_since": "1.5.2001", "shirt": "xl"}},
            [
                ("/attributes/cars_at_home", "attribute_number"),
                ("/attributes/smokes", "attribute_bool"),
                ("/attributes/licence_since", "attribute_date"),
                ("/attributes/shirt", "attribute_choice"),
            ],
        ),
        ({"attributes": {"hobby": []}}, [("/attributes/hobby", "attribute_choices")]),
        ({"attributes": {"hobby": ["golf"]}}, [("/attributes/hobby", "attribute_choices")]),
        ({"attributes": {"employer": "  "}}, [("/attributes/employer", "attribute_text")]),
        ({"attributes": {"cars_at_home": 10**16}}, [("/attributes/cars_at_home", "attribute_number")]),
        ({"attributes": {"cars_at_home": True}}, [("/attributes/cars_at_home", "attribute_number")]),
    ],
)
async def test_faulty_values(
    shop: Shop, attributes: None, change: Any, member: Person, body: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    status, refused = await change(member, body)
    assert (status, pointers(refused)) == (422, faults)
    _, kept = await shop.get(f"/members/{member.id}/profile", shop.director)
    assert (kept["version"], kept["attributes"]) == (0, {})


async def test_what_is_whose_to_edit(shop: Shop, attributes: None, change: Any, member: Person) -> None:
    mine = own(shop, member)
    status, refused = await change(member, {"circle": "loyal", "attributes": {"employer": "x"}}, token=mine)
    assert (status, refused["type"]) == (403, "/problems/profile-field-closed")
    assert refused["fields"] == "attributes.employer, circle"
    assert (await change(member, {"attributes": {"smokes": True}}, token=mine))[0] == 422, "not to be seen"
    body = {"contact": {"channels": []}, "attributes": {"hobby": ["food"], "licence_since": "1999-12-31"}}
    status, changed = await change(member, body, token=mine)
    assert (status, changed["attributes"]) == (200, body["attributes"])
    staff = shop.api.token(Role.CARE_STAFF, dealer="BJ001")
    assert (await change(member, {"value_class": "D"}, 1, staff))[0] == 403
    assert (await change(member, {"attributes": {"smokes": True}}, 1, staff))[0] == 200
    assert (await change(member, {"value_class": "D", "circle": "key_customer"}, 2))[0] == 200
    _, shown = await shop.get(f"/members/{member.id}/profile", mine)
    assert (shown["value_class"], shown["circle"], "smokes" in shown["attributes"]) == (None, None, False)


async def test_others_members_are_not_there(shop: Shop, change: Any, member: Person) -> None:
    stranger = own(shop, await shop.member())
    for token in (shop.api.token(Role.CARE_DIRECTOR, dealer="SH001"), stranger):
        assert (await change(member, {"contact": {"channels": []}}, token=token))[0] == 404
        for path in ("profile", "timeline"):
            assert (await shop.get(f"/members/{member.id}/{path}", token))[0] == 404
        assert (await shop.post(f"/members/{member.id}/household", {"relation": "spouse"}, token))[0] == 404
    assert (await change(member, {}, token=shop.advisor))[0] == 403


async def test_found_by_what_is_known(shop: Shop, attributes: None, change: Any) -> None:
    one, other = await shop.member(name="钱多"), await shop.member(name="孙理")
    await change(
        one,
        {
            "circle": "key_customer", "value_class": "D", "contact": {"channels": ["wechat", "sms"]},
            "attributes": {
                "hobby": ["music", "food"], "cars_at_home": 3, "licence_since": "2010-01-01", "smokes": True,
            },
        },
    )  # fmt: skip
    await change(other, {"circle": "owner", "attributes": {"hobby": ["charity"], "cars_at_home": 1, "smokes": False}})
    agrees = {"purpose": "profiling", "decision": "given", "version": 1, "channel": "phone"}
    assert (await shop.post(f"/members/{one.id}/consents", agrees, shop.hq))[0] == 200
    only = where("initials", "one_of", ["qd", "sl"])
    for condition, names in (
        (where("attribute.hobby", "is", "music"), {"钱多"}),
        (where("attribute.hobby", "one_of", ["food", "charity"]), {"钱多", "孙理"}),
        (where("attribute.hobby", "is_not", "charity"), {"钱多"}),
        (where("attribute.cars_at_home", "at_least", 2), {"钱多"}),
        (where("attribute.licence_since", "less", "2015-01-01"), {"钱多"}),
        (where("attribute.licence_since", "empty"), {"孙理"}),
        (where("attribute.smokes", "is", False), {"孙理"}),
        (where("circle", "is", "key_customer"), {"钱多"}),
        (where("value_class", "is", "d"), {"钱多"}),
        (where("contact.channel", "is", "sms"), {"钱多"}),
    ):
        status, page = await shop.post("/members/search", {"filter": {"and": [only, condition]}}, shop.director)
        assert status == 200, (condition, page)
        assert {found["name"] for found in page["items"]} == names, condition
    tree = where("attribute.hobby", "is", "music")
    _, preview = await shop.post("/segments/preview", {"filter": tree}, shop.director)
    assert preview["explanation"] == {"zh": "爱好为音乐", "en": "hobbies is music"}
    status, refused = await shop.post("/members/search", {"filter": where("attribute.risk", "filled")}, shop.director)
    assert (status, refused["fields"]) == (403, "attribute.risk")


# --- completeness ---


async def test_completeness_rises(shop: Shop, attributes: None, change: Any, member: Person) -> None:
    _, known = await shop.get(f"/members/{member.id}/profile", shop.director)
    # of 85 for every club, 15 for hobbies and 20 for the shirt: a car alone
    assert known["completeness"]["score"] == 25 * 100 // 120
    missing = known["completeness"]["missing"]
    assert missing == ["birth", "contact", "household", "circle", "attribute.hobby", "attribute.shirt"]
    _, mine = await shop.get(f"/members/{member.id}/profile", own(shop, member))
    assert mine["completeness"]["missing"] == ["birth", "contact", "household", "attribute.hobby"]
    body = {"circle": "owner", "contact": {"channels": []}, "attributes": {"hobby": ["food"], "shirt": "m"}}
    assert (await change(member, body))[1]["completeness"]["missing"] == ["birth", "household"]
    await shop.post(f"/members/{member.id}/household", {"relation": "spouse"}, shop.director)
    await shop.api.call("PUT", f"/members/{member.id}/birth", shop.hq, json={"born_on": "1990-01-01"})
    _, known = await shop.get(f"/members/{member.id}/profile", shop.director)
    assert known["completeness"] == {"score": 100, "missing": []}


async def test_a_chapters_is_of_its_active_members(shop: Shop, attributes: None, change: Any) -> None:
    stays, leaves = await shop.member(dealer="SH001"), await shop.member(dealer="SH001")
    elsewhere = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    await change(stays, {"attributes": {"hobby": ["food"]}}, token=elsewhere)
    left = await shop.post(f"/members/{leaves.id}/status", {"to": "left", "reason": "搬家"}, elsewhere)
    assert left[0] == 200
    status, page = await shop.get("/completeness", elsewhere)
    assert status == 200
    (own_chapter,) = page["items"]
    assert (own_chapter["dealer_code"], own_chapter["members"]) == ("SH001", 1)
    assert own_chapter["parts"]["vehicle"] == own_chapter["parts"]["attribute.hobby"] == 1
    assert own_chapter["score"] == (25 + 15) * 100 // 120
    await shop.post(
        "/members", {"name": "总部", "phone": "13700009999", "vin": "LJCPCBLCX11000237", "source": "event"}, shop.hq
    )
    _, page = await shop.get("/completeness", shop.hq, limit=2)
    codes = [item["dealer_code"] for item in page["items"]]
    _, page = await shop.get("/completeness", shop.hq, limit=2, cursor=page["next_cursor"])
    assert codes + [item["dealer_code"] for item in page["items"]] == ["BJ001", None, "SH001"]


# --- what goes with the member ---


async def test_erasure_takes_it_all(shop: Shop, attributes: None, change: Any, member: Person) -> None:
    await change(member, {"circle": "loyal", "attributes": {"hobby": ["food"]}})
    await shop.post(f"/members/{member.id}/household", {"relation": "spouse", "name": "李娜"}, shop.director)
    await shop.post(f"/members/{member.id}/notes", {"text": "爱喝茶"}, shop.director)
    left = await shop.post(f"/members/{member.id}/status", {"to": "left", "reason": "搬家"}, shop.director)
    assert left[0] == 200
    await shop.pool.execute("SELECT restricted.erase($1, now())", member.id)
    for table in ("member_profile", "member_attribute", "household_person", "member_note"):
        rows = f"SELECT count(*) FROM {table} WHERE member_id = $1"
        assert await shop.pool.fetchval(rows, member.id) == 0, table


async def test_the_trail_keeps_no_values(shop: Shop, api: Api, attributes: None, change: Any, member: Person) -> None:
    secret = f"茶馆{uuid4().hex}"
    await change(member, {"attributes": {"employer": secret}})
    await shop.post(f"/members/{member.id}/notes", {"text": secret}, shop.director)
    await shop.post(f"/members/{member.id}/household", {"relation": "spouse", "name": secret}, shop.director)
    assert await api.db.pool.fetchval("SELECT count(*) FROM audit_event e WHERE e::text LIKE $1", f"%{secret}%") == 0
    kinds = "SELECT DISTINCT target_kind FROM audit_event WHERE target_kind = ANY ($1)"
    wanted = {"member-attribute", "note", "household-person", "profile", "attribute"}
    assert {kind for (kind,) in await api.db.pool.fetch(kinds, list(wanted))} == wanted


@pytest.mark.parametrize("path", ["profile", "notes", "timeline", f"notes/{new_id()}"])
async def test_nobody_has_none(shop: Shop, path: str) -> None:
    assert (await shop.get(f"/members/{new_id()}/{path}", shop.hq))[0] == 404
