"""What a month's perks cost: claimed with its close, approved or disputed, paid; and agencies' share of statements."""

import asyncio
from collections import Counter
from collections.abc import Collection
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Role
from app.core.db import connect
from app.partners import queries
from app.partners.models import PerkClaim
from app.settlement import service as settlement
from tests.callers import counted
from tests.now import NOW
from tests.partners.deals import (
    Body,
    change,
    claimed,
    clerk,
    code_of,
    disagreeing,
    kind,
    manager,
    partner,
    perk,
    publish,
    rule,
    use,
    visit,
)
from tests.shop import Answer, Shop, pointers

DECEMBER = NOW + timedelta(days=15)
PAYMENT = {"paid_on": "2026-11-20", "reference": "2026112100017"}


class Month(NamedTuple):
    """November, closed: a hotel that an agency found, and a winery that bears a share of its perk."""

    shop: Shop
    hotel: str
    winery: str
    agency: str

    def finance(self) -> str:
        return self.shop.api.token(Role.HQ_FINANCE)

    def dealer(self, code: str = "BJ001") -> str:
        return self.shop.api.token(Role.FINANCE_CLERK, dealer=code)

    def agent(self, code: str = "") -> str:
        return self.shop.api.token(Role.AGENCY_CLERK, agency=code or self.agency)

    async def lines(self, token: str, period: str = "2026-11") -> list[Body]:
        """The month's lines that somebody sees."""
        status, read = await self.shop.get(f"/perk-claims/{period}", token)
        assert status == 200, read
        return list(read["lines"])

    async def line(self, payer: str, basis: str = "vouchers") -> str:
        """The id of what a party pays."""
        (found,) = [one for one in await self.lines(self.shop.hq) if (one["payer"], one["basis"]) == (payer, basis)]
        return str(found["id"])

    async def step(self, claim: str, step: str, token: str, body: Body | None = None, key: str | None = None) -> Answer:
        """A line's next step."""
        return await self.shop.post(f"/perk-claims/{claim}/{step}", body or {}, token, key=key)


@pytest.fixture(scope="module")
async def month(shop: Shop) -> Month:
    agency = code_of("A")
    assert (await shop.post("/agencies", {"code": agency, "name": "联众代理"}, shop.hq))[0] == 201
    hotel, winery = await partner(shop, agency_code=agency, agency_percent="12.5"), await partner(shop)
    shares = [
        {"party": "hq", "percent": "10"}, {"party": "dealer", "percent": "20"},
        {"party": f"partner:{winery}", "percent": "30"}, {"party": f"partner:{hotel}", "percent": "40"},
    ]  # fmt: skip
    evening = await perk(shop, hotel, value_fen=10_001, shares=shares)
    for _ in range(2):
        voucher = await claimed(shop, await shop.member(), evening)
        assert (await use(shop, hotel, voucher["code"]))[0] == 201
    terms = {"dealer_code": f"partner:{hotel}", "valid_from": "2026-11-01", "rate_fen_per_thousand": 8_000}
    assert (await shop.post("/contracts", terms | {"charging": "issuance"}, shop.hq))[0] == 201
    await publish(shop, rule(hotel))
    member = await shop.member(points=400)
    await visit(shop, member, hotel, "1")
    # oldest expiry first: headquarters' points pay
    await claimed(shop, member, await perk(shop, hotel, points=300))
    forecast = await settlement.close(shop.api.db, date(2026, 11, 1), now=NOW, dry_run=True)
    assert forecast.net_fen + forecast.hq_net_fen == 0
    found = Month(shop, hotel, winery, agency)
    assert {one["status"] for one in await found.lines(shop.hq)} == {None}, "nothing is claimed of a month under way"
    first = date(2025, 5, 1)
    while first <= date(2026, 11, 1):
        await settlement.close(shop.api.db, first, now=DECEMBER)
        first = (first + timedelta(days=31)).replace(day=1)
    return found


