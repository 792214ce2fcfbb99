"""What requests about consent, erasure and birth need."""

from app.core.actors import Role
from tests.asking.base import PARTNER, Bodies, Body, Fresh, Target, Versions, World, post, send, serials
from tests.asking.members import new_member
from tests.shop import Shop


async def _leaving(world: World, target: Target, _: Role) -> Target:
    member = await world.shop.member(dealer=target.dealer)
    await send(world.shop, "PUT", f"/members/{member.id}/erasure", {})
    return target._replace(member=member)


async def belongings(shop: Shop, target: Target) -> Body:
    """A birthday, and the member's consent that a partner gets its name."""
    path = f"/members/{target.member.id}"
    await send(shop, "PUT", f"{path}/birth", {"born_on": "1990-01-01"})
    notices = (await send(shop, "GET", "/privacy/notices"))["items"]
    version = next(notice["version"] for notice in notices if notice["purpose"] == "partner")
    given = {"purpose": "partner", "decision": "given", "channel": "app", "version": version, "partner": PARTNER}
    await post(shop, f"{path}/consents", given)
    return {}


FRESH: Fresh = {
    "privacy_close": new_member,
    "privacy_erase": new_member,
    "privacy_erasure": _leaving,
    "privacy_keep": _leaving,
    "privacy_phone_code": new_member,
}

BODIES: Bodies = {
    "privacy_correct": lambda _: {"name": "张伟"},
    "privacy_decide": lambda _: {"purpose": "marketing", "decision": "refused", "channel": "app"},
    "privacy_phone_code": lambda _: {"phone": f"136{next(serials):08d}"},
    "privacy_provide": lambda _: {"partner_code": PARTNER["code"], "kinds": ["name"], "reason": "说明"},
    "privacy_publish": lambda _: {"purpose": "marketing", "text_zh": "说明", "text_en": "Text", "renews": False},
    "privacy_set_birth": lambda _: {"born_on": "1990-01-01"},
}  # fmt: skip

VERSIONS: Versions = {
    "privacy_correct": "/members/{member_id}",
}
