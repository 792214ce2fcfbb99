"""When an event of a program happened: an instant with its offset, whose date in China is the business date."""

from datetime import timedelta

import pytest

from tests.earning.telling import answered, cases, survey_rule, tell
from tests.now import NOW
from tests.shop import Shop, pointers


@pytest.mark.parametrize(
    ("at", "points", "booked_on"),
    [
        ("2026-10-31T23:59:59+08:00", 0, None),
        ("2026-10-31T16:00:00Z", 50, "2026-11-01"),
        ("2026-11-01T01:30:00+09:00", 50, "2026-11-01"),
        ("2026-11-20T10:00:00-08:00", 50, "2026-11-21"),
        (NOW.isoformat(), 50, "2026-11-21"),
        (None, 50, "2026-11-21"),
    ],
)
async def test_the_day_is_chinas(shop: Shop, at: str | None, points: int, booked_on: str | None):
    """The rule holds from 1 November on."""
    rule, member = await survey_rule(shop), await shop.member()
    told = await tell(shop, answered(rule, member, occurred_at=at))
    assert told["points"] == points
    assert [lot["spendable_from"] for lot in told["lots"]] == ([booked_on] if booked_on else [])
    days = await shop.pool.fetch("SELECT booked_on::text FROM award WHERE member_id = $1", member.id)
    assert [day for (day,) in days] == ([booked_on] if booked_on else [])


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2026-11-21T10:00:00", "timezone_aware"),
        ("2026-11-21T10:00:01+08:00", "time_in_future"),
        ("2026-11-22T00:00:00+08:00", "time_in_future"),
        ("2026-11-21", "datetime_parsing"),
        (1_700_000_000, "datetime_type"),
        ("1999-12-31T00:00:00Z", "greater_than_equal"),
    ],
)
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
async def test_a_moment_that_cannot_be(shop: Shop, at: object, code: str, query: str):
    """Also where a person would have to decide first, so that nothing of it is posted yet."""
    rule, member = await survey_rule(shop, hold_for_review="true"), await shop.member()
    event = answered(rule, member, occurred_at=at)
    status, answer = await shop.post(f"/points/earnings{query}", event, shop.program)
    assert (status, pointers(answer)) == (422, [("/occurred_at", code)])
    assert await cases(shop, member) == []


async def test_a_date_alone_is_no_moment(shop: Shop):
    rule, member = await survey_rule(shop), await shop.member()
    event = answered(rule, member, occurred_on="2026-11-20")
    status, answer = await shop.post("/points/earnings", event, shop.program)
    assert (status, pointers(answer)) == (422, [("/occurred_on", "extra_forbidden")])


@pytest.mark.parametrize("held", [False, True])
async def test_a_retry_after_midnight_is_the_same_event(shop: Shop, held: bool):
    """The day that the caller left out is that of the first time, though the rule asks for it."""
    changes = {"hold_for_review": "true"} if held else {}
    rule, member = await survey_rule(shop, amount="event.score * 10 + on.day - 21", **changes), await shop.member()
    event = answered(rule, member)
    first = await tell(shop, event)
    async with shop.at(NOW + timedelta(days=1)):
        again = await tell(shop, event)
        assert (again["replayed"], again["points"], again["cases"]) == (True, first["points"], first["cases"])
        moved = event | {"occurred_at": (NOW + timedelta(days=1)).isoformat()}
        status, answer = await shop.post("/points/earnings", moved, shop.program)
        # what is held has no inputs on record yet: the first answer stands
        assert status == (201 if held else 409), answer
    assert await shop.wallet(member) == ((0 if held else 50), 0, 0, 0)
