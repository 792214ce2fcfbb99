"""Refusals are recorded although what was refused is rolled back, and a flood of them fills nothing."""

import logging
from datetime import timedelta
from uuid import uuid4

import pytest

from app.audit.refusals import Allowance
from app.core.actors import Role
from tests.api import Api
from tests.audit.trail import deeds
from tests.now import NOW
from tests.shop import Shop


async def test_a_role_oversteps(api: Api, shop: Shop):
    clerk = api.token(Role.FINANCE_CLERK, dealer="BJ001", subject="clerk.oversteps")
    member = await shop.member()
    assert (await api.call("GET", f"/members/{member.id}", clerk)).status_code == 403
    (refused,) = await deeds(api, actor="clerk.oversteps")
    # nobody's: who was refused is not yet acting, and is known all the same
    assert (refused["action"], refused["outcome"], refused["operation"]) == ("refused", "forbidden", "members_get")
    assert (refused["reach"], refused["target_kind"], refused["target_ids"]) == (
        "dealer:BJ001", "path", [str(member.id)],
    )  # fmt: skip


async def test_a_foreign_member(api: Api, shop: Shop):
    director = api.token(Role.CARE_DIRECTOR, dealer="SH001", subject="director.curious")
    member = await shop.member()
    assert (await api.call("GET", f"/members/{member.id}", director)).status_code == 404
    assert (await api.call("GET", f"/members/{member.id}/points", director)).status_code == 404
    points, whole = await deeds(api, actor="director.curious", outcome="not-found")
    assert (whole["operation"], points["operation"]) == ("members_get", "members_points")
    assert member.id.hex in points["target_ids"][0].replace("-", "")


async def test_headquarters_finds_nothing_foreign(api: Api, shop: Shop):
    hq = api.token(Role.HQ_OPERATIONS, subject="hq.searching")
    assert (await api.call("GET", f"/members/{uuid4()}", hq)).status_code == 404
    assert await deeds(api, actor="hq.searching") == []


async def test_a_bad_token_and_none(api: Api):
    before = len(await deeds(api, outcome="unauthenticated"))
    assert (await api.call("GET", "/me")).status_code == 401
    assert len(await deeds(api, outcome="unauthenticated")) == before
    assert (await api.call("GET", "/me", "not.a.token")).status_code == 401
    refused, *others = await deeds(api, outcome="unauthenticated")
    assert (len(others), refused["actor"], refused["address"], refused["operation"]) == (
        before, None, "127.0.0.1", "identity_me",
    )  # fmt: skip


async def test_a_refusal_for_the_business_is_none(api: Api, shop: Shop):
    member = await shop.member()
    status, _ = await shop.redeem(member, 10, shop.advisor, code=await shop.code(member))
    assert status == 409
    assert await deeds(api, outcome="insufficient-points") == []


async def test_what_a_path_says_is_tamed(api: Api):
    token = api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject="advisor.odd")
    assert (await api.call("GET", f"/repair-orders/BJ002/{'x' * 300}%00", token)).status_code in {404, 422}
    for refused in await deeds(api, actor="advisor.odd"):
        assert all(len(target) <= 100 for target in refused["target_ids"])


async def test_a_flood_is_cut_off(api: Api, caplog: pytest.LogCaptureFixture):
    token = api.token(Role.FINANCE_CLERK, dealer="BJ001", subject="clerk.flooding")
    for _ in range(65):
        assert (await api.call("GET", "/audit-events", token)).status_code == 403
    assert len(await deeds(api, actor="clerk.flooding", limit=200)) == 60
    api.app.state.now = NOW + timedelta(minutes=1)
    with caplog.at_level(logging.WARNING, "club.audit"):
        assert (await api.call("GET", "/audit-events", token)).status_code == 403
    api.app.state.now = NOW
    assert "5 refusals" in caplog.text
    assert len(await deeds(api, actor="clerk.flooding", limit=200)) == 61


async def test_nobodys_flood_hides_no_one_with_a_name(api: Api, monkeypatch: pytest.MonkeyPatch):
    refusals = api.app.state.refusals
    monkeypatch.setattr(refusals, "_of_nobody", Allowance(together=3))
    count = len(await deeds(api, outcome="unauthenticated", limit=200))
    for _ in range(6):
        assert (await api.call("GET", "/me", "not.a.token")).status_code == 401
    assert len(await deeds(api, outcome="unauthenticated", limit=200)) == count + 3
    clerk = api.token(Role.FINANCE_CLERK, dealer="BJ001", subject="clerk.in.the.noise")
    assert (await api.call("GET", "/audit-events", clerk)).status_code == 403
    assert len(await deeds(api, actor="clerk.in.the.noise")) == 1
    # nor the reverse
    monkeypatch.setattr(refusals, "_of_known", Allowance(together=0))
    monkeypatch.setattr(refusals, "_of_nobody", Allowance())
    assert (await api.call("GET", "/me", "not.a.token")).status_code == 401
    assert len(await deeds(api, outcome="unauthenticated", limit=200)) == count + 4


def test_the_allowance_is_everybodys_own_and_of_all_together():
    allowance = Allowance(each=2, together=3)
    callers = ["a", "a", "a", "b", "b", "c"]
    assert [allowance.has_room(caller, NOW) for caller in callers] == [True, True, False, True, False, False]
    assert allowance.has_room("a", NOW + timedelta(minutes=1))
