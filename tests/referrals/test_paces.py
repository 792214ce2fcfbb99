"""Incentives by steps: from which on, unless so many, unless enough joined; and what `club verify` sees of lists."""

from collections import Counter
from typing import Any

import asyncpg
import pytest

from app.referrals.verify import CHECKS
from app.wiring import CHECKS as ALL_CHECKS
from tests.now import NOW
from tests.referrals.conftest import Desk, buyer
from tests.referrals.office import DECEMBER, JANUARY, RECRUIT, SUCCESS, Body, Office, document, later, sold

MORE = 80_000


@pytest.fixture(autouse=True)
async def _nothing_sold_before(dsn: str) -> None:
    """Each test counts its own, of one consultant."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("TRUNCATE referral_step, referral")
    await connection.execute("UPDATE delivery SET delivered_on = '2025-01-01', consultant = NULL")
    await connection.close()


async def listed(office: Office, month: str = "2026-11") -> tuple[Body, list[tuple[str, str, int]]]:
    """The chapter's list: kind, document and fen of each line."""
    made = await office.draw_up("director", month)
    return made, sorted((kind, about, fen) for kind, _, about, fen in await office.lines("director", made))


async def test_a_step_pays_from_the_third_on_and_moves_up_when_one_is_taken_back(office: Office, desk: Desk):
    await office.write("director", pace={"to_nth": 2})
    await office.write("director", amount=str(MORE), pace={"from_nth": 3})
    made = [await sold(desk) for _ in range(4)]
    by_order = sorted(document(one) for one in made)
    later(office, DECEMBER)
    first, lines = await listed(office)
    assert lines == sorted(("earned", one, fen) for one, fen in zip(by_order, [SUCCESS] * 2 + [MORE] * 2, strict=True))
    told = (await office.send("director", "GET", f"/incentive-lists/{first['id']}/lines"))[1]["items"]
    assert [line["inputs"]["pace.in_month"] for line in told] == [4] * 4
    assert [line["inputs"]["pace.nth"] for line in told] == [1, 2, 3, 4]
    await office.approved("manager", first)
    undone = next(one for one in made if document(one) == by_order[0])
    path = f"/deliveries/{undone['delivery']}/cancellation"
    assert (await office.send("admin", "POST", path, {"reason": "退车"}))[0] == 200
    # the third is the second now: it is paid as such, and no more as the third
    later(office, JANUARY)
    _, lines = await listed(office, "2026-12")
    assert Counter(lines) == Counter([
        ("correction", by_order[0], -SUCCESS), ("correction", by_order[2], -MORE), ("late", by_order[2], SUCCESS),
    ])  # fmt: skip


async def test_nothing_below_the_least_of_a_month(office: Office, desk: Desk):
    await office.write("director", pace={"least_in_month": 3})
    await sold(desk)
    await sold(desk)
    later(office, DECEMBER)
    assert (await listed(office))[1] == []
    later(office, NOW)
    await sold(desk)
    later(office, DECEMBER)
    made, lines = await listed(office)
    assert (made["fen"], [fen for _, _, fen in lines]) == (3 * SUCCESS, [SUCCESS] * 3)


async def test_recruits_pay_when_enough_buyers_joined(office: Office, desk: Desk):
    """Of Li's three individual buyers one joins, 33 %: enough for the chapter's 33 and not for its 34."""
    terms: dict[str, Any] = {"trigger": "enrolment", "condition": 'event.source == "event"', "amount": str(RECRUIT)}
    example = {"fields": {"source": "event"}, "on": "2026-11-10", "fen": RECRUIT}
    enough, more = [
        await office.write("director", **terms, examples=[example], pace={"least_joining_percent": percent})
        for percent in (33, 34)
    ]
    phone = buyer()["buyer_phone"]
    delivered = await desk.deliver(phone)
    await desk.deliver(buyer()["buyer_phone"])
    await desk.deliver(buyer()["buyer_phone"])
    # a company joins no club, and counts nowhere
    await desk.deliver(None, owner_kind="company", owner_name="某公司")
    body = {"name": "王芳", "phone": phone, "vin": delivered["vin"], "source": "event", "dealer_code": "BJ001"}
    assert (await desk.shop.post("/members", body, desk.shop.hq))[0] == 201
    later(office, DECEMBER)
    made = await office.draw_up("director", "2026-11")
    found = (await office.send("director", "GET", f"/incentive-lists/{made['id']}/lines"))[1]["items"]
    assert [(line["rule"], line["fen"]) for line in found] == [(enough["code"], RECRUIT)]
    assert (found[0]["inputs"]["pace.joined"], found[0]["inputs"]["pace.delivered"]) == (1, 3)
    ended = await office.send("director", "POST", f"/incentive-rules/{more['id']}/ending", {})
    assert ended[0] == 200


async def test_headquarters_counts_by_chapter(office: Office, desk: Desk):
    await office.write("hq", pace={"least_in_month": 2, "least_joining_percent": 1})
    await sold(desk)
    foreign = await desk.registered(await desk.shop.member(), desk.foreign)
    await desk.deliver(foreign["buyer_phone"], dealer_code="SH001", consultant="hu")
    later(office, DECEMBER)
    # two in all, but no chapter has two
    assert (await office.draw_up("hq", "2026-11"))["payees"] == []


# --- the books ---

_DUE = "UPDATE incentive_line SET {} WHERE line_no = 1"
DAMAGES = {
    "another chapter's line": (_DUE.format("dealer_code = 'SH001'"), "incentives-listed"),
    "a line is gone": ("DELETE FROM incentive_line WHERE line_no = 1", "incentives-listed"),
    "of another month": (_DUE.format("happened_on = '2026-10-31'"), "incentives-listed"),
    "another trigger's rule": ("UPDATE incentive_rule SET trigger = 'enrolment'", "incentives-listed"),
    "paid twice": (
        "INSERT INTO incentive_line SELECT list_id, 3, kind, payee, dealer_code, document, happened_on, member_id,"
        " rule_id, fen, inputs, fault FROM incentive_line WHERE line_no = 1", "incentives-paid-once",
    ),
    "more taken back than was paid": (_DUE.format("kind = 'correction', fen = -1"), "incentives-paid-once"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
async def test_verify_names_what_is_wrong_with_a_list(office: Office, desk: Desk, dsn: str, damage: str):
    await office.write("director")
    await sold(desk)
    await sold(desk)
    later(office, DECEMBER)
    await office.approved("manager", await office.draw_up("director", "2026-11"))
    assert set(CHECKS) <= set(ALL_CHECKS)
    statement, named = DAMAGES[damage]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        assert await _broken(connection) == set()
        # what the database refuses everybody else
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(statement)
        assert await _broken(connection) == {named}
    finally:
        await connection.close()


async def _broken(connection: asyncpg.Connection) -> set[str]:
    return {check.name for check in CHECKS if await check.run(connection)}