async def test_a_partner_is_settled_with_like_a_dealer(month: Month, dsn: str) -> None:
    shop, hotel = month.shop, month.hotel
    nobody = {"dealer_code": "partner:NOBODY", "valid_from": "2027-01-01", "rate_fen_per_thousand": 8_000}
    refused = await shop.post("/contracts", nobody, shop.hq)
    assert pointers(refused[1]) == [("/dealer_code", "unknown_dealer")]
    status, page = await shop.get("/statements", clerk(shop, hotel))
    owed = [one for one in page["items"] if one["period"] == "2026-11"]
    assert (status, {one["dealer_code"] for one in page["items"]}) == (200, {f"partner:{hotel}"})
    # 300 points redeemed with it, 10 granted in its name, at 8 yuan a hundred
    assert [(one["credit_fen"], one["charge_fen"], one["net_fen"]) for one in owed] == [(2_400, 80, 2_320)]
    statement = f"/statements/{owed[0]['id']}"
    assert (await shop.get(statement, clerk(shop, hotel)))[0] == 200
    for stranger in (clerk(shop, month.winery), manager(shop, month.winery), shop.director):
        assert (await shop.get(statement, stranger))[0] == 404
    assert await disagreeing(dsn) == {}


async def test_a_partners_manager_disputes_and_confirms_its_statement(month: Month) -> None:
    shop, hotel = month.shop, month.hotel
    (owed,) = (await shop.get("/statements", manager(shop, hotel), period="2026-11"))[1]["items"]
    path = f"/statements/{owed['id']}"
    assert kind(await shop.post(f"{path}/confirmation", {}, clerk(shop, hotel))) == (403, "forbidden")
    assert kind(await shop.post(f"{path}/confirmation", {}, manager(shop, month.winery))) == (404, "not-found")
    status, disputed = await shop.post(f"{path}/disputes", {"reason": "少算"}, manager(shop, hotel))
    assert status == 201, disputed
    assert kind(await shop.post(f"{path}/payment", {"reference": "P-1"}, month.finance())) == (409, "wrong-status")
    assert (await shop.post(f"/disputes/{disputed['id']}/answer", {"answer": "无误"}, month.finance()))[0] == 200
    assert (await shop.post(f"{path}/confirmation", {}, manager(shop, hotel)))[1]["status"] == "confirmed"
    paid = (await shop.post(f"{path}/payment", {"reference": "P-1"}, month.finance()))[1]
    assert (paid["status"], paid["payment_reference"]) == ("paid", "P-1")


async def test_an_agency_has_its_share_of_what_a_statement_came_to(month: Month) -> None:
    shop, hotel = month.shop, month.hotel
    # fixed at the close, in the month of the close
    async with shop.at(DECEMBER):
        assert (await change(shop, f"/partners/{hotel}", shop.hq, agency_code=None, agency_percent=None))[0] == 200
        (earned,) = (await shop.get("/perk-figures/agencies", month.agent()))[1]["items"]
        assert (earned["points_fen"], earned["commission_fen"], earned["partners"]) == (80, 2_510, 0)
        assert [(one["partner_code"], one["commission_fen"]) for one in earned["by_partner"]] == [(hotel, 2_510)]
        (line,) = await month.lines(month.agent(), "2026-12")
    told = {"payer": "HQ", "payee": f"agency:{month.agency}", "basis": "commission", "partner_code": hotel, "count": 1}
    assert {name: line[name] for name in told} == told
    assert (line["amount_fen"], line["status"]) == (10, None)


async def test_the_close_claims_each_line_and_each_party_sees_its_own(month: Month) -> None:
    hotel, winery, agency = f"partner:{month.hotel}", f"partner:{month.winery}", f"agency:{month.agency}"
    whole = {
        ("HQ", hotel, 2_000), ("BJ001", hotel, 4_000), (winery, hotel, 6_000), ("HQ", agency, 2_500),
    }  # fmt: skip
    for token, mine in (
        (month.shop.hq, whole), (month.agent(), {("HQ", agency, 2_500)}),
        (manager(month.shop, month.winery), {(winery, hotel, 6_000)}), (month.dealer(), {("BJ001", hotel, 4_000)}),
        (month.dealer("SH001"), set()), (month.agent("A-OTHER"), set()),
    ):  # fmt: skip
        lines = await month.lines(token)
        assert {(one["payer"], one["payee"], one["amount_fen"]) for one in lines} == mine
        assert all(one["id"] and one["claimed_at"] for one in lines)


