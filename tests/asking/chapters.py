"""What requests about dealers, chapters, their officers, materials and documents need."""

from app.core.actors import Role
from tests.asking.base import (
    REASON,
    SHIPMENT,
    Bodies,
    Body,
    Files,
    Fresh,
    Lists,
    Target,
    Versions,
    World,
    post,
    serials,
)
from tests.now import NOW
from tests.shop import Shop

_PDF: Body = {"content": b"%PDF-1.7", "headers": {"Content-Type": "application/pdf"}}


async def _requested(shop: Shop, dealer: str, material: str) -> str:
    director = shop.api.token(Role.CARE_DIRECTOR, dealer=dealer)
    lines = [{"material_id": material, "quantity": 1}]
    return str((await post(shop, f"/dealers/{dealer}/material-requests", {"lines": lines}, director))["id"])


async def new_dealer(world: World, target: Target, _: Role) -> Target:
    code = f"{target.region}{next(serials)}"
    body = {"code": code, "region_code": target.region, "has_after_sales": True}
    return target._replace(dealer=(await post(world.shop, "/dealers", body))["code"])


async def _asking(world: World, target: Target, _: Role) -> Target:
    return target._replace(request=await _requested(world.shop, target.dealer, target.material))


async def _approved(world: World, target: Target, role: Role) -> Target:
    target = await _asking(world, target, role)
    await post(world.shop, f"/material-requests/{target.request}/approval", {})
    return target


async def _shipped(world: World, target: Target, role: Role) -> Target:
    target = await _approved(world, target, role)
    await post(world.shop, f"/material-requests/{target.request}/shipment", SHIPMENT)
    return target


async def new_chapter(world: World, target: Target, role: Role) -> Target:
    target = await new_dealer(world, target, role)
    await post(world.shop, f"/dealers/{target.dealer}/chapter", {})
    return target


async def _appointed(world: World, target: Target, _: Role) -> Target:
    made = await post(world.shop, f"/dealers/{target.dealer}/chapter/officers", _officer(target))
    return target._replace(officer=made["id"])


def _officer(_: Target) -> Body:
    return {"office": "activities", "name": "李", "since": str(NOW.date())}


def _material() -> Body:
    return {"name": f"茶杯{next(serials)}", "kind": "gift", "unit": "件"}


async def belongings(shop: Shop, target: Target) -> Body:
    """A material with enough of it, the dealer's request for some, a document with a version, and an officer."""
    material = (await post(shop, "/materials", _material()))["id"]
    await post(shop, f"/materials/{material}/movements", {"change": 1_000_000} | REASON)
    document = (await post(shop, "/documents", {"title": "规定"}))["id"]
    answer = await shop.api.call("POST", f"/documents/{document}/versions", shop.hq, **_PDF)
    assert answer.status_code == 201, answer.text
    officer = await post(shop, f"/dealers/{target.dealer}/chapter/officers", _officer(target))
    return {
        "material": material, "request": await _requested(shop, target.dealer, material), "document": document,
        "officer": officer["id"],
    }  # fmt: skip


FRESH: Fresh = {
    "chapters_close": new_chapter,
    "chapters_open": new_dealer,
    "material_requests_approve": _asking,
    "material_requests_receive": _shipped,
    "material_requests_refuse": _asking,
    "material_requests_ship": _approved,
    "material_requests_withdraw": _approved,
    "officers_get": _appointed,
    "officers_remove": _appointed,
    "officers_update": _appointed,
}

BODIES: Bodies = {
    "chapters_close": lambda _: {"to_dealer_code": None} | REASON,
    "chapters_update": lambda _: {"name": "会"},
    "dealers_create": lambda target: {
        "code": f"DE{next(serials)}", "region_code": target.region, "has_after_sales": True,
    },
    "dealers_update": lambda _: {"name": "店"},
    "documents_create": lambda _: {"title": "规定"},
    "documents_update": lambda _: {"title": "新规定"},
    "material_requests_ask": lambda target: {"lines": [{"material_id": target.material, "quantity": 1}]},
    "material_requests_receive": lambda _: {},
    "material_requests_refuse": lambda _: REASON,
    "material_requests_ship": lambda _: SHIPMENT,
    "material_requests_withdraw": lambda _: REASON,
    "materials_change_stock": lambda _: {"change": 1} | REASON,
    "materials_create": lambda _: _material(),
    "materials_update": lambda _: {"unit": "个"},
    "officers_appoint": _officer,
    "officers_update": lambda _: {"name": "王"},
    "regions_create": lambda _: {"code": f"R{next(serials)}", "name": "区"},
    "targets_set": lambda _: {"members": 100},
}  # fmt: skip

VERSIONS: Versions = {
    "chapters_update": "/dealers/{code}/chapter",
    "dealers_update": "/dealers/{code}",
    "documents_update": "/documents/{document_id}",
    "materials_update": "/materials/{material_id}",
    "officers_remove": "/officers/{officer_id}",
    "officers_update": "/officers/{officer_id}",
    "targets_set": "/dealers/{code}/chapter/targets/{target_period}",
}

LISTS: Lists = {
    "dealers_list": lambda target: f'"code":"{target.dealer}"',
    "material_requests_list": lambda target: target.request,
    "regions_list": lambda target: f'"code":"{target.region}"',
}

FILES: Files = {"documents_upload": _PDF}
