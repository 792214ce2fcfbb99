"""What requests about club events need."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from uuid import UUID

from app.core.actors import Role
from tests.asking.base import (
    REASON,
    Bodies,
    Body,
    Files,
    Fresh,
    Lists,
    Making,
    Target,
    Versions,
    World,
    post,
    send,
    serials,
)
from tests.now import NOW
from tests.shop import Shop

_HOLIDAY = {"is_day_off": True, "name_zh": "休", "name_en": "Off"}
_DRAW: Body = {"prizes": [{"prize": "茶"}], "entrants": "registered"}
_PNG: Body = {
    "content": bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000"
        "040001f61738550000000049454e44ae426082"
    ),
    "headers": {"Content-Type": "image/png"},
}
_REPORT = {"guests": 20, "summary": "顺利"}
_DEEDS: dict[str, Body] = {"decisions": {"decision": "approved"}, "report": _REPORT}
_years = count(2027)
NEW = {"registrations_change", "registrations_change_mine"}
"""What these change is made for the call."""


async def _planned(world: World, target: Target, _: Role) -> Target:
    return target._replace(event=(await post(world.shop, "/events", _event(target)))["id"])


async def _put_forward(world: World, target: Target, _: Role) -> Target:
    """A proposal that its dealer's manager, the region and headquarters have each a part of to decide on."""
    lines = [
        {"kind": "money", "payer": payer, "purpose": "餐饮", "planned": 1}
        for payer in ("hq", f"dealer:{target.dealer}")
    ]
    event = (await post(world.shop, "/events", _event(target) | {"lines": lines}))["id"]
    await post(world.shop, f"/events/{event}/proposal", {})
    return target._replace(event=event)


def _lived(*deeds: str) -> Making:
    """An event that costs nothing, as far as these steps take it; it is today's when it takes place."""

    async def make(world: World, target: Target, role: Role) -> Target:
        target = await _planned(world, target, role)
        for deed in ("proposal", "decisions", *deeds):
            if deed == "holding":
                await world.shop.pool.execute(
                    "UPDATE club_event SET starts_at = $2 WHERE id = $1", UUID(target.event), NOW
                )
            await post(world.shop, f"/events/{target.event}/{deed}", _DEEDS.get(deed, {}))
        return target

    return make


async def _begun(world: World, target: Target, role: Role) -> Target:
    target = await _lived("publication", "opening", "closing")(world, target, role)
    await world.shop.pool.execute("UPDATE club_event SET starts_at = $2 WHERE id = $1", UUID(target.event), NOW)
    return target


async def _called_off(world: World, target: Target, role: Role) -> Target:
    target = await _planned(world, target, role)
    await post(world.shop, f"/events/{target.event}/cancellation", REASON)
    return target


async def _opened_for(world: World, target: Target, role: Role) -> Target:
    """An event that a new member, who is the caller, can register for."""
    target = await _lived("publication", "opening")(world, target, role)
    return target._replace(member=await world.shop.member(dealer=target.dealer))


async def _registered(world: World, target: Target, role: Role) -> Target:
    target = await _opened_for(world, target, role)
    whom = {"member_id": str(target.member.id)}
    made = await post(world.shop, f"/events/{target.event}/registrations", whom)
    await world.shop.pool.execute("UPDATE registration SET fee_fen = 100 WHERE id = $1", UUID(made["id"]))
    return target._replace(registration=made["id"])


def _standing(status: str) -> Making:
    """A registration that waits, or has an offer, while there are seats."""

    async def make(world: World, target: Target, role: Role) -> Target:
        target = await _registered(world, target, role)
        await world.shop.pool.execute(
            "UPDATE registration SET status = $2, offered_until = $3 WHERE id = $1",
            UUID(target.registration), status, NOW + timedelta(hours=1),
        )  # fmt: skip
        return target

    return make


async def _at_the_door(world: World, target: Target, role: Role) -> Target:
    """A registration for an event that begins now."""
    target = await _registered(world, target, role)
    await world.shop.pool.execute("UPDATE club_event SET starts_at = $2 WHERE id = $1", UUID(target.event), NOW)
    listed = await send(world.shop, "GET", f"/events/{target.event}/check-in-list")
    return target._replace(offline_list=listed["token"])


async def _came(world: World, target: Target, role: Role) -> Target:
    target = await _at_the_door(world, target, role)
    made = await post(world.shop, f"/events/{target.event}/check-ins", _scan(target))
    return target._replace(check_in=made["id"])


async def _told(world: World, target: Target, _: Role) -> Target:
    """Something the member was told about an event."""
    told = """INSERT INTO event_notice (id, event_id, member_id, kind, at)
              VALUES (gen_random_uuid(), $1, $2, 'changed', $3) RETURNING id"""
    notice = await world.shop.pool.fetchval(told, UUID(target.event), target.member.id, NOW)
    return target._replace(notice=str(notice))


