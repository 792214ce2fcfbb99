"""What each role gets of each route for what is its own, another's, and not there at all: asked of the running API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from app.core.actors import PROGRAM_SCOPES, Reach, Role
from app.core.sms import Message
from app.settlement import service as settlement
from tests import generated
from tests.api import Api
from tests.generated import Access
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Person, Shop

SPENT_ON = "RO-9"
_serials = count(900_001)
Body = dict[str, Any]


class Whose(IntEnum):
    """Whose a route's target is, for a caller of BJ001, its region, or its member."""

    OWN = 0
    FOREIGN = 1
    ABSENT = 2


class Target(NamedTuple):
    """One of everything that belongs to a dealer or its member."""

    dealer: str
    region: str
    member: Person
    earning: str
    redemption: str
    hold: str
    order: str
    application: str
    account: str
    statement: str
    dispute: str
    job: str

    @property
    def path(self) -> dict[str, str]:
        """What the parameters of a path stand for."""
        return {
            "account_id": self.account, "application_id": self.application, "code": self.dealer,
            "dealer_code": self.dealer, "dispute_id": self.dispute, "grant_id": NOBODY, "job_id": self.job,
            "member_id": str(self.member.id), "order_no": self.order, "period": "2099-01",
            "posting_no": self.redemption, "session_id": NOBODY, "statement_id": self.statement,
        }  # fmt: skip


NOBODY = str(UUID(int=9))
NOWHERE = Target(
    "XX999", "XX", Person(UUID(int=1), "", "13999999999", car(1)), "999", "999", "999", "RO-none", *5 * [NOBODY]
)


class Silent:
    """A provider of text messages that sends none."""

    can_send = True

    async def send(self, phone: str, message: Message) -> None:
        """Sent."""


@dataclass
class World:
    """BJ001's and SH001's, and nothing."""

    api: Api
    targets: dict[Whose, Target]

    @classmethod
    async def made(cls, api: Api) -> "World":
        """Enough of both dealers to ask every route for."""
        api.app.state.sms = Silent()
        shop = await Shop.open(api)
        first_month = (NOW - timedelta(days=540)).date().replace(day=1)
        await settlement.close(api.db, first_month, now=NOW)
        own, foreign = [await _target(shop, dealer) for dealer in ("BJ001", "SH001")]
        return cls(api, {Whose.OWN: own, Whose.FOREIGN: foreign, Whose.ABSENT: NOWHERE})

    def token(self, role: Role) -> str:
        """A caller of BJ001, of its region, or its member; who reaches all reaches all."""
        own = self.targets[Whose.OWN]
        return self.api.token(
            role,
            dealer=own.dealer if role.reach is Reach.DEALER else None,
            region=own.region if role.reach is Reach.REGION else None,
            member=own.member.id if role.reach is Reach.SELF else None,
            scopes=" ".join(PROGRAM_SCOPES) if role is Role.API_CLIENT else "",
        )

    async def outcome(self, entry: Access, role: Role, whose: Whose) -> str:
        """`y`: served (or refused for the state of what was found), `-`: never (403), `.`: as if it were not there."""
        target = self.targets[whose]
        body = BODIES.get(entry.operation, lambda _: {})(target)
        if role.is_dealer_staff and body.get("order_no") == SPENT_ON:
            del body["dealer_code"]  # staff redeem at their own
        path = entry.path.format(**target.path | ({"posting_no": target.hold} if "/holds/" in entry.path else {}))
        answer = await self.api.call(
            entry.method, path, self.token(role), key=f"asked-{next(_serials)}", headers={"If-Match": '"0"'},
            **({"json": body} if entry.method in {"POST", "PUT", "PATCH"} else {}),
        )  # fmt: skip
        if answer.status_code == 422 and "not_your_dealer" in answer.text:
            return "."
        refusal = answer.json()["type"] if answer.status_code in {403, 404} else ""
        return {"/problems/forbidden": "-", "/problems/not-found": "."}.get(refusal, "y")


async def _target(shop: Shop, dealer: str) -> Target:
    member = await shop.member(dealer=dealer, points=1_000)
    advisor = shop.api.token(Role.SERVICE_ADVISOR, dealer=dealer)
    clerk = shop.api.token(Role.FINANCE_CLERK, dealer=dealer)
    redeemed = await _made(shop.redeem(member, 10, shop.program, dealer_code=dealer))
    held = await _made(
        shop.post("/holds", {"member_id": str(member.id), "points": 10, "order_no": "RO-2", "dealer_code": dealer},
                  shop.program)
    )  # fmt: skip
    order = _order(dealer, member.vin)
    await _made(shop.post("/repair-orders", order, advisor))
    applied = await _made(shop.post("/applications", _person() | {"dealer_code": dealer}, shop.hq))
    hired = await _made(shop.post(f"/dealers/{dealer}/staff", _hire(), shop.hq))
    _, statements = await shop.get("/statements", clerk)
    statement = statements["items"][0]["id"]
    dispute = await _made(shop.post(f"/statements/{statement}/disputes", {"reason": "说明"}, clerk))
    job = await shop.api.call(
        "POST", "/repair-orders/imports", advisor, content=b"", headers={"Content-Type": "application/x-ndjson"}
    )
    assert job.status_code == 202, job.text
    return Target(
        dealer, dealer[:2], member, "1", str(redeemed["posting_no"]), str(held["posting_no"]), order["order_no"],
        applied["id"], hired["id"], statement, dispute["id"], job.json()["id"],
    )  # fmt: skip


