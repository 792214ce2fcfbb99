"""Referral successes by month, region, dealer and consultant, as far as one reaches."""

import json
from datetime import date

import pytest

from app.core.actors import Role
from app.referrals import figures
from tests.command import Command
from tests.referrals.conftest import Desk
from tests.shop import pointers

NONE = {"cumulative": 0, "month": 0}


@pytest.fixture(scope="module")
async def sold(desk: Desk) -> Desk:
    """Three by Li and one by Wang at BJ001, of which one was cancelled; one at SH001."""
    member = await desk.shop.member()
    for token, dealer, day, is_cancelled in (
        (desk.li, "BJ001", "2026-11-21", False),
        (desk.li, "BJ001", "2026-11-21", False),
        (desk.li, "BJ001", "2026-11-21", True),
        (desk.wang, "BJ001", "2026-11-21", False),
        (desk.foreign, "SH001", "2026-11-21", False),
    ):
        made = await desk.registered(member, token, dealer_code=dealer)
        delivery = await desk.deliver(made["buyer_phone"], dealer_code=dealer, delivered_on=day)
        if is_cancelled:
            path = f"/deliveries/{delivery['id']}/cancellation"
            assert (await desk.shop.post(path, {"reason": "退车"}, desk.shop.hq))[0] == 200
    return desk


async def test_the_country_and_its_regions(sold: Desk):
    status, report = await sold.shop.get("/reports/referrals", sold.shop.hq, month="2026-11")
    assert (status, report["month"], report["national"]) == (200, "2026-11", {"cumulative": 4, "month": 4})
    assert report["regions"] == {"BJ": {"cumulative": 3, "month": 3}, "SH": {"cumulative": 1, "month": 1}}
    # without a month it is the last one that is over
    before = (await sold.shop.get("/reports/referrals", sold.shop.hq))[1]
    assert (before["month"], before["national"], before["regions"]["BJ"]) == ("2026-10", NONE, NONE)
    ahead = await sold.shop.get("/reports/referrals", sold.shop.hq, month="2026-12")
    assert pointers(ahead[1]) == [("/query/month", "date_in_future")]


async def test_later_months_keep_what_was_before(sold: Desk):
    december = date(2026, 12, 1)
    report = figures.network(await figures.counted(sold.shop.pool, december), december, None)
    assert report.model_dump(include={"national"}) == {"national": {"cumulative": 4, "month": 0}}


async def test_down_to_the_consultant(sold: Desk):
    month = {"month": "2026-11"}
    status, region = await sold.shop.get("/reports/referrals/regions/BJ", sold.shop.hq, **month)
    assert (status, region["figures"]) == (200, {"cumulative": 3, "month": 3})
    assert region["dealers"] == {"BJ001": {"cumulative": 3, "month": 3}, "BJ002": NONE}
    status, dealer = await sold.shop.get("/reports/referrals/dealers/BJ001", sold.shop.director, **month)
    assert status == 200
    assert dealer["consultants"] == [
        {"consultant": "li", "cumulative": 2, "month": 2},
        {"consultant": "wang", "cumulative": 1, "month": 1},
    ]


async def test_each_sees_as_far_as_they_reach(sold: Desk):
    token, month = sold.shop.api.token, {"month": "2026-11"}
    region, director = token(Role.REGIONAL_MANAGER, region="BJ"), sold.shop.director
    seen = (await sold.shop.get("/reports/referrals", region, **month))[1]
    assert (seen["national"], list(seen["regions"])) == (None, ["BJ"])
    seen = (await sold.shop.get("/reports/referrals", director, **month))[1]
    assert (seen["national"], seen["regions"]) == (None, {})
    seen = (await sold.shop.get("/reports/referrals/regions/BJ", director, **month))[1]
    assert (seen["figures"], list(seen["dealers"])) == (None, ["BJ001"])
    for reader in (region, director):
        assert (await sold.shop.get("/reports/referrals/regions/SH", reader, **month))[0] == 404
        assert (await sold.shop.get("/reports/referrals/dealers/SH001", reader, **month))[0] == 404
    assert (await sold.shop.get("/reports/referrals/regions/XX", sold.shop.hq, **month))[0] == 404
    assert (await sold.shop.get("/reports/referrals", sold.li))[0] == 403


def test_on_the_command_line(sold: Desk, command: Command):
    result = command("report", "referrals", "--month", "2026-11", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "national": {"cumulative": 4, "month": 4},
        "regions": {"BJ": {"cumulative": 3, "month": 3}, "SH": {"cumulative": 1, "month": 1}},
    }
    assert "national" in command("report", "referrals", "--month", "2026-11").stdout
