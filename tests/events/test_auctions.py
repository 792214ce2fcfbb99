"""Auctions for points: the best bid is held, the outbid are free again, the winner pays, and races."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, select
from sqlmodel import col

from app.events import auctions
from app.events.contest_models import AuctionLot
from tests.events.after import After
from tests.events.desk import DAY, Body, faults
from tests.events.guests import disagreeing
from tests.now import NOW
from tests.shop import Answer, Person

CLOSES = NOW + timedelta(days=1)


async def lot(after: After, event: Body, **fields: Any) -> Body:
    """Something to be had from 100 points, in steps of 10."""
    body: Body = {"name": "车模", "start_points": 100, "step_points": 10, "closes_at": str(CLOSES)} | fields
    return await after.desk.done(event, "lots", **body)


async def auction(after: After) -> Body:
    """An auction that members register for."""
    return await after.desk.opened(kind="auction", capacity=100)


async def bidder(after: After, event: Body, points: int = 500) -> Person:
    return (await after.guests.seated(event, points=points))[0]


async def bid(after: After, one: Body, member: Person, points: int) -> Answer:
    return await after.desk.shop.post(
        f"/members/me/auction-lots/{one['id']}/bids", {"points": points}, after.desk.of(member)
    )


async def standing(after: After, event: Body, member: Person) -> Body:
    """How the bidding on the event's first lot stands, as a member sees it."""
    return dict(
        (await after.desk.shop.get(f"/members/me/events/{event['id']}/lots", after.desk.of(member)))[1]["items"][0]
    )


async def held(after: After, member: Person) -> tuple[int, int]:
    """A member's available and held points."""
    available, _, points, _ = await after.desk.shop.wallet(member)
    return available, points


async def test_who_is_outbid_has_the_points_back_and_the_winner_pays(after: After, dsn: str) -> None:
    event = await auction(after)
    one = await lot(after, event)
    first, second = await bidder(after, event), await bidder(after, event)
    status, answer = await bid(after, one, first, 99)
    assert (status, answer["type"], answer["least"]) == (409, "/problems/bid-too-low", 100)
    assert (await bid(after, one, first, 100))[1]["status"] == "leading"
    assert await held(after, first) == (400, 100)
    assert (await bid(after, one, second, 109))[1]["least"] == 110
    assert (await bid(after, one, second, 300))[0] == 201
    assert (await held(after, first), await held(after, second)) == ((500, 0), (200, 300))
    # the same member may go on, with all its points
    assert (await bid(after, one, second, 500))[0] == 201
    assert await held(after, second) == (0, 500)
    assert await disagreeing(dsn) == {}
    status, answer = await after.desk.do(event, f"lots/{one['id']}/closing")
    assert (status, answer["type"]) == (409, "/problems/lot-still-open")
    async with after.desk.at(CLOSES):
        status, answer = await bid(after, one, first, 510)
        assert (status, answer["type"]) == (409, "/problems/lot-closed")
        status, sold = await after.desk.do(event, f"lots/{one['id']}/closing")
        assert (status, sold["status"], sold["best_points"]) == (200, "sold", 500)
        status, answer = await after.desk.do(event, f"lots/{one['id']}/closing")
        assert (status, answer["type"]) == (409, "/problems/wrong-status")
    assert await held(after, second) == (0, 0)
    bids = (await after.get(event, f"lots/{one['id']}/bids"))[1]["items"]
    assert [(entry["points"], entry["status"]) for entry in bids] == [(500, "won"), (300, "outbid"), (100, "outbid")]
    told = [entry["kind"] for entry in (await after.desk.shop.get(
        "/members/me/event-notices", after.desk.of(first)
    ))[1]["items"]]  # fmt: skip
    assert told == ["outbid"]
    assert await disagreeing(dsn) == {}