async def _invited(world: World, target: Target, role: Role) -> Target:
    target = await _lived("publication")(world, target, role)
    told = """INSERT INTO invitation (event_id, member_id, is_control, invited_by, invited_at)
              VALUES ($1, $2, false, 'x', $3)"""
    await world.shop.pool.execute(told, UUID(target.event), target.member.id, NOW)
    return target


async def _surveyed(world: World, target: Target, role: Role) -> Target:
    """A member who came, and said how it was."""
    target = await _came(world, target, role)
    for deed in ("closing", "holding"):
        await post(world.shop, f"/events/{target.event}/{deed}", {})
    said = "INSERT INTO survey_answer (event_id, member_id, score, answered_at) VALUES ($1, $2, 8, $3)"
    await world.shop.pool.execute(said, UUID(target.event), target.member.id, NOW)
    return target


async def _pictured(world: World, target: Target, role: Role) -> Target:
    target = await _lived("publication", "opening", "closing", "holding")(world, target, role)
    answer = await world.api.call("POST", f"/events/{target.event}/photos", world.shop.hq, **_PNG)
    assert answer.status_code == 201, answer.text
    return target._replace(photo=answer.json()["id"])


def _of_kind(kind: str, make: Making, *deeds: str) -> Making:
    """An event of a kind, on which these are done after it was made."""

    async def made(world: World, target: Target, role: Role) -> Target:
        target = await make(world, target, role)
        await world.shop.pool.execute(
            "UPDATE club_event SET kind = $2, starts_at = $3 WHERE id = $1", UUID(target.event), kind, NOW
        )
        for deed in deeds:
            await post(world.shop, f"/events/{target.event}/{deed}", _GATHERING.get(deed, lambda _: {})(target))
        return target

    return made


async def _bidding(world: World, target: Target, role: Role) -> Target:
    """A lot that the caller, if it is a member, may bid for."""
    target = await _of_kind("auction", _registered)(world, target, role)
    bidder = target.member
    if role is Role.MEMBER and target.dealer != world.own.dealer:
        bidder = world.own.member
        await post(world.shop, f"/events/{target.event}/registrations", {"member_id": str(bidder.id)})
    await world.shop.earn(bidder, 100)
    made = await post(world.shop, f"/events/{target.event}/lots", _lot(target))
    return target._replace(lot=made["id"])


async def _bid_over(world: World, target: Target, role: Role) -> Target:
    target = await _bidding(world, target, role)
    await world.shop.pool.execute("UPDATE auction_lot SET closes_at = $2 WHERE id = $1", UUID(target.lot), NOW)
    return target


async def _day_off(world: World, target: Target, _: Role) -> Target:
    await send(world.shop, "PUT", f"/holidays/days/{target.day}", _HOLIDAY)
    return target


def _lot(_: Target) -> Body:
    return {"name": "车模", "start_points": 1, "closes_at": str(NOW + timedelta(days=1))}


def _invitation(_: Target) -> Body:
    return {"filter": {"field": "name", "op": "filled"}}


def _results(target: Target) -> Body:
    return {"results": [{"member_id": str(target.member.id), "rank": 1}]}


_GATHERING: dict[str, Callable[[Target], Body]] = {"draw": lambda _: _DRAW, "results": _results}


async def _another_year(_: World, target: Target, __: Role) -> Target:
    """A year for which nothing is set."""
    return target._replace(year=str(next(_years)))


def _scan(target: Target) -> Body:
    return {"nonce": f"scan-{next(serials)}", "registration_id": target.registration}


def _event(target: Target) -> Body:
    day = NOW + timedelta(days=20)
    return {
        "dealer_code": target.dealer, "title": "采摘", "purpose": "关爱老车主", "event_class": "care",
        "kind": "fruit_picking", "place": "平谷", "starts_at": str(day), "ends_at": str(day + timedelta(hours=6)),
        "registration_opens_at": str(NOW), "registration_closes_at": str(day), "capacity": 30, "expected_guests": 25,
        "is_open": True, "year": 2026,
    }  # fmt: skip


async def belongings(shop: Shop, target: Target) -> Body:
    """A draft, and what headquarters grants the dealer's events of the year."""
    path, first = f"/event-budgets/2026/granted/{target.dealer}", {"If-Match": '"0"'}
    granted = {"money_fen": 1_000_000, "points": 1_000}
    assert (await shop.api.call("PUT", path, shop.hq, json=granted, headers=first)).status_code == 200
    return {"event": (await post(shop, "/events", _event(target)))["id"]}


