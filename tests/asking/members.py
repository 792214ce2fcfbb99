"""What requests about members, their cars, households, transfers and segments need."""

from app.core.actors import Role
from app.members import duplicates, imports
from tests.asking.base import REASON, Bodies, Body, Files, Fresh, Lists, Target, Versions, World, post, serials
from tests.identity.staff import hire
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop

_FILTER = {"field": "status", "op": "is", "value": "active"}
_NOTE = {"text": "爱喝茶"}
_COMPANION = {"relation": "spouse"}


async def _free_car_claimed(shop: Shop, member: Person) -> str:
    token = shop.api.token(Role.MEMBER, member=member.id)
    return str((await post(shop, "/vehicle-claims", _claim(car(next(serials))), token))["id"])


async def new_member(world: World, target: Target, role: Role) -> Target:
    member = await world.shop.member(dealer=target.dealer, points=100)
    return target._replace(member=member, code=await world.shop.code(member) if role.is_dealer_staff else "")


async def _applied(world: World, target: Target, _: Role) -> Target:
    applied = await post(world.shop, "/applications", person() | {"dealer_code": target.dealer})
    return target._replace(application=applied["id"])


async def _saved(world: World, target: Target, _: Role) -> Target:
    segment = await post(world.shop, "/segments", _segment(target))
    return target._replace(segment=segment["id"])


async def _twice(world: World, target: Target, _: Role) -> Target:
    """Two members of the target's dealer."""
    member, other = [await world.shop.member(dealer=target.dealer) for _ in range(2)]
    return target._replace(member=member, other=str(other.id))


async def _merged(world: World, target: Target, role: Role) -> Target:
    target = await _twice(world, target, role)
    made = await post(world.shop, "/members/merges", _merge(target))
    return target._replace(merge=made["id"])


async def _claimed(world: World, target: Target, _: Role) -> Target:
    """Another member claims the car of a member who is the caller."""
    member, other = [await world.shop.member(dealer=target.dealer) for _ in range(2)]
    claim = await post(world.shop, "/vehicle-claims", _claim(member.vin) | {"member_id": str(other.id)})
    return target._replace(member=member, claim=claim["id"])


async def _claiming(world: World, target: Target, _: Role) -> Target:
    """A member who is the caller claims a car that nobody owns."""
    member = await world.shop.member(dealer=target.dealer)
    return target._replace(member=member, claim=await _free_car_claimed(world.shop, member))


async def _paired(world: World, target: Target, _: Role) -> Target:
    """Two of one name with one plate."""
    one, other = [await world.shop.member(dealer=target.dealer, name="李娜") for _ in range(2)]
    plate = "UPDATE ownership SET plate = $1 WHERE vin = ANY ($2)"
    await world.shop.pool.execute(plate, f"京A{next(serials) % 100_000:05d}", [one.vin, other.vin])
    await duplicates.find(world.api.db, now=NOW)
    pair = "SELECT id FROM duplicate WHERE member_id = ANY ($1)"
    return target._replace(duplicate=str(await world.shop.pool.fetchval(pair, [one.id, other.id])))


async def _to_call(world: World, target: Target, role: Role) -> Target:
    """A call for who asks, if it may call."""
    account, is_own = world.accounts.get(role), target.dealer == world.own.dealer
    if account is None or role is not Role.CARE_STAFF or not is_own:
        caller = (await hire(world.api, f"u{next(serials)}", Role.CARE_STAFF, dealer=target.dealer)).username
    else:
        caller = account[0]
    member = await world.shop.member(dealer=target.dealer)
    body = {"member_id": str(member.id), "assigned_to": caller, "question": "说明"}
    call = await post(world.shop, "/verification-calls", body)
    return target._replace(member=member, call=call["id"], account=caller)


async def _noted(world: World, target: Target, _: Role) -> Target:
    note = await post(world.shop, f"/members/{target.member.id}/notes", _NOTE)
    return target._replace(note=note["id"])


