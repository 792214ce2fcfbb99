"""A vehicle changes hands: sold by one member, enrolled by the next."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from app.core.actors import Role
from tests.api import Api
from tests.members.conftest import Owner, car

pytestmark = pytest.mark.usefixtures("network")

TODAY = "2026-11-21"


@pytest.fixture
async def seller(api: Api, owner: Owner, director: Callable[[str], str]) -> dict[str, Any]:
    """A member of BJ001 who has had a car for twenty days."""
    made = (await api.call("POST", "/members", director("BJ001"), json=owner())).json()
    await api.db.pool.execute("UPDATE ownership SET since = '2026-11-01' WHERE member_id = $1", UUID(made["id"]))
    return dict(made)


def path(member: dict[str, Any]) -> str:
    return f"/members/{member['id']}/sold-vehicles"


def sale(member: dict[str, Any], sold_on: str = TODAY) -> dict[str, str]:
    return {"vin": member["vehicles"][0]["vin"], "sold_on": sold_on}


async def test_on_the_day_of_sale_it_is_the_next_owners(api: Api, owner: Owner, seller: dict[str, Any]):
    sold = await api.call("POST", path(seller), api.token(Role.HQ_ADMIN), json=sale(seller))
    assert (sold.status_code, sold.json()) == (200, seller_read(seller) | {"vehicles": []})
    buyer = await api.call("POST", "/members", api.token(Role.HQ_ADMIN), json=owner(vin=sale(seller)["vin"]))
    assert (buyer.status_code, buyer.json()["outcome"]) == (201, "new_member")
    stretches = await api.db.pool.fetch(
        "SELECT member_id::text, since::text, until::text FROM ownership WHERE vin = $1 ORDER BY since",
        sale(seller)["vin"],
    )
    assert [tuple(stretch) for stretch in stretches] == [
        (seller["id"], "2026-11-01", TODAY),
        (buyer.json()["id"], TODAY, None),
    ]


def seller_read(member: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in member.items() if name not in ("outcome", "warnings")}


@pytest.mark.parametrize(
    ("sold_on", "status", "code"),
    [
        ("2026-11-01", 200, None),
        ("2026-10-31", 422, "date_too_early"),
        ("2026-11-22", 422, "date_in_future"),
        ("soon", 422, "date_from_datetime_parsing"),
    ],
)
async def test_a_sale_has_its_day(api: Api, seller: dict[str, Any], sold_on: str, status: int, code: str | None):
    answer = await api.call("POST", path(seller), api.token(Role.HQ_ADMIN), json=sale(seller, sold_on))
    assert answer.status_code == status, answer.text
    if code:
        assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [("/sold_on", code)]


@pytest.mark.parametrize(
    ("role", "options", "status"),
    [
        (Role.CARE_DIRECTOR, {"dealer": "BJ001"}, 200),
        (Role.SERVICE_ADVISOR, {"dealer": "BJ001"}, 200),
        (Role.API_CLIENT, {"scopes": "members:enrol"}, 200),
        (Role.API_CLIENT, {"scopes": "members:read"}, 403),
        (Role.CARE_DIRECTOR, {"dealer": "SH001"}, 404),
        (Role.SERVICE_ADVISOR, {"dealer": "SH001"}, 404),
        (Role.FINANCE_CLERK, {"dealer": "BJ001"}, 403),
        (Role.MEMBER, {"member": UUID(int=1)}, 403),
    ],
)
async def test_who_notes_a_sale(api: Api, seller: dict[str, Any], role: Role, options: dict[str, Any], status: int):
    answer = await api.call("POST", path(seller), api.token(role, **options), json=sale(seller))
    assert answer.status_code == status, answer.text
    owned = (await api.call("GET", f"/members/{seller['id']}", api.token(Role.HQ_ADMIN))).json()["vehicles"]
    assert len(owned) == (0 if status == 200 else 1)


async def test_only_the_members_own_car_once(api: Api, owner: Owner, seller: dict[str, Any]):
    other = (await api.call("POST", "/members", api.token(Role.HQ_ADMIN), json=owner())).json()
    for body in (sale(other), {"vin": car(999_999), "sold_on": TODAY}):
        assert (await api.call("POST", path(seller), api.token(Role.HQ_ADMIN), json=body)).status_code == 404
    nobody = f"/members/{UUID(int=9)}/sold-vehicles"
    assert (await api.call("POST", nobody, api.token(Role.HQ_ADMIN), json=sale(seller))).status_code == 404
    answers = await asyncio.gather(
        *(api.call("POST", path(seller), api.token(Role.HQ_ADMIN), json=sale(seller)) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 5


async def test_a_key_answers_alike_and_is_bound_to_its_member(api: Api, owner: Owner, seller: dict[str, Any]):
    key, token = f"sold-{seller['id']}", api.token(Role.HQ_ADMIN)
    first = await api.call("POST", path(seller), token, json=sale(seller), key=key)
    again = await api.call("POST", path(seller), token, json=sale(seller), key=key)
    assert (again.status_code, again.json()) == (200, first.json())
    other = (await api.call("POST", "/members", token, json=owner())).json()
    conflict = await api.call("POST", path(other), token, json=sale(seller), key=key)
    assert (conflict.status_code, conflict.json()["type"]) == (409, "/problems/idempotency-key-conflict")