FRESH: Fresh = {
    "check_ins_create": _at_the_door,
    "check_ins_offline_list": _at_the_door,
    "check_ins_undo": _came,
    "check_ins_upload": _at_the_door,
    "registrations_accept": _standing("offered"),
    "registrations_cancel": _registered,
    "registrations_change": _registered,
    "registrations_change_mine": _registered,
    "registrations_create": _opened_for,
    "registrations_get": _registered,
    "registrations_list": _registered,
    "registrations_mine": _registered,
    "registrations_pay": _registered,
    "registrations_promote": _standing("waiting"),
    "registrations_register": _opened_for,
    "registrations_seats": _registered,
    "registrations_ticket": _registered,
    "registrations_ticket_code": _registered,
    "registrations_why": _registered,
    "registrations_why_mine": _registered,
    "registrations_withdraw": _registered,
    "event_budgets_grant": _another_year,
    "event_costs_note": _called_off,
    "event_budgets_own": _another_year,
    "event_draws_draw": _of_kind("draw", _registered, "draw", "closing", "holding"),
    "event_draws_get": _of_kind("draw", _lived("publication"), "draw"),
    "event_draws_prepare": _of_kind("draw", _lived("publication")),
    "event_invitations_preview": _lived("publication"),
    "event_invitations_send": _lived("publication"),
    "event_lots_bids": _bidding,
    "event_lots_close": _bid_over,
    "event_lots_offer": _of_kind("auction", _lived("publication")),
    "event_photos_add": _lived("publication", "opening", "closing", "holding"),
    "event_photos_get": _pictured,
    "event_photos_remove": _pictured,
    "event_results_give": _of_kind("contest", _registered, "closing", "holding"),
    "holidays_drop": _day_off,
    "my_bids_make": _bidding,
    "my_draws_get": _of_kind("draw", _lived("publication"), "draw"),
    "my_events_calendar_file": _lived("publication"),
    "my_coming_events_get": _lived("publication"),
    "my_invitations_answer": _invited,
    "my_lots_list": _bidding,
    "my_results_get": _of_kind("contest", _registered, "closing", "holding", "results"),
    "my_surveys_get": _surveyed,
    "my_surveys_give": _surveyed,
    "event_notices_read": _told,
    "event_reports_file": _lived("publication", "opening", "closing", "holding"),
    "event_reports_get": _lived("publication", "opening", "closing", "holding", "report"),
    "event_reports_return": _lived("publication", "opening", "closing", "holding", "report"),
    "event_reports_settle": _lived("publication", "opening", "closing", "holding", "report"),
    "events_cancel": _planned,
    "events_close": _lived("publication", "opening"),
    "events_decide": _put_forward,
    "events_hold": _begun,
    "events_open": _lived("publication"),
    "events_propose": _planned,
    "events_publish": _lived(),
}

BODIES: Bodies = {
    "event_budgets_grant": lambda _: {"money_fen": 1, "points": 1},
    "event_draws_draw": lambda _: {"public_value": "1"},
    "event_draws_prepare": lambda _: _DRAW,
    "event_invitations_preview": _invitation,
    "event_invitations_send": _invitation,
    "event_lots_offer": _lot,
    "event_results_give": _results,
    "holidays_set": lambda _: _HOLIDAY,
    "my_bids_make": lambda _: {"points": 1},
    "my_invitations_answer": lambda _: {"answer": "yes"},
    "my_surveys_give": lambda _: {"score": 9},
    "event_budgets_own": lambda _: {"money_fen": 1, "points": 1},
    "event_reports_file": lambda _: _REPORT,
    "event_reports_return": lambda _: REASON,
    "check_ins_create": _scan,
    "check_ins_undo": lambda _: REASON,
    "check_ins_upload": lambda target: {
        "token": target.offline_list, "device": "pad", "scans": [_scan(target) | {"at": str(NOW)}],
    },
    "registrations_create": lambda target: {"member_id": str(target.member.id)},
    "registrations_change": lambda _: {"companions": []},
    "registrations_change_mine": lambda _: {"companions": []},
    "registrations_pay": lambda _: {"reference": "1"},
    "registrations_promote": lambda _: REASON,
    "registrations_register": lambda target: {"event_id": target.event},
    "events_cancel": lambda _: REASON,
    "events_create": _event,
    "events_decide": lambda _: {"decision": "refused"} | REASON,
    "events_update": lambda _: {"place": "顺义"},
}  # fmt: skip

VERSIONS: Versions = {
    "events_update": "/events/{event_id}",
}

LISTS: Lists = {
    "event_budgets_list": lambda target: f'"dealer_code":"{target.dealer}"',
    "events_list": lambda target: target.event,
    "registrations_list": lambda target: target.registration,
}

FILES: Files = {"event_photos_add": _PNG}