async def _made(answer: Any) -> Any:
    status, body = await answer
    assert status in {200, 201}, body
    return body


def _person() -> Body:
    serial = next(_serials)
    return {"name": "王芳", "phone": f"137{serial:08d}", "vin": car(serial), "source": "event"}


def _hire() -> Body:
    return {
        "username": f"u{next(_serials)}", "name": "李", "role": "service_advisor", "password": "correct horse battery",
    }  # fmt: skip


def _order(dealer: str, vin: str) -> Body:
    return {
        "dealer_code": dealer, "order_no": f"RO{next(_serials)}", "vin": vin, "closed_at": "2026-11-20T09:30:00+08:00",
        "kind": "repair", "labour_fen": 100, "parts_fen": 0, "paid_fen": 100,
    }  # fmt: skip


def _spend(target: Target) -> Body:
    return {"member_id": str(target.member.id), "points": 1, "order_no": SPENT_ON, "dealer_code": target.dealer}


_REASON = {"reason": "说明"}

BODIES: dict[str, Callable[[Target], Body]] = {
    "accounts_end_grant": lambda _: {"last_day": "2099-01-01"},
    "accounts_grant": lambda target: {"role": "care_staff", "dealer_code": target.dealer},
    "accounts_reset_password": lambda _: {"password": "correct horse battery"},
    "accounts_set_external_identity": lambda _: {"email": "li@example.com"},
    "accounts_update": lambda _: {"name": "李"},
    "applications_create": lambda target: _person() | {"dealer_code": target.dealer},
    "applications_refuse": lambda _: _REASON,
    "applications_withdraw": lambda _: _REASON,
    "chapters_update": lambda _: {"name": "会"},
    "redemptions_send_code": lambda target: {"member_id": str(target.member.id), "points": 10},
    "counter_lookup": lambda target: {"member_no": target.member.member_no or "0000000000"},
    "dealers_update": lambda _: {"name": "店"},
    "disputes_answer": lambda _: {"answer": "更正"},
    "holds_capture": lambda _: {"points": 1},
    "holds_create": _spend,
    "members_enrol": lambda target: _person() | {"dealer_code": target.dealer},
    "members_sell_vehicle": lambda target: {"vin": target.member.vin, "sold_on": "2099-01-01"},
    "members_change_status": lambda _: {"to": "active", "reason": "说明"},
    "members_update": lambda _: {"name": "张"},
    "orders_cancel": lambda _: _REASON,
    "orders_record": lambda target: _order(target.dealer, target.member.vin),
    "privacy_correct": lambda _: {"name": "张伟"},
    "privacy_decide": lambda _: {"purpose": "marketing", "decision": "refused", "channel": "app"},
    "privacy_phone_code": lambda _: {"phone": f"136{next(_serials):08d}"},
    "privacy_provide": lambda _: {"partner_code": "COFFEE", "kinds": ["name"], "reason": "说明"},
    "privacy_set_birth": lambda _: {"born_on": "1990-01-01"},
    "redemptions_redeem": _spend,
    "redemptions_refund": lambda _: {"points": 99_999, "reason": "说明"},
    "staff_create": lambda _: _hire(),
    "staff_update": lambda _: {"name": "李"},
    "statements_dispute": lambda _: _REASON,
    "statements_pay": lambda _: {"reference": "x"},
}
"""Bodies with which a route gets as far as looking for its target; what its state refuses then counts as served."""

LAST = ("privacy_close", "privacy_erase", "privacy_erasure", "privacy_keep")
"""These end memberships: asked for when everything else has been."""


def guarded() -> list[Access]:
    """Every route that asks who is calling, in the order in which they can be tried."""
    entries = [entry for entry in generated.access() if entry.requires is not None]
    return sorted(entries, key=lambda entry: LAST.index(entry.operation) if entry.operation in LAST else -1)


def written(operation: str, found: Mapping[Role, str]) -> str:
    """An operation's line of the table; a role that gets the same for all three has it once."""
    cells = (found.get(role, "?") for role in Role)
    short = (cell[0] if len(set(cell)) == 1 else cell for cell in cells)
    return " ".join([f"{operation:<32}", *(f"{cell:<3}" for cell in short)]).rstrip()
