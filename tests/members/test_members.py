"""Members: who sees and changes whom."""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
import segno

from app.core.actors import Role
from app.core.clock import china_date
from app.points import ledger
from app.points.problems import WalletClosed
from tests.api import Api
from tests.members.conftest import Owner
from tests.now import NOW


@pytest.fixture(scope="module")
async def mine(api: Api, network: None, owner: Owner) -> dict[str, Any]:
    """A member of BJ001."""
    return dict(
        (await api.call("POST", "/members", api.token(Role.CARE_DIRECTOR, dealer="BJ001"), json=owner())).json()
    )


@pytest.fixture(scope="module")
async def theirs(api: Api, network: None, owner: Owner) -> dict[str, Any]:
    """A member of SH001."""
    return dict((await api.call("POST", "/members", api.token(Role.HQ_ADMIN), json=owner(dealer_code="SH001"))).json())


@pytest.fixture(scope="module")
async def nobodys(api: Api, network: None, owner: Owner) -> dict[str, Any]:
    """A member on headquarters' own roll."""
    return dict((await api.call("POST", "/members", api.token(Role.HQ_ADMIN), json=owner())).json())


@pytest.mark.parametrize(
    ("role", "options", "sees", "unmasked"),
    [
        (Role.HQ_ADMIN, {}, {"mine", "theirs", "nobodys"}, True),
        (Role.API_CLIENT, {"scopes": "members:read"}, {"mine", "theirs", "nobodys"}, False),
        (Role.CARE_DIRECTOR, {"dealer": "BJ001"}, {"mine"}, True),
        (Role.SERVICE_ADVISOR, {"dealer": "BJ001"}, {"mine"}, False),
        (Role.CARE_DIRECTOR, {"dealer": "BJ002"}, set(), False),
    ],
)
async def test_who_sees_whom(
    api: Api, role: Role, options: dict[str, Any], sees: set[str], unmasked: bool,
    mine: dict[str, Any], theirs: dict[str, Any], nobodys: dict[str, Any],
):  # fmt: skip
    token = api.token(role, **options)
    members = {"mine": mine, "theirs": theirs, "nobodys": nobodys}
    listed = {item["id"]: item for item in (await api.call("GET", "/members", token)).json()["items"]}
    for name, member in members.items():
        one = await api.call("GET", f"/members/{member['id']}", token)
        assert one.status_code == (200 if name in sees else 404), name
        assert (member["id"] in listed) is (name in sees)
        for sought in ({"vin": member["vehicles"][0]["vin"]}, {"member_no": member["member_no"]}):
            found = (await api.call("POST", "/members/search", token, json=sought)).json()["items"]
            assert [item["id"] for item in found] == ([member["id"]] if name in sees else [])
        if name in sees:
            assert one.json() == listed[member["id"]]
            assert ("****" not in one.json()["phone"]) is unmasked


async def test_search_by_phone(api: Api, mine: dict[str, Any]):
    phone = mine["phone"].removeprefix("+86")
    found = await api.call(
        "POST", "/members/search", api.token(Role.SERVICE_ADVISOR, dealer="BJ001"), json={"phone": phone}
    )
    assert [item["id"] for item in found.json()["items"]] == [mine["id"]]
    wrong = await api.call("POST", "/members/search", api.token(Role.HQ_ADMIN), json={"phone": "110"})
    assert wrong.json()["errors"][0] | {"detail": ""} == {
        "pointer": "/phone",
        "code": "phone_format",
        "detail": "",
    }


async def test_a_member_sees_itself_and_no_other(api: Api, mine: dict[str, Any], theirs: dict[str, Any]):
    token = api.token(Role.MEMBER, member=UUID(mine["id"]))
    me = (await api.call("GET", "/members/me", token)).json()
    assert (me["id"], me["phone"]) == (mine["id"], mine["phone"])
    assert (await api.call("GET", f"/members/{mine['id']}", token)).json() == me
    assert (await api.call("GET", f"/members/{theirs['id']}", token)).status_code == 404
    assert (await api.call("GET", f"/members/{theirs['id']}/points", token)).status_code == 404
    assert (await api.call("GET", "/members", token)).status_code == 403
    assert (await api.call("GET", "/members/me", api.token(Role.HQ_ADMIN))).status_code == 403
    gone = api.token(Role.MEMBER, member=UUID(int=5))
    assert (await api.call("GET", "/members/me", gone)).status_code == 404


