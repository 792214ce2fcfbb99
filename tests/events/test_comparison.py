"""Workshop visits of those who came beside like members who did not, and what an event cost a head."""

from datetime import timedelta

import pytest

from app.core.db import new_id
from app.events.comparison import DAYS
from app.events.gathering_rules import Mean, Visits, matched, per_head
from tests.events.after import After
from tests.events.desk import DAY, line


def invited(came: bool, *, before: int = 0, fen: int = 0, after: int = 0, dealer: str = "BJ001") -> Visits:
    return Visits(new_id(), came, dealer, before, fen, after, after * 100)


def test_like_is_matched_with_like() -> None:
    keen, rare = invited(True, before=5, fen=90_000, after=2), invited(True, before=1, fen=100)
    near, far = invited(False, before=1, fen=150), invited(False, before=1, fen=9_000)
    many, elsewhere = invited(False, before=3, fen=1), invited(False, before=1, fen=100, dealer="SH001")
    pairs = matched([keen, rare, near, far, many, elsewhere])
    assert {(pair.came, pair.absent) for pair in pairs} == {(keen, many), (rare, near)}


def test_nobody_is_matched_twice_and_who_has_no_counterpart_is_left_out() -> None:
    came = [invited(True, before=2, fen=fen) for fen in (10, 20, 30)]
    absent = [invited(False, before=2, fen=fen) for fen in (29, 11)]
    pairs = matched([*came, *absent])
    assert [(pair.came.before_fen, pair.absent.before_fen) for pair in pairs] == [(10, 11), (20, 29)]
    assert matched([invited(True, before=1), invited(False, before=2)]) == []


def test_sums_of_a_group() -> None:
    assert Mean.of([invited(True, after=2), invited(True), invited(True, after=1)]) == Mean(3, 2, 3, 300)


@pytest.mark.parametrize(("fen", "heads", "each"), [(100, 3, 33), (5, 2, 2), (7, 2, 4), (0, 4, 0), (10, 0, None)])
def test_a_head_costs_whole_fen_half_even(fen: int, heads: int, each: int | None) -> None:
    assert per_head(fen, heads) == each


async def test_an_event_is_compared_over_ninety_days(after: After) -> None:
    desk = after.desk
    came, absent, control = [await after.agreeing(name=name) for name in ("章一", "章一", "章二")]
    event = await desk.opened()
    for name in ("章一", "章二"):
        await after.invite(event, filter={"field": "name", "op": "is", "value": name})
    async with desk.shop.api.db.transaction() as connection:
        await connection.execute("SELECT set_config('club.reach', 'all', true)")
        await connection.execute("UPDATE invitation SET is_control = true WHERE member_id = $1", control.id)
    await after.held(event)
    await after.comes(event, came)
    for member in (came, absent):
        await after.drives_in(member, -20)
    await after.drives_in(came, 5, 30_000)
    await after.drives_in(came, 80)
    await after.drives_in(came, DAYS + 1)
    await after.drives_in(control, 3)
    path = f"/events/{event['id']}/comparison"
    async with desk.at(DAY + timedelta(days=DAYS)):
        assert (await desk.shop.get(path, desk.director))[1]["is_complete"] is False
    async with desk.at(DAY + timedelta(days=DAYS + 2)):
        status, found = await desk.shop.get(path, desk.director)
        assert (status, found) == (200, {
            "days": 90, "until": "2027-03-12", "is_complete": True, "unmatched": 0,
            "came": {"members": 1, "visitors": 1, "visits": 2, "paid_fen": 40_000},
            "absent": {"members": 1, "visitors": 0, "visits": 0, "paid_fen": 0},
            "invited": {"members": 2, "visitors": 1, "visits": 2, "paid_fen": 40_000},
            "control": {"members": 1, "visitors": 1, "visits": 1, "paid_fen": 10_000},
        })  # fmt: skip
        assert (await desk.shop.get(path, desk.foreign_director))[0] == 404


async def test_what_an_event_cost_a_head(after: After) -> None:
    desk = after.desk
    event = await desk.opened(lines=[line("hq", 10_000), line("hq", 100, "points")])
    member, _ = await after.guests.seated(event, party=3)
    await after.guests.seated(event)
    await after.held(event)
    await after.comes(event, member)
    wanted = {
        "registered": 2, "attended": 1, "no_shows": 1, "persons": 3, "cost_fen": 10_000, "is_reported": False,
        "cost_per_person_fen": 3_333, "points_awarded": 0,
    }  # fmt: skip
    assert await after.get(event, "outcome") == (200, wanted)
    costs = [{"line_id": one["id"], "actual": 9_000 if one["kind"] == "money" else 0} for one in event["lines"]]
    async with desk.at(DAY + timedelta(days=1)):
        await desk.done(event, "report", guests=3, summary="顺利", costs=costs)
    spent = {"cost_fen": 9_000, "is_reported": True, "cost_per_person_fen": 3_000}
    assert await after.get(event, "outcome", desk.hq) == (200, wanted | spent)
    assert (await after.get(event, "outcome", desk.foreign_director))[0] == 404
