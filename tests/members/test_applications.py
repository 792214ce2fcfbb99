"""Applications: applied for, decided once, by whom it concerns."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from app.core.actors import Role
from tests.api import Api
from tests.members.conftest import Owner

pytestmark = pytest.mark.usefixtures("network")


def site(api: Api) -> str:
    """The club's own web site, a program."""
    return api.token(Role.API_CLIENT, scopes="members:apply", subject="site")


async def apply(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.call("POST", "/applications", site(api), json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_applied_and_approved(api: Api, owner: Owner, director: Callable[[str], str]):
    body = owner(dealer_code="BJ001", source="word_of_mouth")
    applied = await apply(api, body)
    assert (applied["status"], applied["member_id"]) == ("open", None)
    assert applied["phone"] == f"{body['phone'][:3]}****{body['phone'][-4:]}"
    approved = await api.call("POST", f"/applications/{applied['id']}/approval", director("BJ001"))
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    member = (await api.call("GET", f"/members/{approved.json()['member_id']}", director("BJ001"))).json()
    assert (member["source"], member["dealer_code"], member["phone"]) == (
        "word_of_mouth",
        "BJ001",
        f"+86{body['phone']}",
    )
    again = await api.call("POST", f"/applications/{applied['id']}/approval", director("BJ001"))
    assert (again.status_code, again.json()["type"]) == (409, "/problems/wrong-status")
    assert (again.json()["current"], again.json()["allowed"]) == ("approved", ["open"])


async def test_an_approval_with_a_key_answers_alike(api: Api, owner: Owner, director: Callable[[str], str]):
    path = f"/applications/{(await apply(api, owner(dealer_code='BJ001')))['id']}/approval"
    first = await api.call("POST", path, director("BJ001"), key="ok")
    assert (await api.call("POST", path, director("BJ001"), key="ok")).json() == first.json()
    other = f"/applications/{(await apply(api, owner(dealer_code='BJ001')))['id']}/approval"
    assert (await api.call("POST", other, director("BJ001"), key="ok")).status_code == 409


async def test_many_approve_at_once(api: Api, owner: Owner, director: Callable[[str], str]):
    path = f"/applications/{(await apply(api, owner(dealer_code='BJ001')))['id']}/approval"
    answers = await asyncio.gather(*(api.call("POST", path, director("BJ001")) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


async def test_the_open_one_again_is_the_first(api: Api, owner: Owner):
    body = owner(dealer_code="BJ001")
    answers = await asyncio.gather(*(apply(api, body) for _ in range(6)))
    assert len({answer["id"] for answer in answers}) == 1
    elsewhere = await api.call("POST", "/applications", site(api), json=body | {"dealer_code": "SH001"})
    assert (elsewhere.status_code, elsewhere.json()["type"]) == (409, "/problems/application-open")


async def test_refused_or_withdrawn_it_may_come_again(api: Api, owner: Owner, director: Callable[[str], str]):
    first = await apply(api, body := owner(dealer_code="BJ001"))
    refused = await api.call(
        "POST", f"/applications/{first['id']}/refusal", director("BJ001"), json={"reason": "not the owner"}
    )
    assert (refused.json()["status"], refused.json()["reason"]) == ("refused", "not the owner")
    second = await apply(api, body)
    assert second["id"] != first["id"]
    withdrawn = await api.call(
        "POST", f"/applications/{second['id']}/withdrawal", site(api), json={"reason": "changed my mind"}
    )
    assert withdrawn.json()["status"] == "withdrawn"
    late = await api.call("POST", f"/applications/{second['id']}/refusal", director("BJ001"), json={"reason": "x"})
    assert (late.status_code, late.json()["current"]) == (409, "withdrawn")


async def test_an_application_that_cannot_be_granted_stays_open(api: Api, owner: Owner, director: Callable[[str], str]):
    member = owner()
    await api.call("POST", "/members", director("BJ001"), json=member)
    applied = await apply(api, owner(dealer_code="BJ001", phone=member["phone"], name="李四"))
    refused = await api.call("POST", f"/applications/{applied['id']}/approval", director("BJ001"))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/phone-taken")
    assert (await api.call("GET", f"/applications/{applied['id']}", director("BJ001"))).json()["status"] == "open"


async def test_each_chapter_has_its_own(api: Api, owner: Owner, director: Callable[[str], str]):
    applied = await apply(api, owner(dealer_code="SH001"))
    path = f"/applications/{applied['id']}"
    listed = await api.call("GET", "/applications?status=open&limit=200", director("SH001"))
    assert applied["id"] in [item["id"] for item in listed.json()["items"]]
    assert {item["dealer_code"] for item in listed.json()["items"]} == {"SH001"}
    foreign = await api.call("GET", "/applications?status=open&dealer_code=SH001", director("BJ001"))
    assert foreign.json()["items"] == []
    assert (await api.call("GET", path, director("BJ001"))).status_code == 404
    for verb in ("approval", "refusal", "withdrawal"):
        answer = await api.call("POST", f"{path}/{verb}", director("BJ001"), json={"reason": "x"})
        assert answer.status_code == 404, verb
    advisor = api.token(Role.SERVICE_ADVISOR, dealer="SH001")
    assert (await api.call("POST", f"{path}/approval", advisor)).status_code == 403
    member = api.token(Role.MEMBER, member=UUID(int=7))
    assert (await api.call("GET", path, member)).status_code == 403


@pytest.mark.parametrize(
    ("dealer", "status", "kind"),
    [("BJ002", 409, "no-chapter"), ("ZZ999", 422, "invalid-payload"), (None, 422, "invalid-payload")],
)
async def test_an_application_goes_to_a_chapter(api: Api, owner: Owner, dealer: str | None, status: int, kind: str):
    answer = await api.call("POST", "/applications", site(api), json=owner(dealer_code=dealer))
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")


async def test_pages_follow_one_another(api: Api, owner: Owner, director: Callable[[str], str]):
    made = [(await apply(api, owner(dealer_code="BJ001")))["id"] for _ in range(3)]
    seen, query = [], ""
    while True:
        page = (await api.call("GET", f"/applications?limit=2{query}", director("BJ001"))).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"&cursor={page['next_cursor']}"
    assert seen[-3:] == made
    assert len(seen) == len(set(seen))
    assert (await api.call("GET", "/applications?cursor=WyJ4Il0", director("BJ001"))).status_code == 422
