"""Birthdays at enrolment and on applications: under 14 nobody is active before a guardian has consented."""

from itertools import count
from typing import Any

import pytest

from tests.api import Api
from tests.members.conftest import car
from tests.shop import Shop, pointers, problem

GUARDIAN = {"name": "张父", "relation": "father"}
CHILD, ADULT, BIRTHDAY = "2015-06-01", "1990-02-03", "2012-11-21"
"""On the tests' day (21 November 2026) the last one is 14 tomorrow."""


_serials = count(880_001)


@pytest.fixture
def person() -> dict[str, Any]:
    """The body of an enrolment of one's own."""
    serial = next(_serials)
    return {"name": "张小宝", "phone": f"137{serial:08d}", "vin": car(serial), "source": "delivery"}


async def activate(shop: Shop, member_id: str, token: str) -> Any:
    step = {"to": "active", "reason": "同意"}
    return await shop.api.call("POST", f"/members/{member_id}/status", token, json=step)


@pytest.mark.parametrize("born_on", [CHILD, BIRTHDAY])
async def test_a_child_is_suspended_until_its_guardian_consents(
    shop: Shop, api: Api, person: dict[str, Any], born_on: str
):
    enrolled = await api.call("POST", "/members", shop.advisor, json=person | {"born_on": born_on})
    assert (enrolled.status_code, enrolled.json()["status"]) == (201, "suspended")
    member_id = enrolled.json()["id"]
    assert problem(await activate(shop, member_id, shop.director)) == (409, "/problems/guardian-needed")
    assert problem(await activate(shop, member_id, shop.hq)) == (409, "/problems/guardian-needed")
    status, refused = await shop.post("/points/earnings", _earning(member_id), shop.hq)
    assert (status, refused["type"]) == (409, "/problems/wallet-closed")

    noted = {"born_on": born_on, "guardian": GUARDIAN}
    assert (await api.call("PUT", f"/members/{member_id}/birth", shop.hq, json=noted)).status_code == 200
    assert (await activate(shop, member_id, shop.director)).json()["status"] == "active"
    assert (await shop.post("/points/earnings", _earning(member_id), shop.hq))[0] == 201


def _earning(member_id: str) -> dict[str, Any]:
    return {"member_id": member_id, "points": 10, "cause": {"type": "campaign", "key": f"child-{member_id}"}}


async def test_an_adults_birthday_is_noted(shop: Shop, api: Api, person: dict[str, Any]):
    enrolled = await api.call("POST", "/members", shop.advisor, json=person | {"born_on": ADULT})
    assert enrolled.json()["status"] == "active"
    birth = await api.call("GET", f"/members/{enrolled.json()['id']}/birth", shop.hq)
    assert (birth.json()["born_on"], birth.json()["needs_guardian"]) == (ADULT, False)


@pytest.mark.parametrize(("born_on", "status"), [(CHILD, "suspended"), (ADULT, "active")])
async def test_an_application_brings_the_birthday_along(
    shop: Shop, api: Api, person: dict[str, Any], born_on: str, status: str
):
    applied = await api.call("POST", "/applications", shop.advisor, json=person | {"born_on": born_on})
    assert applied.status_code == 201
    approved = await api.call("POST", f"/applications/{applied.json()['id']}/approval", shop.director)
    member_id = approved.json()["member_id"]
    assert (await api.call("GET", f"/members/{member_id}", shop.hq)).json()["status"] == status
    assert (await api.call("GET", f"/members/{member_id}/birth", shop.hq)).json()["born_on"] == born_on


@pytest.mark.parametrize("path", ["/members", "/applications"])
@pytest.mark.parametrize(("born_on", "code"), [("2026-11-22", "date_in_future"), ("1899-12-31", "greater_than_equal")])
async def test_nobody_is_born_tomorrow(
    shop: Shop, api: Api, person: dict[str, Any], path: str, born_on: str, code: str
):
    refused = await api.call("POST", path, shop.advisor, json=person | {"born_on": born_on})
    assert refused.status_code == 422
    assert pointers(refused.json()) == [("/born_on", code)]


async def test_what_is_on_record_is_not_changed_at_a_counter(shop: Shop, api: Api, person: dict[str, Any]):
    first = await api.call("POST", "/members", shop.advisor, json=person | {"born_on": CHILD})
    again = await api.call("POST", "/members", shop.advisor, json=person | {"born_on": ADULT})
    assert problem(again) == (409, "/problems/guardian-needed"), "nobody grows up by a second enrolment"
    birth = await api.call("GET", f"/members/{first.json()['id']}/birth", shop.hq)
    assert birth.json()["born_on"] == CHILD


async def test_an_active_member_is_not_suspended_by_a_birthday(shop: Shop, api: Api, person: dict[str, Any]):
    made = await api.call("POST", "/members", shop.advisor, json=person)
    again = await api.call("POST", "/members", shop.advisor, json=person | {"born_on": CHILD})
    assert problem(again) == (409, "/problems/guardian-needed")
    assert (await api.call("GET", f"/members/{made.json()['id']}", shop.hq)).json()["status"] == "active"
    assert (await api.call("GET", f"/members/{made.json()['id']}/birth", shop.hq)).status_code == 404