async def test_the_database_shows_each_its_own_lines(month: Month) -> None:
    for caller, lines in (
        (Actor("a", Role.AGENCY_CLERK, agency_code=month.agency), 1), (Actor("a", Role.AGENCY_CLERK), 0),
        (Actor("p", Role.PARTNER_MANAGER, partner_code=month.winery), 1), (Actor("f", Role.FINANCE_CLERK, "SH001"), 0),
        (Actor("f", Role.FINANCE_CLERK, "BJ001"), 1), (Actor("h", Role.HQ_FINANCE), 4),
    ):  # fmt: skip
        assert await counted(month.shop.api.db, caller, "perk_claim") == lines


async def test_the_payer_approves_and_pays(month: Month) -> None:
    shop, claim = month.shop, await month.line("BJ001")
    assert kind(await month.step(claim, "payment", month.dealer(), PAYMENT)) == (409, "wrong-status")
    for stranger, refusal in (
        (month.dealer("SH001"), 404), (month.agent(), 403), (manager(shop, month.winery), 404),
        (manager(shop, month.hotel), 403), (month.finance(), 403), (clerk(shop, month.hotel), 403),
        (shop.director, 403), (shop.api.token(Role.AUDITOR), 403),
    ):  # fmt: skip
        assert (await month.step(claim, "approval", stranger))[0] == refusal
    approved = await month.step(claim, "approval", month.dealer(), key="approve-1")
    assert (approved[0], approved[1]["status"], approved[1]["period"]) == (200, "approved", "2026-11")
    assert await month.step(claim, "approval", month.dealer(), key="approve-1") == approved
    assert kind(await month.step(claim, "approval", month.dealer())) == (409, "wrong-status")
    assert kind(await month.step(claim, "dispute", month.dealer(), {"reason": "迟了"})) == (409, "wrong-status")
    late = await month.step(claim, "payment", month.dealer(), PAYMENT | {"paid_on": "2026-11-22"})
    assert pointers(late[1]) == [("/paid_on", "date_in_future")]
    assert (await month.step(claim, "payment", month.dealer(), {"paid_on": "2026-11-20"}))[0] == 422
    status, paid = await month.step(claim, "payment", month.dealer(), PAYMENT)
    assert (status, paid["status"], paid["paid_on"]) == (200, "paid", "2026-11-20")
    assert kind(await month.step(claim, "payment", month.dealer(), PAYMENT)) == (409, "wrong-status")
    (hotel,) = (await shop.get("/perk-figures/partners", clerk(shop, month.hotel)))[1]["items"]
    assert (hotel["owed_fen"], hotel["paid_fen"]) == (12_000, 4_000)
    nets = (await shop.get("/perk-claims/2026-11", clerk(shop, month.hotel)))[1]["nets"]
    (net,) = [one for one in nets if one["party"] == f"partner:{month.hotel}"]
    assert (net["net_fen"], net["open_fen"]) == (12_000, 8_000)
    whole = (await shop.get("/perk-claims/2026-11", shop.hq))[1]["nets"]
    assert (sum(one["net_fen"] for one in whole), sum(one["open_fen"] for one in whole)) == (0, 0)


async def test_a_disputed_line_waits_for_headquarters(month: Month) -> None:
    shop, claim = month.shop, await month.line(f"partner:{month.winery}")
    payer = manager(shop, month.winery)
    assert pointers((await month.step(claim, "dispute", payer, {"reason": " "}))[1]) == [
        ("/reason", "string_too_short")
    ]
    disputed = (await month.step(claim, "dispute", payer, {"reason": "只用了一张"}))[1]
    assert (disputed["status"], disputed["reason"]) == ("disputed", "只用了一张")
    assert kind(await month.step(claim, "approval", payer)) == (409, "wrong-status")
    assert kind(await month.step(claim, "answer", payer, {"answer": "是"})) == (403, "forbidden")
    answered = (await month.step(claim, "answer", month.finance(), {"answer": "两张都用了"}))[1]
    assert (answered["status"], answered["answer"]) == ("claimed", "两张都用了")
    assert kind(await month.step(claim, "answer", month.finance(), {"answer": "再"})) == (409, "wrong-status")
    again = (await month.step(claim, "dispute", manager(shop, month.hotel), {"reason": "的确错了"}))[1]
    assert (again["reason"], again["answer"]) == ("的确错了", None)
    gone = (await month.step(claim, "answer", month.finance(), {"answer": "=1+1", "withdraw": True}))[1]
    assert (gone["status"], gone["answer"]) == ("withdrawn", "=1+1")
    sheet = await shop.api.call("GET", "/perk-claims/2026-11?format=csv", month.finance())
    assert ",'=1+1," in sheet.text, "no spreadsheet takes it for a formula"
    status, refused = await month.step(claim, "approval", month.finance())
    assert (status, refused["type"]) == (409, "/problems/wrong-status")
    assert "已撤回" in refused["detail"]
    nets = (await shop.get("/perk-claims/2026-11", payer))[1]["nets"]
    assert nets == [], "nothing is owed for it"