async def test_a_finance_clerk_sees_no_member(api: Api, mine: dict[str, Any]):
    token = api.token(Role.FINANCE_CLERK, dealer="BJ001")
    for path in ("/members", f"/members/{mine['id']}", f"/members/{mine['id']}/points", "/applications"):
        assert (await api.call("GET", path, token)).status_code == 403, path


async def test_names_are_corrected_under_if_match(api: Api, owner: Owner, director: Callable[[str], str]):
    made = (await api.call("POST", "/members", director("BJ001"), json=owner())).json()
    path = f"/members/{made['id']}"
    tag = (await api.call("GET", path, director("BJ001"))).headers["ETag"]
    changed = await api.call("PATCH", path, director("BJ001"), json={"name": "张玮"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["name"], changed.headers["ETag"]) == (200, "张玮", '"2"')
    late = await api.call("PATCH", path, director("BJ001"), json={"name": "章伟"}, headers={"If-Match": tag})
    assert late.status_code == 412
    foreign = await api.call("PATCH", path, director("SH001"), json={"name": "x"}, headers={"If-Match": '"2"'})
    assert foreign.status_code == 404
    assert (await api.call("PATCH", path, director("BJ001"), json={"name": "x"})).status_code == 422
    null = await api.call("PATCH", path, director("BJ001"), json={"name": None}, headers={"If-Match": '"2"'})
    assert null.status_code == 422


async def test_status_moves_along_the_table(api: Api, owner: Owner, director: Callable[[str], str]):
    made = (await api.call("POST", "/members", director("BJ001"), json=owner())).json()
    member_id = UUID(made["id"])

    async def step(to: str, token: str = "") -> tuple[int, str]:
        answer = await api.call(
            "POST",
            f"/members/{member_id}/status",
            token or director("BJ001"),
            json={"to": to, "reason": "as asked"},
        )
        return answer.status_code, answer.json().get("type") or answer.json()["status"]

    async def earn(key: str) -> None:
        today = china_date(NOW)
        earning = ledger.Earning(member_id, 5, "HQ", "HQ", f"test:{member_id}:{key}", today, today, today)
        await ledger.earn(api.db.pool, earning, ledger.Request("test", f"{member_id}:{key}", NOW))

    assert await step("active") == (409, "/problems/wrong-status")
    assert await step("suspended", director("SH001")) == (404, "/problems/not-found")
    assert await step("suspended") == (200, "suspended")
    with pytest.raises(WalletClosed):
        await earn("while suspended")
    assert await step("active") == (200, "active")
    await earn("again")
    assert await step("left") == (200, "left")
    with pytest.raises(WalletClosed):
        await earn("after leaving")
    assert await step("suspended") == (409, "/problems/wrong-status")
    steps = await api.db.pool.fetch(
        "SELECT from_status, to_status FROM member_status_change WHERE member_id = $1 ORDER BY id", member_id
    )
    assert [tuple(s) for s in steps] == [
        (None, "active"), ("active", "suspended"), ("suspended", "active"), ("active", "left"),
    ]  # fmt: skip


async def test_the_card_is_the_number_as_a_qr_code(api: Api, owner: Owner):
    made = (await api.call("POST", "/members", api.token(Role.HQ_ADMIN), json=owner())).json()
    card = await api.call("GET", "/members/me/card", api.token(Role.MEMBER, member=UUID(made["id"])))
    assert (card.status_code, card.headers["Content-Type"]) == (200, "image/svg+xml")
    shown = BytesIO()
    segno.make_qr(made["member_no"], error="m").save(shown, kind="svg", scale=8, light="#fff")
    assert card.content == shown.getvalue()
    assert (await api.call("GET", "/members/me/card", api.token(Role.MEMBER, member=UUID(int=1)))).status_code == 404
    assert (await api.call("GET", "/members/me/card", api.token(Role.HQ_ADMIN))).status_code == 403
