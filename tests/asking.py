"""What the permission table asks for: two dealers with one of everything, and what a request for it needs to be served.

What a request uses up is made anew for it, so that nobody's answer depends on who asked before.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx

from app.core.actors import PROGRAM_SCOPES, Actor, Reach, Role
from app.core.sms import Message
from app.identity import second_factor
from app.identity.sessions import Sessions, SignedIn
from app.members import duplicates
from app.members.imports import COLUMNS as MEMBER_COLUMNS
from app.settlement import service as settlement
from tests.api import Api
from tests.identity.staff import hire
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop

Body = dict[str, Any]
NOBODY = str(UUID(int=9))
PARTNER = {"code": "COFFEE", "name": "Coffee"}
FIRST_MONTH = (NOW - timedelta(days=540)).date().replace(day=1)
MONTHS = 12
"""Closed, so that each dealer has some statements to confirm and to pay."""
serials = count(900_001)


class Target(NamedTuple):
    """One of everything that belongs to a dealer or its member; `code` is what the member says at the counter."""

    dealer: str
    region: str
    member: Person
    earning: str = "999"
    redemption: str = "999"
    hold: str = "999"
    order: str = "RO-none"
    application: str = NOBODY
    account: str = NOBODY
    grant: str = NOBODY
    program: str = NOBODY
    statement: str = NOBODY
    dispute: str = NOBODY
    job: str = NOBODY
    session: str = NOBODY
    segment: str = NOBODY
    tier: str = "none"
    rule: str = NOBODY
    frame: str = NOBODY
    budget: str = "none"
    case: str = NOBODY
    delivery: str = NOBODY
    referral: str = NOBODY
    incentive_rule: str = NOBODY
    incentive_list: str = NOBODY
    signal: str = NOBODY
    transfer: str = NOBODY
    officer: str = NOBODY
    vehicle: str = NOBODY
    reading: str = NOBODY
    interval: str = NOBODY
    claim: str = NOBODY
    other: str = NOBODY
    merge: str = NOBODY
    note: str = NOBODY
    person: str = NOBODY
    attribute: str = "nothing"
    material: str = NOBODY
    request: str = NOBODY
    document: str = NOBODY
    event: str = NOBODY
    lot: str = NOBODY
    photo: str = NOBODY
    day: str = "2099-01-01"
    registration: str = NOBODY
    check_in: str = NOBODY
    offline_list: str = "none"
    notice: str = NOBODY
    year: str = "2026"
    duplicate: str = NOBODY
    call: str = NOBODY
    reward: str = NOBODY
    reward_order: str = NOBODY
    reward_code: str = "NONE-0001"
    partner: str = "NOBODY"
    agency: str = "NOBODY"
    perk: str = NOBODY
    voucher: str = NOBODY
    voucher_code: str = "2222-2222-2222"
    code: str = ""

    def _posting(self, operation: str) -> str:
        if operation == "members_posting_why":
            return self.earning
        return self.hold if operation.startswith("holds_") else self.redemption

    def parameters(self, operation: str) -> dict[str, str]:
        """What the parameters of an operation's path stand for."""
        return {
            "account_id": self.program if operation.startswith("programs_") else self.account,
            "attribute_key": self.attribute, "note_id": self.note, "person_id": self.person,
            "application_id": self.application, "code": self.dealer, "dealer_code": self.dealer,
            "delivery_id": self.delivery, "officer_id": self.officer, "target_period": "2099-01",
            "referral_id": self.referral,
            "incentive_rule_id": self.incentive_rule, "incentive_list_id": self.incentive_list,
            "signal_id": self.signal,
            "transfer_id": self.transfer, "merge_id": self.merge,
            "material_id": self.material, "request_id": self.request, "document_id": self.document,
            "dispute_id": self.dispute, "grant_id": self.grant, "job_id": self.job, "member_id": str(self.member.id),
            "order_no": self.order,
            "period": "2099-01" if operation.startswith("recruitment_plan") else f"{FIRST_MONTH:%Y-%m}",
            "posting_no": self._posting(operation),
            "region": self.region, "rule_id": self.rule, "frame_id": self.frame,
            "budget_code": self.budget, "case_id": self.case, "tier_code": self.tier,
            "vehicle_id": self.vehicle, "reading_id": self.reading, "interval_id": self.interval,
            "registration_id": self.registration, "check_in_id": self.check_in,
            "lot_id": self.lot, "photo_id": self.photo, "day": self.day,
            "event_id": self.event, "notice_id": self.notice, "year": self.year, "place": self.dealer,
            "claim_id": self.claim, "duplicate_id": self.duplicate, "call_id": self.call,
            "reward_id": self.reward, "order_id": self.reward_order,
            "partner_code": self.partner, "agency_code": self.agency, "perk_id": self.perk, "voucher_id": self.voucher,
            "segment_id": self.segment, "session_id": self.session, "statement_id": self.statement,
        }  # fmt: skip


NOWHERE = Target("XX999", "XX", Person(UUID(int=1), "9999999991", "13999999999", car(1)))


class Phones:
    """A provider of text messages that delivers none; the last code that went to each number."""

    can_send = True

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}

    async def send(self, phone: str, message: Message) -> None:
        """Sent."""
        if found := re.search(r"\d{6}", message.text):
            self.codes[phone] = found[0]


@dataclass
class World:
    """BJ001's and SH001's, and an account of each role at BJ001, in its region or at headquarters."""

    shop: Shop
    own: Target
    foreign: Target
    accounts: dict[Role, tuple[str, UUID]]
    statements: dict[str, list[str]] = field(default_factory=dict)
    """By dealer, those up for confirmation that nobody has been asked for yet."""

    @property
    def api(self) -> Api:
        """The service that is asked."""
        return self.shop.api

    @classmethod
    async def made(cls, api: Api) -> "World":
        """Enough of both dealers to ask every route for."""
        api.app.state.sms = Phones()
        shop = await Shop.open(api)
        month = FIRST_MONTH
        for _ in range(MONTHS):
            await settlement.close(api.db, month, now=NOW)
            month = (month + timedelta(days=31)).replace(day=1)
        own, foreign = await _belongings(shop, "BJ001"), await _belongings(shop, "SH001")
        world = cls(shop, own, foreign, {role: await _account(shop, role, own) for role in Role if _is_person(role)})
        for target in (own, foreign):
            world.statements[target.dealer] = (await _statements(shop, target.dealer))[1:]
        return world

    def token(self, role: Role, member: Person) -> str:
        """A caller of BJ001, of its region, or this member; who reaches all reaches all."""
        return self.api.token(
            role,
            dealer=self.own.dealer if role.reach is Reach.DEALER else None,
            region=self.own.region if role.reach is Reach.REGION else None,
            partner=self.own.partner if role.reach is Reach.PARTNER else None,
            member=member.id if role.reach is Reach.SELF else None,
            scopes=" ".join(PROGRAM_SCOPES) if role is Role.API_CLIENT else "",
            subject=self.accounts[role][0] if role in self.accounts else "",
        )


def _is_person(role: Role) -> bool:
    return role not in {Role.MEMBER, Role.API_CLIENT}


# --- what there is ---


