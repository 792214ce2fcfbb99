"""What is asked for and in what world: a target of each dealer's, and how requests for it are made."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from app.core.actors import PROGRAM_SCOPES, Reach, Role
from app.core.sms import Message
from tests.api import Api
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop

Body = dict[str, Any]
NOBODY = str(UUID(int=9))
PARTNER = {"code": "COFFEE", "name": "Coffee"}
FIRST_MONTH = (NOW - timedelta(days=540)).date().replace(day=1)
serials = count(900_001)
REASON = {"reason": "说明"}
LINES = {"Content-Type": "application/x-ndjson"}
SHIPMENT = {"carrier": "顺丰", "tracking_no": "SF1234567890"}


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
    reward_image: str = NOBODY
    reward_code: str = "NONE-0001"
    partner: str = "NOBODY"
    agency: str = "NOBODY"
    perk: str = NOBODY
    voucher: str = NOBODY
    voucher_code: str = "2222-2222-2222"
    perk_claim: str = NOBODY
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
            "reward_id": self.reward, "order_id": self.reward_order, "image_id": self.reward_image,
            "partner_code": self.partner, "agency_code": self.agency, "perk_id": self.perk, "voucher_id": self.voucher,
            "perk_claim_id": self.perk_claim,
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

    def token(self, role: Role, member: Person) -> str:
        """A caller of BJ001, of its region, or this member; who reaches all reaches all."""
        return self.api.token(
            role,
            dealer=self.own.dealer if role.reach is Reach.DEALER else None,
            region=self.own.region if role.reach is Reach.REGION else None,
            partner=self.own.partner if role.reach is Reach.PARTNER else None,
            agency=self.own.agency if role.reach is Reach.AGENCY else None,
            member=member.id if role.reach is Reach.SELF else None,
            scopes=" ".join(PROGRAM_SCOPES) if role is Role.API_CLIENT else "",
            subject=self.accounts[role][0] if role in self.accounts else "",
        )


Making = Callable[[World, Target, Role], Awaitable[Target]]
Fresh = dict[str, Making]
Bodies = dict[str, Callable[[Target], Body]]
Files = dict[str, Body]
Versions = dict[str, str]
Lists = dict[str, Callable[[Target], str]]
"""What each is, `tests.asking` says."""


async def post(shop: Shop, path: str, body: Body, token: str = "") -> Any:
    """What is answered to what is made; headquarters' administrator asks unless a token is given."""
    return await send(shop, "POST", path, body, token)


async def send(shop: Shop, method: str, path: str, body: Body | None = None, token: str = "") -> Any:
    """What is answered; a refusal fails the test."""
    answer = await shop.api.call(method, path, token or shop.hq, json=body, key=f"made-{next(serials)}")
    assert answer.is_success, (method, path, answer.text)
    return answer.json() if answer.content else None


async def offered(shop: Shop, path: str) -> str:
    """The id of what was made a moment ago, offered from now on."""
    answer = await shop.api.call("PATCH", path, shop.hq, json={"is_offered": True}, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])
