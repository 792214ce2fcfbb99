"""What open routes are sent, which ask for no token."""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

from app.core.actors import Actor, Role
from tests.asking.base import Body, World, post, serials
from tests.asking.identity import opened, program
from tests.identity.factors import code_at
from tests.identity.staff import hire
from tests.now import NOW


async def _sign_in(world: World) -> Body:
    account = await hire(world.api, f"u{next(serials)}", Role.SERVICE_ADVISOR, dealer="BJ001")
    return {"json": {"username": account.username, "password": "correct horse battery 马"}}


async def _new_password(world: World) -> Body:
    asked = await _sign_in(world)
    return {"json": asked["json"] | {"new_password": "another horse battery 马"}}


async def _program_asks(world: World) -> Body:
    made = await post(world.shop, "/programs", program())
    form = {"grant_type": "client_credentials", "client_id": made["client_id"], "client_secret": made["client_secret"]}
    return {"data": form}


async def _code_asked(world: World) -> Body:
    return {"json": {"phone": (await world.shop.member()).phone}}


async def _code_told(world: World) -> Body:
    phones, asked = world.api.app.state.sms, (await _code_asked(world))["json"]
    await world.api.call("POST", "/member-sign-in/code", json=asked)
    await world.api.app.state.detached.finish()
    return {"json": asked | {"code": phones.codes[f"+86{asked['phone']}"]}}


async def _refresh(world: World) -> Body:
    member = await world.shop.member()
    actor = Actor(member.member_no, Role.MEMBER, None, member.id)
    return {"json": {"refresh_token": (await opened(world.api, actor, member_id=member.id)).refresh_token}}


async def _generator(world: World) -> Body:
    proof = (await _sign_in(world))["json"]
    begun = await post(world.shop, "/sign-in/second-factor", proof)
    secret = parse_qs(urlsplit(begun["uri"]).query)["secret"][0]
    return {"json": proof | {"otp": code_at(secret, NOW)}}


async def _wechat(_: World) -> Body:
    return {"json": {"code": "0a1b2c"}}


async def _callback(_: World) -> Body:
    return {"params": {"state": "theirs"}}


OPENLY: dict[str, Callable[[World], Awaitable[Body]]] = {
    "identity_begin_second_factor": _sign_in,
    "identity_change_password": _new_password,
    "identity_confirm_second_factor": _generator,
    "identity_oidc_callback": _callback,
    "identity_refresh": _refresh,
    "identity_sign_in": _sign_in,
    "member_sign_in": _code_told,
    "member_sign_in_code": _code_asked,
    "member_sign_in_wechat": _wechat,
    "programs_token": _program_asks,
}
"""What open routes are sent; without an entry, nothing, which most of them refuse."""
