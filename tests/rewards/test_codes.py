"""The member's confirmation: the app's code of the minute, codes by SMS, wrong ones, and the lock after five."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest

from app.core.actors import Role
from app.rewards.codes import Codes, hotp
from tests.now import NOW
from tests.partners.deals import partner, perk
from tests.rewards.conftest import Outbox
from tests.rewards.goods import GIFT, at_counter, reward
from tests.shop import Answer, Person, Shop

WRONG, LOCKED, NEEDED = (
    "/problems/confirmation-wrong", "/problems/confirmation-locked", "/problems/confirmation-required",
)  # fmt: skip


def kind(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1]["type"]


async def ask(shop: Shop, member: Person, points: int, token: str = "") -> Answer:
    body = {"member_id": str(member.id), "points": points}
    return await shop.post("/redemptions/codes", body, token or shop.advisor)


def code_in(outbox: Outbox) -> str:
    found = re.search(r"\b\d{6}\b", outbox.sent[-1][1])
    assert found is not None
    return found[0]


def another(code: str, by: int = 1) -> str:
    """A code that is neither this minute's nor, but for one in a million, the last's."""
    return f"{(int(code) + by) % 10**6:06d}"


async def test_the_apps_code(shop: Shop):
    member = await shop.member(points=100)
    answer = await shop.api.call("GET", "/redemptions/code", shop.api.token(Role.MEMBER, member=member.id))
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(r"\d{6}", answer.json()["code"])
    assert answer.json()["valid_until"] == "2026-11-21T02:01:00Z"
    for token in (shop.hq, shop.advisor, shop.program):
        assert (await shop.get("/redemptions/code", token))[0] == 403


async def test_without_a_code(shop: Shop):
    member = await shop.member(points=100)
    for token in (shop.advisor, shop.director):
        assert kind(await shop.redeem(member, 10, token)) == (403, NEEDED)
    # a missing code is no wrong one
    assert (await shop.redeem(member, 10, shop.advisor, code=await shop.code(member)))[0] == 201


async def test_a_code_by_sms_is_for_a_partners_perk(shop: Shop, outbox: Outbox):
    member, tea = await shop.member(points=500), await perk(shop, await partner(shop), points=300)
    wanted = {"member_id": str(member.id), "points": 300}
    claim = {"member_id": str(member.id), "perk_id": tea}
    assert (await shop.post("/redemptions/codes", wanted | {"perk_id": str(uuid4())}, shop.advisor))[0] == 404
    assert (await shop.post("/redemptions/codes", wanted | {"perk_id": tea}, shop.advisor))[0] == 202
    redeemed = await shop.redeem(member, 300, shop.advisor, code=code_in(outbox))
    assert kind(redeemed) == (403, WRONG), "a code for the perk is good for nothing else"
    assert (await shop.post("/counter/vouchers", claim | {"code": code_in(outbox)}, shop.advisor))[0] == 201


async def test_a_code_is_good_once(shop: Shop):
    member = await shop.member(points=100)
    code = await shop.code(member)
    assert (await shop.redeem(member, 10, shop.advisor, code=code))[0] == 201
    assert kind(await shop.redeem(member, 10, shop.advisor, code=code)) == (403, WRONG)
    assert await shop.wallet(member) == (90, 0, 0, 0)


async def test_a_refused_redemption_leaves_the_code_good(shop: Shop):
    member = await shop.member(points=100)
    code = await shop.code(member)
    assert kind(await shop.redeem(member, 101, shop.advisor, code=code)) == (409, "/problems/insufficient-points")
    assert (await shop.redeem(member, 100, shop.advisor, code=code))[0] == 201


@pytest.mark.parametrize(("seconds", "status"), [(59, 201), (60, 201), (119, 201), (120, 403), (-1, 403)])
async def test_a_code_lives_two_minutes(shop: Shop, seconds: int, status: int):
    member = await shop.member(points=100)
    code = await shop.code(member)
    async with shop.at(NOW + timedelta(seconds=seconds)):
        assert (await shop.redeem(member, 10, shop.advisor, code=code))[0] == status


async def test_a_code_is_its_members_own(shop: Shop):
    mine, theirs = await shop.member(points=100), await shop.member(points=100)
    assert kind(await shop.redeem(mine, 10, shop.advisor, code=await shop.code(theirs))) == (403, WRONG)


async def test_five_wrong_codes_lock_for_ten_minutes(shop: Shop):
    member = await shop.member(points=100)
    good = await shop.code(member)
    for number in range(1, 6):
        assert kind(await shop.redeem(member, 10, shop.advisor, code=another(good, number))) == (403, WRONG)
    assert kind(await shop.redeem(member, 10, shop.advisor, code=good)) == (429, LOCKED)
    # at another dealer, too, and for holds
    assert kind(await shop.redeem(member, 10, shop.foreign, code=good)) == (429, LOCKED)
    body = {"member_id": str(member.id), "points": 10, "order_no": "1", "code": good}
    assert kind(await shop.post("/holds", body, shop.advisor)) == (429, LOCKED)
    async with shop.at(NOW + timedelta(minutes=9, seconds=59)):
        assert (await shop.redeem(member, 10, shop.advisor, code=await shop.code(member)))[0] == 429
    async with shop.at(NOW + timedelta(minutes=10)):
        assert (await shop.redeem(member, 10, shop.advisor, code=await shop.code(member)))[0] == 201


async def test_a_good_code_forgets_the_wrong_ones(shop: Shop):
    member = await shop.member(points=100)
    good = await shop.code(member)
    for number in range(1, 5):
        await shop.redeem(member, 10, shop.advisor, code=another(good, number))
    assert (await shop.redeem(member, 10, shop.advisor, code=good))[0] == 201
    assert kind(await shop.redeem(member, 10, shop.advisor, code=another(good))) == (403, WRONG)


async def test_a_code_by_sms(shop: Shop, outbox: Outbox):
    member = await shop.member(points=100)
    status, answer = await ask(shop, member, 30)
    assert (status, answer) == (202, {"valid_until": "2026-11-21T02:05:00Z"})
    ((phone, text),) = outbox.sent
    assert phone == f"+86{member.phone}"
    assert "BJ001" in text
    assert "30" in text
    code = code_in(outbox)
    assert code not in str(answer)
    async with shop.at(NOW + timedelta(minutes=4, seconds=59)):
        assert (await shop.redeem(member, 30, shop.advisor, code=code))[0] == 201
        assert kind(await shop.redeem(member, 30, shop.advisor, code=code)) == (403, WRONG)


async def test_a_code_by_sms_is_for_that_place_and_those_points(shop: Shop, outbox: Outbox):
    member = await shop.member(points=100)
    assert (await ask(shop, member, 30))[0] == 202
    code = code_in(outbox)
    assert kind(await shop.redeem(member, 31, shop.advisor, code=code)) == (403, WRONG)
    assert kind(await shop.redeem(member, 30, shop.foreign, code=code)) == (403, WRONG)
    async with shop.at(NOW + timedelta(minutes=5)):
        assert kind(await shop.redeem(member, 30, shop.advisor, code=code)) == (403, WRONG)
    assert (await shop.redeem(member, 30, shop.advisor, code=code))[0] == 201


async def test_a_code_by_sms_for_a_gift_of_headquarters(shop: Shop, outbox: Outbox):
    cup = await reward(shop, **GIFT, stock=9)
    member = await shop.member(points=700)
    assert (await ask(shop, member, 300))[0] == 202
    assert kind(await at_counter(shop, member, cup, code=code_in(outbox))) == (403, WRONG)
    asked = {"member_id": str(member.id), "points": 300, "reward_id": cup}
    async with shop.at(NOW + timedelta(minutes=1)):
        assert (await shop.post("/redemptions/codes", asked, shop.advisor))[0] == 202
        assert kind(await shop.redeem(member, 300, shop.advisor, code=code_in(outbox))) == (403, WRONG)
        assert (await at_counter(shop, member, cup, code=code_in(outbox)))[0] == 201
    chapters = await reward(shop, **GIFT, stock=9, token=shop.director)
    assert kind(await shop.post("/redemptions/codes", asked | {"reward_id": chapters}, shop.foreign))[0] == 404


async def test_one_code_a_minute_and_the_newest_counts(shop: Shop, outbox: Outbox):
    member = await shop.member(points=100)
    assert (await ask(shop, member, 30))[0] == 202
    first = code_in(outbox)
    async with shop.at(NOW + timedelta(seconds=59)):
        assert kind(await ask(shop, member, 30)) == (429, "/problems/too-many-codes")
        assert kind(await ask(shop, member, 30, shop.foreign)) == (429, "/problems/too-many-codes")
    assert len(outbox.sent) == 1
    async with shop.at(NOW + timedelta(minutes=1)):
        assert (await ask(shop, member, 30))[0] == 202
        second = code_in(outbox)
        if first != second:
            assert kind(await shop.redeem(member, 30, shop.advisor, code=first)) == (403, WRONG)
        assert (await shop.redeem(member, 30, shop.advisor, code=second))[0] == 201


async def test_five_codes_an_hour_and_ten_a_day(shop: Shop, outbox: Outbox):
    """Whichever counter asks."""
    member, minutes = await shop.member(points=100), [*range(5), *range(60, 65)]
    for sent, minute in enumerate(minutes):
        async with shop.at(NOW + timedelta(minutes=minute)):
            assert (await ask(shop, member, 30, shop.foreign if sent % 2 else shop.advisor))[0] == 202
    for minute, wait in ((64, 56 * 60), (65, 55 * 60), (120, 22 * 60 * 60), (24 * 60 - 1, 60)):
        async with shop.at(NOW + timedelta(minutes=minute)):
            status, answer = await ask(shop, member, 30)
            assert (status, answer["type"]) == (429, "/problems/too-many-codes")
            assert answer["retry_after_seconds"] >= wait, minute
    assert len(outbox.sent) == 10
    async with shop.at(NOW + timedelta(days=1)):
        assert (await ask(shop, member, 30))[0] == 202


@pytest.mark.parametrize("status", ["suspended", "left"])
async def test_who_could_not_redeem_is_sent_nothing(shop: Shop, outbox: Outbox, status: str):
    member = await shop.member(points=100)
    await shop.post(f"/members/{member.id}/status", {"to": status, "reason": "test"}, shop.hq)
    assert kind(await ask(shop, member, 30)) == (409, "/problems/wallet-closed")
    assert outbox.sent == []


async def test_no_message_can_be_sent(shop: Shop, outbox: Outbox):
    member = await shop.member(points=100)
    outbox.down = True
    assert kind(await ask(shop, member, 30)) == (503, "/problems/sms-unavailable")
    outbox.down = False
    async with shop.at(NOW + timedelta(minutes=1)):
        assert (await ask(shop, member, 30))[0] == 202


async def test_who_has_codes_sent(shop: Shop, outbox: Outbox):
    member = await shop.member(points=100)
    for token in (shop.hq, shop.program, shop.api.token(Role.MEMBER, member=member.id)):
        assert (await ask(shop, member, 30, token))[0] == 403
    assert (await ask(shop, member._replace(id=uuid4()), 30))[0] == 404
    assert (await ask(shop, member, 0))[0] == 422
    assert outbox.sent == []


async def test_without_a_provider(shop: Shop):
    member = await shop.member(points=100)
    assert kind(await ask(shop, member, 30)) == (503, "/problems/sms-unavailable")


def test_codes_hang_on_the_services_key():
    member = uuid4()
    code, until = Codes(b"one").current(member, NOW)
    assert Codes(b"one").current(member, NOW + timedelta(seconds=59)) == (code, until)
    # six digits of two keys may agree once in a million, not for all of these
    moments = [NOW + timedelta(minutes=minute) for minute in range(4)]
    assert [Codes(b"two").current(member, at)[0] for at in moments] != [
        Codes(b"one").current(member, at)[0] for at in moments
    ]
    judged = [Codes(b"one").judge(member, code, NOW + timedelta(seconds=after)).step for after in (0, 60, 120)]
    assert judged == [int(NOW.timestamp()) // 60] * 2 + [None]


def test_the_digits_are_those_of_rfc_4226():
    """Appendix D of the RFC."""
    expected = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"
    assert " ".join(hotp(b"12345678901234567890", counter) for counter in range(10)) == expected