async def test_the_clock_sells_too_and_what_nobody_wants_stays(after: After) -> None:
    event = await auction(after)
    wanted, unwanted = await lot(after, event), await lot(after, event, name="抱枕", closes_at=str(DAY))
    member = await bidder(after, event)
    assert (await bid(after, wanted, member, 120))[0] == 201
    await auctions.close_due(after.desk.shop.api.db, now=CLOSES)
    assert (await standing(after, event, member))["status"] == "sold"
    assert await auctions.close_due(after.desk.shop.api.db, now=DAY) == 1
    lots = {entry["id"]: entry["status"] for entry in (await after.get(event, "lots"))[1]["items"]}
    assert lots == {wanted["id"]: "sold", unwanted["id"]: "unsold"}
    assert await held(after, member) == (380, 0)


async def test_what_is_refused(after: After) -> None:
    desk, event = after.desk, await auction(after)
    one = await lot(after, event)
    outsider = await after.guests.member(points=500)
    status, answer = await bid(after, one, outsider, 100)
    assert (status, answer["type"]) == (409, "/problems/not-taking-part")
    poor = await bidder(after, event, points=50)
    status, answer = await bid(after, one, poor, 100)
    assert (status, answer["type"], answer["available"]) == (409, "/problems/insufficient-points", 50)
    assert (await standing(after, event, poor))["best_points"] is None
    assert (await bid(after, {"id": event["id"]}, poor, 100))[0] == 404
    status, answer = await desk.do(
        event, "lots", name="x", start_points=1, closes_at=str(NOW - timedelta(hours=1))
    )  # fmt: skip
    assert (status, faults(answer)) == (422, {"/closes_at": "time_in_past"})
    assert (await desk.do(event, "lots", desk.foreign_director, name="x", start_points=1, closes_at=str(DAY)))[0] == 404
    status, answer = await desk.do(await desk.opened(), "lots", name="x", start_points=1, closes_at=str(DAY))
    assert (status, answer["type"]) == (409, "/problems/wrong-event-kind")
    assert (await after.get(event, f"lots/{one['id']}/bids", desk.foreign_director))[0] == 404


async def test_an_event_that_is_called_off_frees_what_was_bid(after: After, dsn: str) -> None:
    event = await auction(after)
    one = await lot(after, event)
    member = await bidder(after, event)
    assert (await bid(after, one, member, 200))[0] == 201
    await after.desk.done(event, "cancellation", reason="场地停电")
    assert await held(after, member) == (500, 0)
    assert (await after.get(event, "lots"))[1]["items"][0]["status"] == "cancelled"
    status, answer = await bid(after, one, member, 300)
    assert (status, answer["type"]) == (409, "/problems/lot-closed")
    assert await disagreeing(dsn) == {}


def _unlocked(lot_id: UUID) -> Select[AuctionLot]:
    return select(AuctionLot).where(col(AuctionLot.id) == lot_id)


@pytest.mark.parametrize("locked", [True, False])
async def test_twelve_bid_the_same_at_once(
    after: After, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    event = await auction(after)
    one = await lot(after, event)
    members = [await bidder(after, event, points=200) for _ in range(12)]
    if not locked:
        monkeypatch.setattr(auctions, "_for_bids", _unlocked)
    answers = await asyncio.gather(*(bid(after, one, member, 150) for member in members))
    statuses = Counter(status for status, _ in answers)
    if not locked:
        assert statuses != {201: 1, 409: 11}
        return
    assert statuses == {201: 1, 409: 11}
    assert [sum(points) for points in zip(*[await held(after, member) for member in members], strict=True)] == [
        12 * 200 - 150, 150,
    ]  # fmt: skip
    assert await disagreeing(dsn) == {}


async def test_two_who_outbid_each_other_on_two_lots_do_not_wait_for_one_another(after: After, dsn: str) -> None:
    event = await auction(after)
    lots = [await lot(after, event, name=name) for name in ("车模", "茶具")]
    pair = [await bidder(after, event, points=20_000) for _ in range(2)]
    for points in range(100, 600, 20):
        answers = await asyncio.gather(
            bid(after, lots[0], pair[0], points), bid(after, lots[1], pair[1], points),
            bid(after, lots[0], pair[1], points + 10), bid(after, lots[1], pair[0], points + 10),
        )  # fmt: skip
        assert {status for status, _ in answers} <= {201, 409}
    assert await disagreeing(dsn) == {}
