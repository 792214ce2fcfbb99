"""What requests about accounts, staff, programs and sessions need."""

from dataclasses import replace
from uuid import UUID

from app.core.actors import Actor, Reach, Role
from app.identity.sessions import Sessions, SignedIn
from tests.api import Api
from tests.asking.base import NOBODY, Bodies, Body, Fresh, Lists, Target, Versions, World, post, send, serials
from tests.identity.staff import hire
from tests.now import NOW
from tests.shop import Shop

_PASSWORD = "correct horse battery 马"


async def account_of(shop: Shop, role: Role, own: Target) -> tuple[str, UUID]:
    places: dict[Reach, Body] = {
        Reach.DEALER: {"dealer_code": own.dealer}, Reach.REGION: {"region_code": own.region},
        Reach.PARTNER: {"partner_code": "COFFEE"}, Reach.AGENCY: {"agency_code": own.agency},
    }  # fmt: skip
    grant = {"role": role} | places.get(role.reach, {})
    made = await post(
        shop, "/accounts", {name: _hire()[name] for name in ("username", "name", "password")} | {"grant": grant}
    )
    return made["username"], UUID(made["id"])


async def _session(shop: Shop, hired: Body, dealer: str) -> str:
    actor = Actor(hired["username"], Role(hired["role"]), dealer)
    return await _session_id(shop.api, actor, account_id=UUID(hired["id"]))


async def _session_id(api: Api, actor: Actor, **whose: UUID) -> str:
    known = api.app.state.tokens.actor((await opened(api, actor, **whose)).access_token)
    assert known is not None
    return str(known.session_id)


async def opened(api: Api, actor: Actor, **whose: UUID) -> SignedIn:
    sessions: Sessions = api.app.state.sessions
    async with api.db.session() as session:
        return await sessions.open_session(session, actor, now=NOW, device="tests", **whose)


async def _granted(world: World, target: Target, _: Role) -> Target:
    account = await hire(world.api, f"u{next(serials)}", Role.CARE_STAFF, dealer=target.dealer)
    shown = await send(world.shop, "GET", f"/accounts/{account.id}")
    return target._replace(account=str(account.id), grant=shown["grants"][0]["id"])


async def _linked(world: World, target: Target, _: Role) -> Target:
    await send(world.shop, "PUT", f"/accounts/{target.account}/external-identity", _email(target))
    return target


async def _signed_in(world: World, target: Target, role: Role) -> Target:
    """A session of the caller's own; programs have none."""
    if target.dealer != world.own.dealer:
        return target
    if role is Role.MEMBER:
        member = target.member
        actor = Actor(member.member_no, role, None, member.id)
        return target._replace(session=await _session_id(world.api, actor, member_id=member.id))
    if role not in world.accounts:
        return target._replace(session=NOBODY)
    caller = world.api.app.state.tokens.actor(world.token(role, target.member))
    actor = replace(caller, partner_code="COFFEE" if role.reach is Reach.PARTNER else None)
    return target._replace(session=await _session_id(world.api, actor, account_id=world.accounts[role][1]))


def _hire() -> Body:
    return {"username": f"u{next(serials)}", "name": "李", "role": "service_advisor", "password": _PASSWORD}


def _email(_: Target) -> Body:
    return {"email": f"li{next(serials)}@example.com"}


async def belongings(shop: Shop, target: Target) -> Body:
    """A service advisor with a session, and a program."""
    hired = await post(shop, f"/dealers/{target.dealer}/staff", _hire())
    made = await post(shop, "/programs", program())
    session = await _session(shop, hired, target.dealer)
    return {"account": hired["id"], "program": made["account_id"], "session": session}


def program() -> Body:
    """A new program that reads members."""
    return {"username": f"p{next(serials)}", "name": "App", "scopes": ["members:read"]}


FRESH: Fresh = {
    "accounts_drop_external_identity": _linked,
    "accounts_end_grant": _granted,
    "accounts_grant": _granted,
    "identity_end_session": _signed_in,
}

BODIES: Bodies = {
    "accounts_create": lambda target: {
        "username": f"u{next(serials)}", "name": "李", "password": _PASSWORD,
        "grant": {"role": "care_staff", "dealer_code": target.dealer},
    },
    "accounts_end_grant": lambda _: {"last_day": "2099-01-01"},
    "accounts_grant": lambda target: {"role": "sales_consultant", "dealer_code": target.dealer},
    "accounts_reset_password": lambda _: {"password": "another horse battery 马"},
    "accounts_set_external_identity": _email,
    "accounts_update": lambda _: {"name": "李"},
    "programs_create": lambda _: program(),
    "accounts_set_phones": lambda _: {"phones": []},
    "staff_create": lambda _: _hire(),
    "staff_reset_password": lambda _: {"password": "another horse battery 马"},
    "staff_update": lambda _: {"name": "李"},
}  # fmt: skip

VERSIONS: Versions = {
    "accounts_update": "/accounts/{account_id}",
    "staff_update": "/accounts/{account_id}",
}

LISTS: Lists = {
    "accounts_list": lambda target: target.account,
}
