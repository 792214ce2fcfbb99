"""Who read whole phone numbers of whom."""

from app.core.actors import Role
from tests.api import Api
from tests.audit.trail import deeds
from tests.members.conftest import car
from tests.shop import Shop


async def _unmasked(api: Api, actor: str) -> list[tuple[str, set[str]]]:
    found = await deeds(api, actor=actor, action="unmasked")
    return [(deed["target_kind"], set(deed["target_ids"])) for deed in found]


async def test_one_by_one_and_in_lists(api: Api, shop: Shop):
    first, second, third = [await shop.member(dealer="SH001") for _ in range(3)]
    token = api.token(Role.CARE_DIRECTOR, dealer="SH001", subject="director.reading")
    await api.call("GET", f"/members/{first.id}", token)
    assert await _unmasked(api, "director.reading") == [("member", {str(first.id)})]
    page = (await api.call("GET", "/members", token, params={"limit": 2})).json()
    assert page["next_cursor"]
    # the one that only told of a next page was not shown
    assert (await _unmasked(api, "director.reading"))[0] == ("member", {str(first.id), str(second.id)})
    await api.call("GET", "/members", token, params={"limit": 2, "cursor": page["next_cursor"]})
    assert (await _unmasked(api, "director.reading"))[0] == ("member", {str(third.id)})
    (whole, *_) = await deeds(api, target_id=third.id, action="unmasked")
    assert (whole["operation"], whole["changes"]) == ("members_list", {})


async def test_masked_numbers_and_ones_own_are_none(api: Api, shop: Shop):
    member = await shop.member()
    for token in (
        api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject="advisor.masked"),
        api.token(Role.MEMBER, member=member.id, subject="member.self"),
    ):
        answer = await api.call("GET", f"/members/{member.id}", token)
        assert answer.status_code == 200
    assert "****" not in answer.json()["phone"]
    assert await _unmasked(api, "advisor.masked") == []
    assert await _unmasked(api, "member.self") == []


async def test_applicants(api: Api, shop: Shop):
    body = {"name": "李静", "phone": "13800009999", "vin": car(777_777), "source": "showroom"}
    made = (await api.call("POST", "/applications", shop.advisor, json=body)).json()
    assert "****" in made["phone"]
    token = api.token(Role.CARE_DIRECTOR, dealer="BJ001", subject="director.deciding")
    await api.call("GET", f"/applications/{made['id']}", token)
    await api.call("GET", "/applications", token)
    assert await _unmasked(api, "director.deciding") == [("application", {made["id"]})] * 2