async def _belongings(shop: Shop, dealer: str) -> Target:
    member = await shop.member(dealer=dealer, points=10_000)
    target = Target(dealer, dealer[:2], member)
    advisor, clerk = (shop.api.token(role, dealer=dealer) for role in (Role.SERVICE_ADVISOR, Role.FINANCE_CLERK))
    await _send(shop, "PUT", f"/members/{member.id}/birth", {"born_on": "1990-01-01"})
    partnered = await _partnered(shop, dealer)
    await _consent(shop, member)
    await _granted_money(shop, dealer)
    redeemed = await _post(shop, "/redemptions", _spend(target), shop.program)
    order = await _post(shop, "/repair-orders", _order(target), advisor)
    applied = await _post(shop, "/applications", _person() | {"dealer_code": dealer})
    hired = await _post(shop, f"/dealers/{dealer}/staff", _hire())
    program = await _post(
        shop, "/programs", {"username": f"p{next(serials)}", "name": "App", "scopes": ["members:read"]}
    )
    statement, *_ = await _statements(shop, dealer)
    dispute = await _post(shop, f"/statements/{statement}/disputes", _REASON, clerk)
    return target._replace(
        redemption=str(redeemed["posting_no"]), order=order["order_no"], application=applied["id"],
        account=hired["id"], program=program["account_id"], statement=statement, dispute=dispute["id"],
        job=await _upload(shop, advisor), session=await _session(shop, hired, dealer),
        segment=(await _post(shop, "/segments", _segment(target)))["id"],
        **await _car(shop, member), **await _supplies(shop, dealer), **await _ruled(shop, dealer),
        incentive_rule=(await _post(shop, "/incentive-rules", _incentive(dealer)))["id"],
        incentive_list=(await _post(shop, "/incentive-lists", _list_asked(dealer)))["id"],
        signal=await _suspected(shop, dealer),
        reward=await _reward(shop, _gift(target), 1_000_000), **partnered,
        event=(await _post(shop, "/events", _event(target)))["id"],
        note=(await _post(shop, f"/members/{member.id}/notes", _NOTE))["id"], attribute="hobby",
        person=(await _post(shop, f"/members/{member.id}/household", _PERSON))["id"],
        delivery=(await _post(shop, "/deliveries", _delivery(target)))["id"],
        officer=(await _post(shop, f"/dealers/{dealer}/chapter/officers", _officer(target)))["id"],
    )  # fmt: skip


async def _supplies(shop: Shop, dealer: str) -> Body:
    """A material with enough of it, the dealer's request for some, and a document with a version."""
    material = (await _post(shop, "/materials", _material()))["id"]
    await _post(shop, f"/materials/{material}/movements", {"change": 1_000_000} | _REASON)
    document = (await _post(shop, "/documents", {"title": "规定"}))["id"]
    answer = await shop.api.call("POST", f"/documents/{document}/versions", shop.hq, **_PDF)
    assert answer.status_code == 201, answer.text
    return {"material": material, "request": await _requested(shop, dealer, material), "document": document}


async def _granted_money(shop: Shop, dealer: str) -> None:
    """What headquarters grants a dealer's events of the year."""
    path, first = f"/event-budgets/2026/granted/{dealer}", {"If-Match": '"0"'}
    granted = {"money_fen": 1_000_000, "points": 1_000}
    assert (await shop.api.call("PUT", path, shop.hq, json=granted, headers=first)).status_code == 200