async def _accompanied(world: World, target: Target, _: Role) -> Target:
    member = await world.shop.member(dealer=target.dealer)
    person = await post(world.shop, f"/members/{member.id}/household", _COMPANION)
    return target._replace(member=member, person=person["id"])


async def _going(world: World, target: Target, role: Role) -> Target:
    """A transfer from the target's chapter; of the member who asks, one may be open already."""
    if role is not Role.MEMBER:
        target = target._replace(member=await world.shop.member(dealer=target.dealer))
    path = f"/members/{target.member.id}/transfers"
    answer = await world.api.call("POST", path, world.shop.hq, json=_transfer(target))
    found = (await world.api.call("GET", f"/transfers?member_id={target.member.id}&status=asked", world.shop.hq)).json()
    assert answer.status_code in {201, 409}, answer.text
    return target._replace(transfer=found["items"][0]["id"])


async def _coming(world: World, target: Target, _: Role) -> Target:
    """A transfer to the target's chapter, from headquarters' roll."""
    member = await post(world.shop, "/members", person())
    asked = await post(
        world.shop, f"/members/{member['id']}/transfers", _transfer(target) | {"to_dealer_code": target.dealer}
    )
    return target._replace(transfer=asked["id"])


def person() -> Body:
    serial = next(serials)
    return {"name": "王芳", "phone": f"137{serial:08d}", "vin": car(serial), "source": "event"}


def _claim(vin: str) -> Body:
    return {"vin": vin, "bought_on": str(NOW.date()), "proof": "说明"}


def _merge(target: Target) -> Body:
    return {"from_id": str(target.member.id), "into_id": target.other} | REASON


def _segment(target: Target) -> Body:
    return {"name": f"s{next(serials)}", "filter": _FILTER, "dealer_code": target.dealer}


def _transfer(_: Target) -> Body:
    return {"to_dealer_code": None} | REASON


async def belongings(shop: Shop, target: Target) -> Body:
    """An application, a saved segment, and what there is of a member: its car, a note, a person of its household."""
    path = f"/members/{target.member.id}"
    return {
        "application": (await post(shop, "/applications", person() | {"dealer_code": target.dealer}))["id"],
        "segment": (await post(shop, "/segments", _segment(target)))["id"], "attribute": "hobby",
        "note": (await post(shop, f"{path}/notes", _NOTE))["id"],
        "person": (await post(shop, f"{path}/household", _COMPANION))["id"],
        **await _car(shop, target.member),
    }  # fmt: skip


async def _car(shop: Shop, member: Person) -> Body:
    """What there is of a member's car: a reading, its model's interval, and a claim of another one."""
    vehicle = (await post(shop, "/vehicles/search", {"vin": member.vin}))["items"][0]["id"]
    reading = await post(shop, f"/vehicles/{vehicle}/mileage", {"km": 1, "read_on": str(NOW.date())})
    interval = await post(shop, "/service-intervals", {"model": f"m{next(serials)}", "months": 6})
    claim = await _free_car_claimed(shop, member)
    return {"vehicle": vehicle, "reading": reading["id"], "interval": interval["id"], "claim": claim}


FRESH: Fresh = {
    "calls_close": _to_call,
    "calls_create": _to_call,
    "calls_list": _to_call,
    "duplicates_dismiss": _paired,
    "duplicates_list": _paired,
    "applications_approve": _applied,
    "applications_refuse": _applied,
    "applications_withdraw": _applied,
    "claims_consent": _claimed,
    "claims_decide": _claiming,
    "claims_object": _claimed,
    "claims_withdraw": _claiming,
    "household_add": new_member,
    "household_remove": _accompanied,
    "members_change_status": new_member,
    "members_sell_vehicle": new_member,
    "notes_delete": _noted,
    "merges_create": _twice,
    "merges_get": _merged,
    "merges_undo": _merged,
    "segments_delete": _saved,
    "transfers_accept": _coming,
    "transfers_ask": new_member,
    "transfers_get": _going,
    "transfers_list": _going,
    "transfers_refuse": _coming,
    "transfers_withdraw": _going,
}

