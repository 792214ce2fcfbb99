"""What drafts are tried on beside orders: under the rules in force, a draft gives what happened, event for event."""

from typing import Any

import pytest

from app.core.actors import Role
from app.earning.triggers import Trigger
from tests.earning.writing import OWN, Body, definition, published
from tests.events.desk import Desk as EventsDesk
from tests.events.guests import DURING, Guests
from tests.referrals.conftest import Desk, buyer
from tests.shop import Person, Shop

DELIVERED = {"fields": {"model": "Sedan"}, "on": "2026-11-21", "points": 9}
SUCCESS = {"fields": {"party": "referrer", "successes": 2}, "on": "2026-11-21", "points": 2_000}
CAME = {"fields": {"code": "x", "companions": 2}, "on": "2026-12-12", "points": 12}
REPURCHASE = {"fields": {"cars_before": 2}, "on": "2026-11-21", "points": 600}
TRADED_IN = {"fields": {"old_model": "Coupe"}, "on": "2026-11-21", "points": 70}
RULES: dict[Trigger, Body] = {
    trigger: definition(trigger=trigger, amount=amount, examples=[example])
    for trigger, amount, example in (
        (Trigger.VEHICLE_DELIVERED, 'event.model == "Sedan" ? 9 : 0', DELIVERED),
        (Trigger.REPURCHASE, "event.cars_before * 300", REPURCHASE),
        (Trigger.TRADE_IN, 'event.old_model == "Coupe" ? 70 : 1', TRADED_IN),
        (Trigger.REFERRAL_SUCCESS, 'event.party == "referrer" ? 1000 * event.successes : 800', SUCCESS),
        (Trigger.EVENT_ATTENDED, "10 + event.companions", CAME),
    )
}


@pytest.fixture(scope="module")
async def happened(shop: Shop) -> None:
    """Two referred buyers (one a member of two cars, one of them given up), and a party of three at an event."""
    for rule in RULES.values():
        await published(shop, shop.hq, **rule)
    desk, referrer, owner = Desk(shop), await shop.member(), await owner_of_two(shop)
    stranger = buyer()
    for phone in (owner.phone, stranger["buyer_phone"]):
        made = await desk.registered(referrer, **buyer(buyer_phone=phone))
        await desk.deliver(phone)
        assert (await desk.read(made))["status"] == "delivered"
    assert (await shop.wallet(referrer))[0] == 3_000
    assert (await shop.wallet(owner))[0] == 9 + 600 + 70 + 800
    events = EventsDesk(shop)
    guests = Guests(events)
    event = await events.opened()
    _, seat = await guests.seated(event, 3)
    await events.done(event, "closing")
    async with shop.at(DURING):
        status, first = await guests.scan(event, shop.director, registration_id=seat["id"])
        assert (status, first["points"]) == (201, 12)


async def owner_of_two(shop: Shop) -> Person:
    """A member who had two cars for long, and gave the second up yesterday."""
    owner, other = await shop.member(), await shop.member()
    await shop.pool.execute("UPDATE vehicle SET model = 'Coupe' WHERE vin = $1", other.vin)
    await shop.pool.execute(
        """UPDATE ownership SET member_id = $1, since = '2024-01-01',
                  until = CASE WHEN vin = $2 THEN '2026-11-20'::date END WHERE vin = ANY ($3)""",
        owner.id, other.vin, [owner.vin, other.vin],
    )  # fmt: skip
    return owner


async def tried(shop: Shop, month: str, **fields: Any) -> Body:
    drafts = [{"code": f"draft-{trigger.replace('_', '-')}", "definition": RULES[trigger]} for trigger in RULES]
    body = {"month": month, "rules": drafts} | fields
    status, found = await shop.post("/rules/what-if", body, shop.hq)
    assert (status, found["not_tried"]) == (200, []), found
    return dict(found)


@pytest.mark.parametrize(
    ("month", "events", "points"), [("2026-11", 6, 3_000 + 9 + 600 + 70 + 800), ("2026-12", 1, 12)]
)
@pytest.mark.usefixtures("happened")
async def test_the_rules_in_force_give_what_happened(shop: Shop, month: str, events: int, points: int):
    found = await tried(shop, month)
    assert (found["events"], found["waiting"]) == (events, {})
    assert found["draft"]["points"] == found["happened"]["points"] == points
    assert [(row["place"], row["draft"], row["happened"]) for row in found["rows"]] == [
        ("BJ001", found["draft"], found["happened"])
    ]


@pytest.mark.usefixtures("happened")
async def test_another_draft_gives_otherwise_beside_what_happened(shop: Shop):
    rule = RULES[Trigger.REFERRAL_SUCCESS] | {"amount": 'event.party == "referrer" ? 700 : 0', "examples": []}
    found = await tried(shop, "2026-11", rules=[{"code": "flat", "definition": rule}])
    assert (found["events"], found["draft"]["points"], found["happened"]["points"]) == (3, 1_400, 3_800)


@pytest.mark.usefixtures("happened")
async def test_a_chapter_tries_its_own_on_its_referrals(shop: Shop):
    """The director reads no foreign member, and the referrals count whole all the same."""
    extra = definition(trigger=Trigger.REFERRAL_SUCCESS, amount="10", funders=[OWN], examples=[])
    body = {"month": "2026-11", "rules": [{"code": "extra", "definition": extra}]}
    status, found = await shop.post("/rules/what-if", body, shop.director)
    assert status == 200, found
    given = {row["funder"]: (row["draft"]["points"], row["happened"]["points"]) for row in found["rows"]}
    assert given == {"BJ001": (30, 0), "HQ": (3_800, 3_800)}
    foreign = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    status, found = await shop.post("/rules/what-if", body, foreign)
    assert (status, found["events"], found["rows"]) == (200, 0, [])


@pytest.mark.usefixtures("happened")
async def test_what_programs_bring_is_not_kept_and_so_not_tried(shop: Shop):
    drafts = [
        {"code": f"draft-{number}", "definition": definition(trigger=trigger, amount="5", examples=[])}
        for number, trigger in enumerate(Trigger)
    ]
    status, found = await shop.post("/rules/what-if", {"month": "2026-11", "rules": drafts}, shop.hq)
    assert (status, found["not_tried"]) == (
        200, ["community_activity", "custom", "profile_completed", "survey_answered"],
    )  # fmt: skip