async def test_headquarters_finance_pays_commission(month: Month) -> None:
    claim = await month.line("HQ", "commission")
    assert kind(await month.step(claim, "approval", month.agent())) == (403, "forbidden")
    operations = month.shop.api.token(Role.HQ_OPERATIONS)
    assert kind(await month.step(claim, "approval", operations)) == (403, "forbidden")
    assert (await month.step(claim, "dispute", month.agent(), {"reason": "少算一家"}))[0] == 200
    assert (await month.step(claim, "answer", month.finance(), {"answer": "合同如此"}))[0] == 200
    assert (await month.step(claim, "approval", month.finance()))[0] == 200
    assert (await month.step(claim, "payment", month.finance(), PAYMENT))[0] == 200
    (earned,) = (await month.shop.get("/perk-figures/agencies", month.agent()))[1]["items"]
    assert earned["paid_fen"] == 2_500


async def test_an_agency_reaches_its_figures_and_claims_alone(month: Month) -> None:
    shop = month.shop
    for path in (
        "/perk-figures", "/perk-figures/partners", "/perk-figures/dealers", "/partners", f"/partners/{month.hotel}",
        f"/agencies/{month.agency}", "/agencies", "/statements", "/partner-accounts", "/vouchers", "/vouchers/offline",
        "/members", "/perks", "/accounts", "/contracts", "/periods", "/events",
    ):  # fmt: skip
        assert kind(await shop.get(path, month.agent())) == (403, "forbidden"), path
    assert (await shop.get("/perk-figures/agencies", month.agent("A-OTHER")))[1]["items"] == []
    assert kind(await shop.get("/perk-claims/2026-11", month.agent(), format="csv")) == (403, "forbidden")


@pytest.mark.parametrize("locked", [True, False])
async def test_a_line_is_approved_or_disputed_once(month: Month, monkeypatch: pytest.MonkeyPatch, locked: bool) -> None:
    claim = await month.line("HQ")
    if not locked:

        async def unlocked(session: AsyncSession, claim_id: UUID, _: Collection[str] | None) -> PerkClaim | None:
            found = await session.get(PerkClaim, claim_id)
            await asyncio.sleep(0.2)
            return found

        monkeypatch.setattr(queries, "locked_claim", unlocked)
    asked = [month.step(claim, "dispute", month.finance(), {"reason": f"第{n}次"}) for n in range(6)]
    raced = Counter(status for status, _ in await asyncio.gather(*asked))
    assert (raced == Counter({200: 1, 409: 5})) is locked
    monkeypatch.undo()
    assert (await month.step(claim, "answer", month.finance(), {"answer": "无误"}))[0] == 200


TAMPERED: dict[str, tuple[str, str]] = {
    "partners-claims": (
        "UPDATE perk_claim SET amount_fen = amount_fen + 1", "UPDATE perk_claim SET amount_fen = amount_fen - 1",
    ),
    "partners-commission": (
        "UPDATE voucher SET agency_code = NULL WHERE commission_fen > 0", "UPDATE voucher SET agency_code = %s"
        " WHERE commission_fen > 0",
    ),
    "statements-commission": (
        "UPDATE statement_commission SET commission_fen = commission_fen + 1, charge_fen = charge_fen + 8",
        "UPDATE statement_commission SET commission_fen = commission_fen - 1, charge_fen = charge_fen - 8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("check", TAMPERED)
async def test_tampering_is_found(month: Month, dsn: str, check: str) -> None:
    tamper, mend = TAMPERED[check]
    owner: Any = await connect(dsn, role=None)
    try:
        await owner.execute(tamper)
        found = set(await disagreeing(dsn))
        await owner.execute(mend.replace("%s", f"'{month.agency}'"))
        assert check in found
        assert await disagreeing(dsn) == {}
    finally:
        await owner.close()