BODIES: Bodies = {
    "calls_close": lambda _: {"outcome": "confirmed"},
    "calls_create": lambda target: {
        "member_id": str(target.member.id), "assigned_to": target.account, "question": "说明",
    },
    "duplicates_dismiss": lambda _: REASON,
    "applications_create": lambda target: person() | {"dealer_code": target.dealer},
    "applications_refuse": lambda _: REASON,
    "applications_withdraw": lambda _: REASON,
    "attributes_create": lambda _: {"key": f"a{next(serials)}", "label_zh": "项", "label_en": "Item", "kind": "text"},
    "attributes_update": lambda _: {"weight": 15},
    "card_designs_set": lambda _: {"background": "#FFFFFF", "foreground": "#000000"},
    "claims_consent": lambda _: {"reference": "说明"},
    "claims_create": lambda target: _claim(car(next(serials))) | {"member_id": str(target.member.id)},
    "claims_decide": lambda _: {"accept": True} | REASON,
    "claims_object": lambda _: REASON,
    "claims_withdraw": lambda _: REASON,
    "counter_lookup": lambda target: {"member_no": target.member.member_no},
    "household_add": lambda _: _COMPANION,
    "household_update": lambda _: {"drives": True},
    "intervals_create": lambda _: {"model": f"m{next(serials)}", "months": 6},
    "intervals_update": lambda _: {"months": 12},
    "members_change_status": lambda _: {"to": "suspended", "reason": "说明"},
    "members_enrol": lambda target: person() | {"dealer_code": target.dealer},
    "members_search": lambda target: {"member_no": target.member.member_no},
    "members_sell_vehicle": lambda target: {"vin": target.member.vin, "sold_on": str(NOW.date())},
    "members_update": lambda _: {"name": "张"},
    "merges_create": _merge,
    "merges_undo": lambda _: REASON,
    "notes_update": lambda _: {"is_pinned": True},
    "notes_write": lambda _: _NOTE,
    "profiles_update": lambda _: {"contact": {"channels": []}},
    "segments_create": _segment,
    "segments_preview": lambda _: {"filter": _FILTER},
    "segments_update": lambda _: {"filter": _FILTER},
    "vehicles_note_mileage": lambda _: {"km": 1, "read_on": str(NOW.date())},
    "vehicles_search": lambda target: {"vin": target.member.vin},
    "vehicles_update": lambda _: {"insurance_ends_on": "2027-10-31"},
    "transfers_ask": _transfer,
    "transfers_refuse": lambda _: REASON,
    "transfers_withdraw": lambda _: REASON,
}  # fmt: skip

VERSIONS: Versions = {
    "attributes_update": "/attributes/{attribute_key}",
    "card_designs_set": "/card-designs/{dealer_code}",
    "household_update": "/members/{member_id}/household/{person_id}",
    "intervals_update": "/service-intervals/{interval_id}",
    "members_update": "/members/{member_id}",
    "notes_update": "/members/{member_id}/notes/{note_id}",
    "profiles_update": "/members/{member_id}/profile",
    "segments_delete": "/segments/{segment_id}",
    "segments_update": "/segments/{segment_id}",
    "vehicles_update": "/vehicles/{vehicle_id}",
}

LISTS: Lists = {
    "calls_list": lambda target: target.call,
    "duplicates_list": lambda target: target.duplicate,
    "members_export": lambda target: target.member.vin,
    "applications_list": lambda target: target.application,
    "claims_list": lambda target: target.claim,
    "completeness_list": lambda target: f'"dealer_code":"{target.dealer}"',
    "members_list": lambda target: str(target.member.id),
    "members_search": lambda target: str(target.member.id),
    "notes_list": lambda target: target.note,
    "segments_list": lambda target: target.segment,
    "segments_preview": lambda target: str(target.member.id),
    "vehicles_search": lambda target: target.vehicle,
    "transfers_list": lambda target: target.transfer,
}

FILES: Files = {
    "members_import": {"content": ",".join(imports.COLUMNS).encode(), "headers": {"Content-Type": "text/csv"}},
}