async def _reward(shop: Shop, body: Body, stock: int = 0) -> str:
    """A reward that is offered."""
    made = await _post(shop, "/rewards", body)
    path, offered = f"/rewards/{made['id']}", {"is_offered": True}
    answer = await shop.api.call("PATCH", path, shop.hq, json=offered, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    if stock:
        await _post(shop, f"{path}/movements", {"change": stock} | _REASON)
    return str(made["id"])


async def _partnered(shop: Shop, dealer: str) -> Body:
    """A chapter's partner that pays ahead, its agency, and a perk of it that is offered."""
    code = {"BJ001": PARTNER["code"], "SH001": "TEA"}[dealer]
    agency = (await _post(shop, "/agencies", {"code": f"A{next(serials)}", "name": "代理"}))["code"]
    paying = {"code": code, "name": PARTNER["name"], "dealer_code": dealer, "is_prepaid": True}
    await _post(shop, "/partners", _PARTNER | paying)
    made = await _post(shop, "/perks", _PERK | {"partner_code": code})
    path, offered = f"/perks/{made['id']}", {"is_offered": True}
    answer = await shop.api.call("PATCH", path, shop.hq, json=offered, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    return {"partner": code, "agency": agency, "perk": made["id"]}


async def _ruled(shop: Shop, dealer: str) -> Body:
    """A chapter's frame, and a draft of its own within it; a tier."""
    frame = (await _post(shop, "/rule-frames", _FRAME | {"dealer_code": dealer}))["id"]
    budget = (await _post(shop, "/points/budgets", _budget(dealer)))["code"]
    tier = (await _post(shop, "/tiers", _tier()))["code"]
    return {
        "frame": frame, "rule": (await _post(shop, "/rules", _rule(dealer)))["id"], "budget": budget, "tier": tier,
    }  # fmt: skip


def _tier() -> Body:
    serial = next(serials)
    return {"code": f"t{serial}", "label_zh": "金卡", "label_en": "Gold", "threshold": serial}


async def _suspected(shop: Shop, dealer: str) -> str:
    """A signal about a dealer."""
    found = """INSERT INTO signal (id, kind, key, dealer_code, member_ids, facts, weight, status, found_at, seen_at,
                                   version)
               VALUES (gen_random_uuid(), 'referral_ring', $1, $1, '{}', '{"members": 2}', 2, 'open', $2, $2, 1)
               RETURNING id"""
    return str(await shop.pool.fetchval(found, dealer, NOW))


_list_months = (f"{2000 + number // 12}-{number % 12 + 1:02}" for number in count())


def _list_asked(dealer: str) -> Body:
    return {"month": next(_list_months), "dealer_code": dealer}


def _incentive(dealer: str) -> Body:
    example = {"fields": {"source": "delivery"}, "on": "2026-11-10", "fen": 100}
    terms = {"trigger": "enrolment", "amount_fen": "100", "valid_from": "2026-11-01", "examples": [example]}
    return {
        "code": f"i{next(serials)}", "label_zh": "奖励", "label_en": "Incentive", "dealer_code": dealer, "terms": terms,
    }  # fmt: skip


def _budget(dealer: str) -> Body:
    return {"code": f"b{next(serials)}", "name": "预算", "dealer_code": dealer, "period": "month", "points": 100}


async def _requested(shop: Shop, dealer: str, material: str) -> str:
    director = shop.api.token(Role.CARE_DIRECTOR, dealer=dealer)
    lines = [{"material_id": material, "quantity": 1}]
    return str((await _post(shop, f"/dealers/{dealer}/material-requests", {"lines": lines}, director))["id"])


async def _car(shop: Shop, member: Person) -> Body:
    """What there is of a member's car: a reading, its model's interval, and a claim of another one."""
    vehicle = (await _post(shop, "/vehicles/search", {"vin": member.vin}))["items"][0]["id"]
    reading = await _post(shop, f"/vehicles/{vehicle}/mileage", {"km": 1, "read_on": str(NOW.date())})
    interval = await _post(shop, "/service-intervals", {"model": f"m{next(serials)}", "months": 6})
    claim = await _free_car_claimed(shop, member)
    return {"vehicle": vehicle, "reading": reading["id"], "interval": interval["id"], "claim": claim}


async def _free_car_claimed(shop: Shop, member: Person) -> str:
    token = shop.api.token(Role.MEMBER, member=member.id)
    return str((await _post(shop, "/vehicle-claims", _claim(car(next(serials))), token))["id"])


async def _statements(shop: Shop, dealer: str) -> list[str]:
    status, found = await shop.get("/statements", shop.api.token(Role.FINANCE_CLERK, dealer=dealer))
    assert status == 200
    return [statement["id"] for statement in found["items"]]


async def _account(shop: Shop, role: Role, own: Target) -> tuple[str, UUID]:
    places: dict[Reach, Body] = {
        Reach.DEALER: {"dealer_code": own.dealer}, Reach.REGION: {"region_code": own.region},
        Reach.PARTNER: {"partner_code": "COFFEE"},
    }  # fmt: skip
    grant = {"role": role} | places.get(role.reach, {})
    made = await _post(
        shop, "/accounts", {name: _hire()[name] for name in ("username", "name", "password")} | {"grant": grant}
    )
    return made["username"], UUID(made["id"])


async def _session(shop: Shop, hired: Body, dealer: str) -> str:
    actor = Actor(hired["username"], Role(hired["role"]), dealer)
    return await _session_id(shop.api, actor, account_id=UUID(hired["id"]))


async def _session_id(api: Api, actor: Actor, **whose: UUID) -> str:
    known = api.app.state.tokens.actor((await _opened(api, actor, **whose)).access_token)
    assert known is not None
    return str(known.session_id)


async def _opened(api: Api, actor: Actor, **whose: UUID) -> SignedIn:
    sessions: Sessions = api.app.state.sessions
    async with api.db.session() as session:
        return await sessions.open_session(session, actor, now=NOW, device="tests", **whose)


async def _consent(shop: Shop, member: Person) -> None:
    notices = (await _send(shop, "GET", "/privacy/notices"))["items"]
    version = next(notice["version"] for notice in notices if notice["purpose"] == "partner")
    given = {"purpose": "partner", "decision": "given", "channel": "app", "version": version, "partner": PARTNER}
    await _send(shop, "POST", f"/members/{member.id}/consents", given)


async def _upload(shop: Shop, token: str) -> str:
    answer = await shop.api.call("POST", "/repair-orders/imports", token, content=b"", headers=_LINES)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def _post(shop: Shop, path: str, body: Body, token: str = "") -> Any:
    return await _send(shop, "POST", path, body, token)


async def _send(shop: Shop, method: str, path: str, body: Body | None = None, token: str = "") -> Any:
    answer = await shop.api.call(method, path, token or shop.hq, json=body, key=f"made-{next(serials)}")
    assert answer.is_success, (method, path, answer.text)
    return answer.json() if answer.content else None


# --- what a request uses up, made anew ---


async def _member(world: World, target: Target, role: Role) -> Target:
    member = await world.shop.member(dealer=target.dealer, points=100)
    return target._replace(member=member, code=await world.shop.code(member) if role.is_dealer_staff else "")


async def _owing(world: World, target: Target, _: Role) -> Target:
    shop = world.shop
    member = await shop.member(dealer=target.dealer)
    earned = await _post(shop, "/points/earnings", _earning(target._replace(member=member)))
    target = target._replace(member=member, earning=str(earned["posting_no"]))
    await _post(shop, "/redemptions", _spend(target), shop.program)
    await _post(shop, "/points/reversals", _reversal(target))
    return target


async def _earned(world: World, target: Target, _: Role) -> Target:
    earned = await _post(world.shop, "/points/earnings", _earning(target))
    return target._replace(earning=str(earned["posting_no"]))


async def _held(world: World, target: Target, _: Role) -> Target:
    return target._replace(
        hold=str((await _post(world.shop, "/holds", _spend(target), world.shop.program))["posting_no"])
    )


async def _redeemed(world: World, target: Target, _: Role) -> Target:
    redeemed = await _post(world.shop, "/redemptions", _spend(target), world.shop.program)
    return target._replace(redemption=str(redeemed["posting_no"]))


async def _applied(world: World, target: Target, _: Role) -> Target:
    applied = await _post(world.shop, "/applications", _person() | {"dealer_code": target.dealer})
    return target._replace(application=applied["id"])


async def _ordered(world: World, target: Target, _: Role) -> Target:
    order = await _post(world.shop, "/repair-orders", _order(target))
    return target._replace(order=order["order_no"])


async def _granted(world: World, target: Target, _: Role) -> Target:
    account = await hire(world.api, f"u{next(serials)}", Role.CARE_STAFF, dealer=target.dealer)
    shown = await _send(world.shop, "GET", f"/accounts/{account.id}")
    return target._replace(account=str(account.id), grant=shown["grants"][0]["id"])


async def _linked(world: World, target: Target, _: Role) -> Target:
    await _send(world.shop, "PUT", f"/accounts/{target.account}/external-identity", _email(target))
    return target


async def _dealer(world: World, target: Target, _: Role) -> Target:
    code = f"{target.region}{next(serials)}"
    body = {"code": code, "region_code": target.region, "has_after_sales": True}
    return target._replace(dealer=(await _post(world.shop, "/dealers", body))["code"])


async def _statement(world: World, target: Target, _: Role) -> Target:
    return target._replace(statement=world.statements[target.dealer].pop())


async def _confirmed(world: World, target: Target, role: Role) -> Target:
    target = await _statement(world, target, role)
    clerk = world.api.token(Role.FINANCE_CLERK, dealer=target.dealer)
    await _post(world.shop, f"/statements/{target.statement}/confirmation", {}, clerk)
    return target


async def _disputed(world: World, target: Target, _: Role) -> Target:
    clerk = world.api.token(Role.FINANCE_CLERK, dealer=target.dealer)
    dispute = await _post(world.shop, f"/statements/{target.statement}/disputes", _REASON, clerk)
    return target._replace(dispute=dispute["id"])


async def _saved(world: World, target: Target, _: Role) -> Target:
    segment = await _post(world.shop, "/segments", _segment(target))
    return target._replace(segment=segment["id"])


async def _twice(world: World, target: Target, _: Role) -> Target:
    """Two members of the target's dealer."""
    member, other = [await world.shop.member(dealer=target.dealer) for _ in range(2)]
    return target._replace(member=member, other=str(other.id))


async def _merged(world: World, target: Target, role: Role) -> Target:
    target = await _twice(world, target, role)
    made = await _post(world.shop, "/members/merges", _merge(target))
    return target._replace(merge=made["id"])


async def _claimed(world: World, target: Target, _: Role) -> Target:
    """Another member claims the car of a member who is the caller."""
    member, other = [await world.shop.member(dealer=target.dealer) for _ in range(2)]
    claim = await _post(world.shop, "/vehicle-claims", _claim(member.vin) | {"member_id": str(other.id)})
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
    call = await _post(world.shop, "/verification-calls", body)
    return target._replace(member=member, call=call["id"], account=caller)


async def _noted(world: World, target: Target, _: Role) -> Target:
    note = await _post(world.shop, f"/members/{target.member.id}/notes", _NOTE)
    return target._replace(note=note["id"])


async def _accompanied(world: World, target: Target, _: Role) -> Target:
    member = await world.shop.member(dealer=target.dealer)
    person = await _post(world.shop, f"/members/{member.id}/household", _PERSON)
    return target._replace(member=member, person=person["id"])


async def _leaving(world: World, target: Target, _: Role) -> Target:
    member = await world.shop.member(dealer=target.dealer)
    await _send(world.shop, "PUT", f"/members/{member.id}/erasure", {})
    return target._replace(member=member)


async def _asking(world: World, target: Target, _: Role) -> Target:
    return target._replace(request=await _requested(world.shop, target.dealer, target.material))


async def _approved(world: World, target: Target, role: Role) -> Target:
    target = await _asking(world, target, role)
    await _post(world.shop, f"/material-requests/{target.request}/approval", {})
    return target


async def _shipped(world: World, target: Target, role: Role) -> Target:
    target = await _approved(world, target, role)
    await _post(world.shop, f"/material-requests/{target.request}/shipment", _SHIPMENT)
    return target


async def _drafted(world: World, target: Target, _: Role) -> Target:
    return target._replace(rule=(await _post(world.shop, "/rules", _rule(target.dealer)))["id"])


async def _published(world: World, target: Target, role: Role, *, drafted: bool = False) -> Target:
    target = target if drafted else await _drafted(world, target, role)
    path, first = f"/rules/{target.rule}/publication", {"If-Match": '"1"'}
    assert (await world.api.call("POST", path, world.shop.hq, headers=first)).status_code == 200
    return target


async def _cased(world: World, target: Target, role: Role) -> Target:
    """An answer to a survey of its own that headquarters is to look at first."""
    name = f"s{next(serials)}"
    says: dict[str, Any] = {
        "trigger": "survey_answered", "condition": f'event.survey == "{name}"', "amount": "5",
        "hold_for_review": "true", "stacking": None, "caps": {},
        "examples": [
            {"fields": {"survey": name}, "dealer": {"code": target.dealer}, "on": str(NOW.date()), "points": 5}
        ],
    }  # fmt: skip
    draft = _rule(target.dealer) | {"dealer_code": None}
    made = await _post(world.shop, "/rules", draft | {"definition": draft["definition"] | says})
    await _published(world, target._replace(rule=made["id"]), role, drafted=True)
    event = {
        "trigger": "survey_answered", "key": name, "member_id": str(target.member.id), "dealer_code": target.dealer,
        "fields": {"survey": name},
    }  # fmt: skip
    return target._replace(case=(await _post(world.shop, "/points/earnings", event))["cases"][0])


async def _explained(world: World, target: Target, role: Role) -> Target:
    """An earning of an order, by the rule for orders."""
    await _post(world.shop, "/repair-orders", _order(target))
    page = await _send(world.shop, "GET", f"/members/{target.member.id}/postings")
    earning = next(one for one in page["items"] if one["cause"].startswith("repair_order:"))
    return target._replace(earning=str(earning["posting_no"]))


async def _tiered(world: World, target: Target, _: Role) -> Target:
    return target._replace(tier=(await _post(world.shop, "/tiers", _tier()))["code"])


async def _framed(world: World, target: Target, role: Role) -> Target:
    target = await _chapter(world, target, role)
    frame = await _post(world.shop, "/rule-frames", _FRAME | {"dealer_code": target.dealer})
    return target._replace(frame=frame["id"])


async def _pooled(world: World, target: Target, _: Role) -> Target:
    """A coupon whose codes are uploaded."""
    return target._replace(reward=await _reward(world.shop, _gift(target) | {"kind": "coupon", "codes": "pool"}))


async def _couponed(world: World, target: Target, role: Role) -> Target:
    """A coupon whose code a new member has."""
    target = await _member(world, target, role)
    coupon = await _reward(world.shop, _gift(target) | {"kind": "coupon", "codes": "own", "is_counted": False})
    token = world.api.token(Role.MEMBER, member=target.member.id)
    order = await _post(world.shop, "/members/me/reward-orders", {"reward_id": coupon}, token)
    return target._replace(reward=coupon, reward_code=order["codes"][0])


async def _vouchered(world: World, target: Target, role: Role) -> Target:
    """A voucher that a new member has claimed."""
    target = await _member(world, target, role)
    token = world.api.token(Role.MEMBER, member=target.member.id)
    made = await _post(world.shop, "/members/me/vouchers", {"perk_id": target.perk}, token)
    return target._replace(voucher=made["id"], voucher_code=made["code"])


async def _offline(world: World, target: Target, role: Role) -> Target:
    """The list by which a till works without a connection."""
    clerk = world.api.token(Role.PARTNER_CLERK, partner=target.partner)
    return target._replace(offline_list=(await _send(world.shop, "GET", "/vouchers/offline", token=clerk))["token"])


async def _wished(world: World, target: Target, role: Role) -> Target:
    """A gift that a new member has ordered."""
    target = await _member(world, target, role)
    token = world.api.token(Role.MEMBER, member=target.member.id)
    order = await _post(world.shop, "/members/me/reward-orders", {"reward_id": target.reward}, token)
    return target._replace(reward_order=order["id"])


async def _granted_wish(world: World, target: Target, role: Role) -> Target:
    target = await _wished(world, target, role)
    await _post(world.shop, f"/reward-orders/{target.reward_order}/confirmation", {})
    return target


async def _sent_wish(world: World, target: Target, role: Role) -> Target:
    target = await _granted_wish(world, target, role)
    await _post(world.shop, f"/reward-orders/{target.reward_order}/shipment", _SHIPMENT)
    return target


async def _planned(world: World, target: Target, _: Role) -> Target:
    return target._replace(event=(await _post(world.shop, "/events", _event(target)))["id"])


async def _put_forward(world: World, target: Target, _: Role) -> Target:
    """A proposal that its dealer's manager, the region and headquarters have each a part of to decide on."""
    lines = [
        {"kind": "money", "payer": payer, "purpose": "餐饮", "planned": 1}
        for payer in ("hq", f"dealer:{target.dealer}")
    ]
    event = (await _post(world.shop, "/events", _event(target) | {"lines": lines}))["id"]
    await _post(world.shop, f"/events/{event}/proposal", {})
    return target._replace(event=event)


def _lived(*deeds: str) -> "Making":
    """An event that costs nothing, as far as these steps take it; it is today's when it takes place."""

    async def make(world: World, target: Target, role: Role) -> Target:
        target = await _planned(world, target, role)
        for deed in ("proposal", "decisions", *deeds):
            if deed == "holding":
                await world.shop.pool.execute(
                    "UPDATE club_event SET starts_at = $2 WHERE id = $1", UUID(target.event), NOW
                )
            await _post(world.shop, f"/events/{target.event}/{deed}", _DEEDS.get(deed, {}))
        return target

    return make


async def _begun(world: World, target: Target, role: Role) -> Target:
    target = await _lived("publication", "opening", "closing")(world, target, role)
    await world.shop.pool.execute("UPDATE club_event SET starts_at = $2 WHERE id = $1", UUID(target.event), NOW)
    return target


async def _called_off(world: World, target: Target, role: Role) -> Target:
    target = await _planned(world, target, role)
    await _post(world.shop, f"/events/{target.event}/cancellation", _REASON)
    return target


async def _opened_for(world: World, target: Target, role: Role) -> Target:
    """An event that a new member, who is the caller, can register for."""
    target = await _lived("publication", "opening")(world, target, role)
    return target._replace(member=await world.shop.member(dealer=target.dealer))


async def _registered(world: World, target: Target, role: Role) -> Target:
    target = await _opened_for(world, target, role)
    whom = {"member_id": str(target.member.id)}
    made = await _post(world.shop, f"/events/{target.event}/registrations", whom)
    await world.shop.pool.execute("UPDATE registration SET fee_fen = 100 WHERE id = $1", UUID(made["id"]))
    return target._replace(registration=made["id"])


def _standing(status: str) -> "Making":
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
    listed = await _send(world.shop, "GET", f"/events/{target.event}/check-in-list")
    return target._replace(offline_list=listed["token"])


async def _came(world: World, target: Target, role: Role) -> Target:
    target = await _at_the_door(world, target, role)
    made = await _post(world.shop, f"/events/{target.event}/check-ins", _scan(target))
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
        await _post(world.shop, f"/events/{target.event}/{deed}", {})
    said = "INSERT INTO survey_answer (event_id, member_id, score, answered_at) VALUES ($1, $2, 8, $3)"
    await world.shop.pool.execute(said, UUID(target.event), target.member.id, NOW)
    return target


async def _pictured(world: World, target: Target, role: Role) -> Target:
    target = await _lived("publication", "opening", "closing", "holding")(world, target, role)
    answer = await world.api.call("POST", f"/events/{target.event}/photos", world.shop.hq, **_PNG)
    assert answer.status_code == 201, answer.text
    return target._replace(photo=answer.json()["id"])


def _of_kind(kind: str, make: "Making", *deeds: str) -> "Making":
    """An event of a kind, on which these are done after it was made."""

    async def made(world: World, target: Target, role: Role) -> Target:
        target = await make(world, target, role)
        await world.shop.pool.execute(
            "UPDATE club_event SET kind = $2, starts_at = $3 WHERE id = $1", UUID(target.event), kind, NOW
        )
        for deed in deeds:
            await _post(world.shop, f"/events/{target.event}/{deed}", _GATHERING.get(deed, lambda _: {})(target))
        return target

    return made


async def _bidding(world: World, target: Target, role: Role) -> Target:
    """A lot that the caller, if it is a member, may bid for."""
    target = await _of_kind("auction", _registered)(world, target, role)
    bidder = target.member
    if role is Role.MEMBER and target.dealer != world.own.dealer:
        bidder = world.own.member
        await _post(world.shop, f"/events/{target.event}/registrations", {"member_id": str(bidder.id)})
    await world.shop.earn(bidder, 100)
    made = await _post(world.shop, f"/events/{target.event}/lots", _lot(target))
    return target._replace(lot=made["id"])


async def _bid_over(world: World, target: Target, role: Role) -> Target:
    target = await _bidding(world, target, role)
    await world.shop.pool.execute("UPDATE auction_lot SET closes_at = $2 WHERE id = $1", UUID(target.lot), NOW)
    return target


async def _day_off(world: World, target: Target, _: Role) -> Target:
    await _send(world.shop, "PUT", f"/holidays/days/{target.day}", _HOLIDAY)
    return target


def _lot(_: Target) -> Body:
    return {"name": "车模", "start_points": 1, "closes_at": str(NOW + timedelta(days=1))}


def _invitation(_: Target) -> Body:
    return {"filter": {"field": "name", "op": "filled"}}


def _results(target: Target) -> Body:
    return {"results": [{"member_id": str(target.member.id), "rank": 1}]}


_HOLIDAY = {"is_day_off": True, "name_zh": "休", "name_en": "Off"}
_DRAW: Body = {"prizes": [{"prize": "茶"}], "entrants": "registered"}
_GATHERING: dict[str, Callable[[Target], Body]] = {"draw": lambda _: _DRAW, "results": _results}


async def _another_year(_: World, target: Target, __: Role) -> Target:
    """A year for which nothing is set."""
    return target._replace(year=str(next(_years)))


async def _chapter(world: World, target: Target, role: Role) -> Target:
    target = await _dealer(world, target, role)
    await _post(world.shop, f"/dealers/{target.dealer}/chapter", {})
    return target


async def _appointed(world: World, target: Target, _: Role) -> Target:
    made = await _post(world.shop, f"/dealers/{target.dealer}/chapter/officers", _officer(target))
    return target._replace(officer=made["id"])


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
    member = await _post(world.shop, "/members", _person())
    asked = await _post(
        world.shop, f"/members/{member['id']}/transfers", _transfer(target) | {"to_dealer_code": target.dealer}
    )
    return target._replace(transfer=asked["id"])


async def _sent(world: World, target: Target, role: Role) -> Target:
    """A file of the caller's own, where it may send some."""
    if target.dealer != world.own.dealer or role in {Role.AUDITOR, Role.MEMBER}:
        return target
    return target._replace(job=await _upload(world.shop, world.token(role, target.member)))


async def _delivered(world: World, target: Target, _: Role) -> Target:
    """A car that the caller delivered, if it is a sales consultant."""
    consultant = world.accounts[Role.SALES_CONSULTANT][0]
    made = await _post(world.shop, "/deliveries", _delivery(target) | {"consultant": consultant})
    return target._replace(delivery=made["id"])


async def _closed(world: World, target: Target, role: Role) -> Target:
    """A miss of the caller's that was closed."""
    made = await _delivered(world, target, role)
    await _post(world.shop, f"/deliveries/{made.delivery}/closing", {"reason": "declined"})
    return made


async def _lead(world: World, target: Target, _: Role) -> Target:
    """A lead of the caller's, if it is a sales consultant; its own referral, if it is the member."""
    body = _referral(target) | {"consultant": world.accounts[Role.SALES_CONSULTANT][0]}
    return target._replace(referral=(await _post(world.shop, "/referrals", body))["id"])


async def _asked_lead(world: World, target: Target, _: Role) -> Target:
    token = world.api.token(Role.MEMBER, member=target.member.id)
    return target._replace(referral=(await _post(world.shop, "/referrals", _referral(target), token))["id"])


async def _lost_lead(world: World, target: Target, role: Role) -> Target:
    target = await _lead(world, target, role)
    await _post(world.shop, f"/referrals/{target.referral}/feedback", _LOST)
    return target


async def _listed_pay(world: World, target: Target, _: Role) -> Target:
    """A chapter's list of incentives of a month of its own."""
    made = await _post(world.shop, "/incentive-lists", _list_asked(target.dealer))
    return target._replace(incentive_list=made["id"])


async def _approved_pay(world: World, target: Target, role: Role) -> Target:
    target = await _listed_pay(world, target, role)
    path = f"/incentive-lists/{target.incentive_list}/approval"
    answer = await world.api.call("POST", path, world.shop.hq, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    return target


async def _appealed_lead(world: World, target: Target, role: Role) -> Target:
    target = await _lost_lead(world, target, role)
    await _post(world.shop, f"/referrals/{target.referral}/appeal", _REASON)
    return target


async def _deliveries_sent(world: World, target: Target, role: Role) -> Target:
    """A file of the caller's own; a care director sends the foreign one, and the one an auditor looks at."""
    is_own = target.dealer == world.own.dealer and role is not Role.AUDITOR
    token = world.token(role, target.member) if is_own else world.api.token(Role.CARE_DIRECTOR, dealer=target.dealer)
    answer = await world.api.call("POST", "/deliveries/imports", token, content=b"", headers=_LINES)
    assert answer.status_code == 202, answer.text
    return target._replace(job=str(answer.json()["id"]))


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


Making = Callable[[World, Target, Role], Awaitable[Target]]
FRESH: dict[str, Making] = {
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
    "calls_close": _to_call,
    "calls_create": _to_call,
    "calls_list": _to_call,
    "duplicates_dismiss": _paired,
    "duplicates_list": _paired,
    "accounts_drop_external_identity": _linked,
    "accounts_end_grant": _granted,
    "accounts_grant": _granted,
    "applications_approve": _applied,
    "applications_refuse": _applied,
    "applications_withdraw": _applied,
    "chapters_close": _chapter,
    "chapters_open": _dealer,
    "claims_consent": _claimed,
    "claims_decide": _claiming,
    "claims_object": _claimed,
    "claims_withdraw": _claiming,
    "deliveries_cancel": _delivered,
    "deliveries_close": _delivered,
    "deliveries_get": _delivered,
    "deliveries_import_read": _deliveries_sent,
    "deliveries_import_rejected": _deliveries_sent,
    "deliveries_list": _delivered,
    "deliveries_reopen": _closed,
    "deliveries_update": _delivered,
    "disputes_answer": _disputed,
    "holds_capture": _held,
    "holds_create": _member,
    "holds_release": _held,
    "household_add": _member,
    "household_remove": _accompanied,
    "identity_end_session": _signed_in,
    "material_requests_approve": _asking,
    "material_requests_receive": _shipped,
    "material_requests_refuse": _asking,
    "material_requests_ship": _approved,
    "material_requests_withdraw": _approved,
    "members_change_status": _member,
    "members_sell_vehicle": _member,
    "notes_delete": _noted,
    "merges_create": _twice,
    "merges_get": _merged,
    "merges_undo": _merged,
    "officers_get": _appointed,
    "officers_remove": _appointed,
    "officers_update": _appointed,
    "orders_cancel": _ordered,
    "orders_import_read": _sent,
    "orders_import_rejected": _sent,
    "points_reverse": _earned,
    "points_write_off": _owing,
    "privacy_close": _member,
    "privacy_erase": _member,
    "privacy_erasure": _leaving,
    "privacy_keep": _leaving,
    "privacy_phone_code": _member,
    "recruitment_applications_age": _applied,
    "recruitment_consultants": _delivered,
    "recruitment_misses": _delivered,
    "redemptions_redeem": _member,
    "referrals_appeal": _lost_lead,
    "referrals_confirm": _asked_lead,
    "referrals_decide": _appealed_lead,
    "referrals_get": _lead,
    "referrals_list": _lead,
    "referrals_refuse": _asked_lead,
    "referrals_report": _lead,
    "referrals_steps": _lead,
    "referrals_withdraw": _lead,
    "redemptions_refund": _redeemed,
    "redemptions_send_code": _member,
    "reward_orders_cancel": _wished,
    "reward_orders_confirm": _wished,
    "reward_orders_deliver": _granted_wish,
    "reward_orders_get": _wished,
    "reward_orders_list": _wished,
    "reward_orders_mine": _wished,
    "reward_orders_order": _member,
    "reward_orders_place": _member,
    "reward_orders_return": _sent_wish,
    "reward_orders_ship": _granted_wish,
    "rewards_upload_codes": _pooled,
    "rewards_use_code": _couponed,
    "perk_figures_dealers": _vouchered,
    "vouchers_check": _vouchered,
    "vouchers_claim": _member,
    "vouchers_claim_for": _member,
    "vouchers_list": _vouchered,
    "vouchers_mine": _vouchered,
    "vouchers_qr": _vouchered,
    "vouchers_report": _offline,
    "vouchers_return": _vouchered,
    "vouchers_use": _vouchered,
    "cases_approve": _cased,
    "cases_get": _cased,
    "cases_list": _cased,
    "cases_refuse": _cased,
    "members_posting_why": _explained,
    "rule_frames_create": _chapter,
    "rule_frames_delete": _framed,
    "rules_publish": _drafted,
    "incentive_lists_approve": _listed_pay,
    "incentive_lists_export": _listed_pay,
    "incentive_lists_get": _listed_pay,
    "incentive_lists_lines": _listed_pay,
    "incentive_lists_list": _listed_pay,
    "incentive_lists_pay": _approved_pay,
    "rules_retire": _published,
    "segments_delete": _saved,
    "tiers_delete": _tiered,
    "statements_confirm": _statement,
    "statements_pay": _confirmed,
    "transfers_accept": _coming,
    "transfers_ask": _member,
    "transfers_get": _going,
    "transfers_list": _going,
    "transfers_refuse": _coming,
    "transfers_withdraw": _going,
}
"""How what an operation uses up is made, of the target's dealer."""


# --- what a request says ---

_REASON = {"reason": "说明"}
_FILTER = {"field": "status", "op": "is", "value": "active"}
_PARTNER: Body = {"name": "茶馆", "category": "restaurant", "valid_from": "2026-01-01"}
_PERK: Body = {"name": "下午茶", "valid_from": "2026-01-01"}
_LINES = {"Content-Type": "application/x-ndjson"}
_PNG: Body = {
    "content": bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000"
        "040001f61738550000000049454e44ae426082"
    ),
    "headers": {"Content-Type": "image/png"},
}
_PDF: Body = {"content": b"%PDF-1.7", "headers": {"Content-Type": "application/pdf"}}
_SHIPMENT = {"carrier": "顺丰", "tracking_no": "SF1234567890"}
_FRAME: Body = {
    "triggers": ["repair_order"], "most_points_an_award": 100, "most_points_a_member_month": 100,
    "most_expiry_months": 24,
}  # fmt: skip
_REPORT = {"guests": 20, "summary": "顺利"}
_DEEDS: dict[str, Body] = {"decisions": {"decision": "approved"}, "report": _REPORT}
_years = count(2027)
_PASSWORD = "correct horse battery 马"


def _person() -> Body:
    serial = next(serials)
    return {"name": "王芳", "phone": f"137{serial:08d}", "vin": car(serial), "source": "event"}


def _hire() -> Body:
    return {"username": f"u{next(serials)}", "name": "李", "role": "service_advisor", "password": _PASSWORD}


def _order(target: Target) -> Body:
    return {
        "dealer_code": target.dealer, "order_no": f"RO{next(serials)}", "vin": target.member.vin,
        "closed_at": "2026-11-21T09:30:00+08:00", "kind": "repair", "labour_fen": 1_000, "parts_fen": 0,
        "paid_fen": 1_000,
    }  # fmt: skip


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


def _delivery(target: Target) -> Body:
    serial = next(serials)
    return {
        "dealer_code": target.dealer, "vin": car(serial), "delivered_on": str(NOW.date()), "owner_kind": "individual",
        "owner_name": "王芳", "phone": f"135{serial:08d}",
    }  # fmt: skip


def _referral(target: Target) -> Body:
    return {
        "referrer_no": target.member.member_no, "buyer_name": "赵敏", "buyer_phone": f"138{next(serials):08d}",
        "may_contact": True, "dealer_code": target.dealer,
    }  # fmt: skip


_LOST = {"status": "lost", "note": "说明"}


def _claim(vin: str) -> Body:
    return {"vin": vin, "bought_on": str(NOW.date()), "proof": "说明"}


def _spend(target: Target) -> Body:
    how = {"code": target.code} if target.code else {"dealer_code": target.dealer}
    return {"member_id": str(target.member.id), "points": 5, "order_no": f"RO{next(serials)}"} | how


def _earning(target: Target) -> Body:
    cause = {"type": "campaign", "key": f"c-{next(serials)}"}
    return {"member_id": str(target.member.id), "points": 10, "cause": cause}


def _reversal(target: Target) -> Body:
    return {"member_id": str(target.member.id), "posting_no": int(target.earning)} | _REASON


def _correction(target: Target) -> Body:
    return {"member_id": str(target.member.id), "points": 1} | _REASON


def _merge(target: Target) -> Body:
    return {"from_id": str(target.member.id), "into_id": target.other} | _REASON


_NOTE = {"text": "爱喝茶"}
_PERSON = {"relation": "spouse"}


def _segment(target: Target) -> Body:
    return {"name": f"s{next(serials)}", "filter": _FILTER, "dealer_code": target.dealer}


def _rule(dealer: str) -> Body:
    definition = {
        "trigger": "repair_order", "amount": "1", "funders": [{"party": "dealer", "percent": "100"}],
        "expiry": {"kind": "rolling_months", "months": 24}, "caps": {"per_order": 1, "per_member_month": 1},
        "valid_from": "2026-11-01",
        "examples": [{"fields": {"kind": "repair", "paid_fen": 1}, "on": "2026-11-21", "points": 1}],
    }  # fmt: skip
    named = {"code": f"r{next(serials)}", "label_zh": "规则", "label_en": "Rule", "dealer_code": dealer}
    return named | {"definition": definition}


def _tried(target: Target) -> Body:
    """A draft of a dealer on a month."""
    draft = {name: value for name, value in _rule(target.dealer).items() if not name.startswith("label_")}
    return {"month": "2026-10", "dealer_code": target.dealer, "rules": [draft]}


def _officer(_: Target) -> Body:
    return {"office": "activities", "name": "李", "since": str(NOW.date())}


def _material() -> Body:
    return {"name": f"茶杯{next(serials)}", "kind": "gift", "unit": "件"}


def _gift(target: Target) -> Body:
    return {
        "kind": "gift", "name": f"茶杯{next(serials)}", "dealer_code": target.dealer, "prices": [{"points": 1}],
        "valid_from": "2026-01-01", "is_counted": True,
    }  # fmt: skip


def _transfer(_: Target) -> Body:
    return {"to_dealer_code": None} | _REASON


def _email(_: Target) -> Body:
    return {"email": f"li{next(serials)}@example.com"}


def _contract(target: Target) -> Body:
    day = date(2100, 1, 1) + timedelta(days=next(serials) % 30_000)
    return {"dealer_code": target.dealer, "valid_from": str(day), "rate_fen_per_thousand": 5_000}


BODIES: dict[str, Callable[[Target], Body]] = {
    "calls_close": lambda _: {"outcome": "confirmed"},
    "calls_create": lambda target: {
        "member_id": str(target.member.id), "assigned_to": target.account, "question": "说明",
    },
    "duplicates_dismiss": lambda _: _REASON,
    "accounts_create": lambda target: {
        "username": f"u{next(serials)}", "name": "李", "password": _PASSWORD,
        "grant": {"role": "care_staff", "dealer_code": target.dealer},
    },
    "accounts_end_grant": lambda _: {"last_day": "2099-01-01"},
    "accounts_grant": lambda target: {"role": "sales_consultant", "dealer_code": target.dealer},
    "accounts_reset_password": lambda _: {"password": "another horse battery 马"},
    "accounts_set_external_identity": _email,
    "accounts_update": lambda _: {"name": "李"},
    "applications_create": lambda target: _person() | {"dealer_code": target.dealer},
    "applications_refuse": lambda _: _REASON,
    "applications_withdraw": lambda _: _REASON,
    "chapters_close": lambda _: {"to_dealer_code": None} | _REASON,
    "attributes_create": lambda _: {"key": f"a{next(serials)}", "label_zh": "项", "label_en": "Item", "kind": "text"},
    "attributes_update": lambda _: {"weight": 15},
    "card_designs_set": lambda _: {"background": "#FFFFFF", "foreground": "#000000"},
    "chapters_update": lambda _: {"name": "会"},
    "claims_consent": lambda _: {"reference": "说明"},
    "claims_create": lambda target: _claim(car(next(serials))) | {"member_id": str(target.member.id)},
    "claims_decide": lambda _: {"accept": True} | _REASON,
    "claims_object": lambda _: _REASON,
    "claims_withdraw": lambda _: _REASON,
    "contracts_add": _contract,
    "counter_lookup": lambda target: {"member_no": target.member.member_no},
    "dealers_create": lambda target: {
        "code": f"DE{next(serials)}", "region_code": target.region, "has_after_sales": True,
    },
    "dealers_update": lambda _: {"name": "店"},
    "deliveries_cancel": lambda _: _REASON,
    "deliveries_close": lambda _: {"reason": "declined"},
    "deliveries_record": _delivery,
    "deliveries_update": lambda _: {"model": "Sedan"},
    "disputes_answer": lambda _: {"answer": "更正"},
    "holds_capture": lambda _: {"points": 1},
    "holds_create": _spend,
    "household_add": lambda _: _PERSON,
    "household_update": lambda _: {"drives": True},
    "intervals_create": lambda _: {"model": f"m{next(serials)}", "months": 6},
    "intervals_update": lambda _: {"months": 12},
    "documents_create": lambda _: {"title": "规定"},
    "documents_update": lambda _: {"title": "新规定"},
    "material_requests_ask": lambda target: {"lines": [{"material_id": target.material, "quantity": 1}]},
    "material_requests_receive": lambda _: {},
    "material_requests_refuse": lambda _: _REASON,
    "material_requests_ship": lambda _: _SHIPMENT,
    "material_requests_withdraw": lambda _: _REASON,
    "materials_change_stock": lambda _: {"change": 1} | _REASON,
    "materials_create": lambda _: _material(),
    "materials_update": lambda _: {"unit": "个"},
    "members_change_status": lambda _: {"to": "suspended", "reason": "说明"},
    "members_enrol": lambda target: _person() | {"dealer_code": target.dealer},
    "members_search": lambda target: {"member_no": target.member.member_no},
    "members_sell_vehicle": lambda target: {"vin": target.member.vin, "sold_on": str(NOW.date())},
    "members_update": lambda _: {"name": "张"},
    "merges_create": _merge,
    "merges_undo": lambda _: _REASON,
    "officers_appoint": _officer,
    "officers_update": lambda _: {"name": "王"},
    "notes_update": lambda _: {"is_pinned": True},
    "notes_write": lambda _: _NOTE,
    "orders_cancel": lambda _: _REASON,
    "orders_record": _order,
    "orders_search": lambda target: {"vin": target.member.vin},
    "points_adjust": _correction,
    "points_earn": _earning,
    "points_reverse": _reversal,
    "points_write_off": _correction,
    "privacy_correct": lambda _: {"name": "张伟"},
    "privacy_decide": lambda _: {"purpose": "marketing", "decision": "refused", "channel": "app"},
    "privacy_phone_code": lambda _: {"phone": f"136{next(serials):08d}"},
    "privacy_provide": lambda _: {"partner_code": PARTNER["code"], "kinds": ["name"], "reason": "说明"},
    "privacy_publish": lambda _: {"purpose": "marketing", "text_zh": "说明", "text_en": "Text", "renews": False},
    "privacy_set_birth": lambda _: {"born_on": "1990-01-01"},
    "profiles_update": lambda _: {"contact": {"channels": []}},
    "programs_create": lambda _: {"username": f"p{next(serials)}", "name": "App", "scopes": ["members:read"]},
    "recruitment_plan_set": lambda _: {"target": 10},
    "redemptions_redeem": _spend,
    "redemptions_refund": lambda _: {"points": 1, "reason": "说明"},
    "redemptions_send_code": lambda target: {"member_id": str(target.member.id), "points": 10},
    "referrals_appeal": lambda _: _REASON,
    "referrals_appeal_refusal": lambda target: _referral(target) | {"buyer_phone": target.member.phone} | _REASON,
    "referrals_decide": lambda _: {"granted": False} | _REASON,
    "referrals_refuse": lambda _: _REASON,
    "referrals_register": _referral,
    "referrals_report": lambda _: _LOST,
    "referrals_withdraw": lambda _: _REASON,
    "regions_create": lambda _: {"code": f"R{next(serials)}", "name": "区"},
    "reward_orders_cancel": lambda _: _REASON,
    "reward_orders_order": lambda target: {"reward_id": target.reward},
    "reward_orders_place": lambda target: {
        "reward_id": target.reward, "member_id": str(target.member.id), "code": target.code or "000000",
    },
    "reward_orders_return": lambda _: _REASON | {"is_restocked": True},
    "reward_orders_ship": lambda _: _SHIPMENT,
    "rewards_change_stock": lambda _: {"change": 1} | _REASON,
    "rewards_create": _gift,
    "rewards_update": lambda _: {"name": "新茶杯"},
    "agencies_create": lambda _: {"code": f"A{next(serials)}", "name": "代理"},
    "agencies_update": lambda _: {"name": "新代理"},
    "partners_add_block": lambda _: {"points": 1, "amount_fen": 1, "reference": "B-1"},
    "partners_create": lambda target: _PARTNER | {"code": f"P{next(serials)}", "dealer_code": target.dealer},
    "partners_update": lambda _: {"place": "杭州"},
    "perks_create": lambda target: _PERK | {"partner_code": target.partner},
    "perks_update": lambda _: {"terms": "两人份"},
    "vouchers_check": lambda target: {"code": target.voucher_code},
    "vouchers_claim": lambda target: {"perk_id": target.perk},
    "vouchers_claim_for": lambda target: {"perk_id": target.perk, "member_id": str(target.member.id)},
    "vouchers_report": lambda target: {
        "token": target.offline_list, "uses": [{"code": "2222-2222-2222", "used_on": str(NOW.date())}],
    },
    "vouchers_use": lambda target: {"code": target.voucher_code},
    "rewards_use_code": lambda target: {"code": target.reward_code},
    "rewards_upload_codes": lambda _: {"codes": [f"TEA-{next(serials)}"]} | _REASON,
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
    "event_reports_return": lambda _: _REASON,
    "check_ins_create": _scan,
    "check_ins_undo": lambda _: _REASON,
    "check_ins_upload": lambda target: {
        "token": target.offline_list, "device": "pad", "scans": [_scan(target) | {"at": str(NOW)}],
    },
    "registrations_create": lambda target: {"member_id": str(target.member.id)},
    "registrations_change": lambda _: {"companions": []},
    "registrations_change_mine": lambda _: {"companions": []},
    "registrations_pay": lambda _: {"reference": "1"},
    "registrations_promote": lambda _: _REASON,
    "registrations_register": lambda target: {"event_id": target.event},
    "events_cancel": lambda _: _REASON,
    "events_create": _event,
    "events_decide": lambda _: {"decision": "refused"} | _REASON,
    "events_update": lambda _: {"place": "顺义"},
    "budgets_create": lambda target: _budget(target.dealer),
    "budgets_update": lambda _: {"points": 200},
    "cases_approve": lambda _: _REASON,
    "cases_refuse": lambda _: _REASON,
    "rule_frames_create": lambda target: _FRAME | {"dealer_code": target.dealer},
    "rule_frames_update": lambda _: {"most_expiry_months": 24},
    "rules_create": lambda target: _rule(target.dealer),
    "incentive_rules_create": lambda target: _incentive(target.dealer),
    "incentive_lists_draw_up": lambda target: {"month": "2026-10", "dealer_code": target.dealer},
    "incentive_lists_pay": lambda _: {"reference": "工资"},
    "signals_judge": lambda _: {"status": "cleared"} | _REASON,
    "accounts_set_phones": lambda _: {"phones": []},
    "rules_retire": lambda _: {},
    "rules_what_if": _tried,
    "rules_update": lambda _: {"label_en": "Rule"},
    "segments_create": _segment,
    "segments_preview": lambda _: {"filter": _FILTER},
    "segments_update": lambda _: {"filter": _FILTER},
    "staff_create": lambda _: _hire(),
    "staff_reset_password": lambda _: {"password": "another horse battery 马"},
    "staff_update": lambda _: {"name": "李"},
    "statements_dispute": lambda _: _REASON,
    "statements_pay": lambda _: {"reference": "x"},
    "vehicles_note_mileage": lambda _: {"km": 1, "read_on": str(NOW.date())},
    "vehicles_search": lambda target: {"vin": target.member.vin},
    "vehicles_update": lambda _: {"insurance_ends_on": "2027-10-31"},
    "targets_set": lambda _: {"members": 100},
    "tier_programme_update": lambda _: {"warn_days": 60},
    "tiers_create": lambda _: _tier(),
    "tiers_give": lambda target: {"tier": target.tier, "held_until": "2026-12-31"} | _REASON,
    "tiers_update": lambda _: {"label_en": "Tier"},
    "transfers_ask": _transfer,
    "transfers_refuse": lambda _: _REASON,
    "transfers_withdraw": lambda _: _REASON,
}  # fmt: skip
"""What an operation is sent to be served; without an entry, nothing."""

VERSIONS = {
    "accounts_update": "/accounts/{account_id}",
    "attributes_update": "/attributes/{attribute_key}",
    "card_designs_set": "/card-designs/{dealer_code}",
    "chapters_update": "/dealers/{code}/chapter",
    "dealers_update": "/dealers/{code}",
    "deliveries_update": "/deliveries/{delivery_id}",
    "events_update": "/events/{event_id}",
    "documents_update": "/documents/{document_id}",
    "household_update": "/members/{member_id}/household/{person_id}",
    "intervals_update": "/service-intervals/{interval_id}",
    "materials_update": "/materials/{material_id}",
    "members_update": "/members/{member_id}",
    "notes_update": "/members/{member_id}/notes/{note_id}",
    "privacy_correct": "/members/{member_id}",
    "profiles_update": "/members/{member_id}/profile",
    "recruitment_plan_set": "/recruitment/plan/{period}/{dealer_code}",
    "rewards_update": "/rewards/{reward_id}",
    "agencies_update": "/agencies/{agency_code}",
    "partners_update": "/partners/{partner_code}",
    "perks_update": "/perks/{perk_id}",
    "budgets_update": "/points/budgets/{budget_code}",
    "rule_frames_delete": "/rule-frames/{frame_id}",
    "rule_frames_update": "/rule-frames/{frame_id}",
    "rules_publish": "/rules/{rule_id}",
    "incentive_rules_end": "/incentive-rules/{incentive_rule_id}",
    "incentive_lists_approve": "/incentive-lists/{incentive_list_id}",
    "incentive_lists_pay": "/incentive-lists/{incentive_list_id}",
    "signals_judge": "/signals/{signal_id}",
    "rules_retire": "/rules/{rule_id}",
    "rules_update": "/rules/{rule_id}",
    "segments_delete": "/segments/{segment_id}",
    "segments_update": "/segments/{segment_id}",
    "staff_update": "/accounts/{account_id}",
    "vehicles_update": "/vehicles/{vehicle_id}",
    "officers_remove": "/officers/{officer_id}",
    "officers_update": "/officers/{officer_id}",
    "targets_set": "/dealers/{code}/chapter/targets/{target_period}",
    "tier_programme_update": "/tier-programme",
    "tiers_update": "/tiers/{tier_code}",
}
"""Where the version stands that an operation's If-Match has to name."""

LISTS: dict[str, Callable[[Target], str]] = {
    "calls_list": lambda target: target.call,
    "duplicates_list": lambda target: target.duplicate,
    "members_export": lambda target: target.member.vin,
    "accounts_list": lambda target: target.account,
    "applications_list": lambda target: target.application,
    "claims_list": lambda target: target.claim,
    "completeness_list": lambda target: f'"dealer_code":"{target.dealer}"',
    "dealers_list": lambda target: f'"code":"{target.dealer}"',
    "deliveries_list": lambda target: target.delivery,
    "event_budgets_list": lambda target: f'"dealer_code":"{target.dealer}"',
    "events_list": lambda target: target.event,
    "registrations_list": lambda target: target.registration,
    "material_requests_list": lambda target: target.request,
    "members_list": lambda target: str(target.member.id),
    "members_search": lambda target: str(target.member.id),
    "notes_list": lambda target: target.note,
    "orders_list": lambda target: target.order,
    "orders_search": lambda target: target.order,
    "recruitment_applications_age": lambda target: f'"dealer_code":"{target.dealer}"',
    "recruitment_consultants": lambda target: f'"dealer_code":"{target.dealer}"',
    "recruitment_misses": lambda target: target.delivery,
    "recruitment_plan": lambda target: f'"dealer_code":"{target.dealer}"',
    "referrals_list": lambda target: target.referral,
    "regions_list": lambda target: f'"code":"{target.region}"',
    "reports_network": lambda target: f'"{target.region}":',
    "reports_referrals": lambda target: f'"{target.region}":',
    "reports_ranking": lambda target: f'"code":"{target.dealer}"',
    "reward_orders_list": lambda target: target.reward_order,
    "reward_orders_mine": lambda target: target.reward_order,
    "partners_list": lambda target: f'"code":"{target.partner}"',
    "perk_figures_dealers": lambda target: f'"dealer_code":"{target.dealer}"',
    "perk_figures_partners": lambda target: f'"partner_code":"{target.partner}"',
    "partners_accounts": lambda target: f'"partner_code":"{target.partner}"',
    "perks_list": lambda target: target.perk,
    "perks_offers": lambda target: target.perk,
    "vouchers_list": lambda target: target.voucher,
    "vouchers_mine": lambda target: target.voucher,
    "rewards_list": lambda target: target.reward,
    "rewards_offers": lambda target: target.reward,
    "rule_frames_list": lambda target: target.frame,
    "budgets_list": lambda target: target.budget,
    "cases_list": lambda target: target.case,
    "rules_list": lambda target: target.rule,
    "incentive_rules_list": lambda target: target.incentive_rule,
    "incentive_lists_list": lambda target: target.incentive_list,
    "signals_list": lambda target: target.signal,
    "segments_list": lambda target: target.segment,
    "segments_preview": lambda target: str(target.member.id),
    "statements_list": lambda target: target.statement,
    "vehicles_search": lambda target: target.vehicle,
    "transfers_list": lambda target: target.transfer,
}
"""Lists, and what they show of a target to whom they show it."""


NEW = {"registrations_change", "registrations_change_mine"}
"""What these change is made for the call."""


async def version(world: World, operation: str, parameters: dict[str, str]) -> str:
    """The ETag that an operation on an existing record has to name."""
    if operation not in VERSIONS:
        return '"1"' if operation in NEW else '"0"'
    path = VERSIONS[operation].format(**parameters)
    return str((await world.api.call("GET", path, world.shop.hq)).headers["ETag"])


# --- what needs no token ---


async def _sign_in(world: World) -> Body:
    account = await hire(world.api, f"u{next(serials)}", Role.SERVICE_ADVISOR, dealer="BJ001")
    return {"json": {"username": account.username, "password": "correct horse battery 马"}}


async def _new_password(world: World) -> Body:
    asked = await _sign_in(world)
    return {"json": asked["json"] | {"new_password": "another horse battery 马"}}


async def _program_asks(world: World) -> Body:
    made = await _post(
        world.shop, "/programs", {"username": f"p{next(serials)}", "name": "App", "scopes": ["members:read"]}
    )
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
    return {"json": {"refresh_token": (await _opened(world.api, actor, member_id=member.id)).refresh_token}}


async def _generator(world: World) -> Body:
    proof = (await _sign_in(world))["json"]
    begun = await _post(world.shop, "/sign-in/second-factor", proof)
    secret = parse_qs(urlsplit(begun["uri"]).query)["secret"][0]
    return {"json": proof | {"otp": second_factor.code_at(secret, NOW)}}


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


def content_of(operation: str, body: Body, method: str) -> Body:
    """A body as httpx takes it."""
    if operation == "documents_upload":
        return dict(_PDF)
    if operation == "event_photos_add":
        return dict(_PNG)
    if operation == "members_import":
        header = ",".join(MEMBER_COLUMNS).encode()
        return {"content": header, "headers": {"Content-Type": "text/csv"}}
    if operation in {"orders_import", "deliveries_import"}:
        return {"content": b"", "headers": _LINES}
    return {"json": body} if method in {"POST", "PUT", "PATCH"} else {}


def problem_of(answer: httpx.Response) -> str:
    """The type of a refusal, empty for none."""
    return str(answer.json()["type"]) if answer.status_code >= 400 else ""
