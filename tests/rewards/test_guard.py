"""What one account may look up and guess in an hour, whichever members it concerns."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.problems import TooManyRequests
from app.points.problems import ConfirmationWrong
from app.privacy import retention
from app.rewards.guard import Guard
from tests.api import SETTINGS, Api, running_api
from tests.now import NOW
from tests.shop import Answer, Person, Shop

FEW = {"rate_lookups": "6/hour", "rate_lookup_misses": "3/hour", "rate_wrong_codes": "4/hour"}
TOO_MANY = (429, "/problems/too-many-requests")
_HOUR_SECONDS = 3600


@pytest.fixture(scope="module")
async def api(dsn: str) -> AsyncIterator[Api]:
    """The API with limits that a test can reach."""
    async with running_api(dsn, settings=SETTINGS.model_copy(update=FEW)) as running:
        yield running


@pytest.fixture
def clerk(shop: Shop, request: pytest.FixtureRequest) -> str:
    """A service advisor of BJ001 whom no other test has."""
    return shop.api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject=f"advisor {request.node.name}")


def kind(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1].get("type", "")


async def look_up(shop: Shop, clerk: str, number: str) -> Answer:
    return await shop.post("/counter/lookup", {"member_no": number}, clerk)


async def guess(shop: Shop, clerk: str, member: Person, *, path: str = "/redemptions", by: int = 1) -> Answer:
    code = f"{(int(await shop.code(member)) + by) % 10**6:06d}"
    body = {"member_id": str(member.id), "points": 1, "order_no": "RO-1", "code": code}
    return await shop.post(path, body, clerk)


# --- looking up ---


async def test_misses_are_few(shop: Shop, clerk: str):
    member = await shop.member()
    for _ in range(3):
        assert (await look_up(shop, clerk, "1000000000"))[0] == 404
    status, answer = await look_up(shop, clerk, member.member_no)
    assert (status, answer["retry_after_seconds"]) == (429, _HOUR_SECONDS)
    other = shop.api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject="another advisor")
    assert (await look_up(shop, other, member.member_no))[0] == 200


async def test_look_ups_are_not_without_end(shop: Shop, clerk: str):
    member = await shop.member()
    for _ in range(6):
        assert (await look_up(shop, clerk, member.member_no))[0] == 200
    assert kind(await look_up(shop, clerk, member.member_no)) == TOO_MANY


async def test_the_hour_ends(shop: Shop, api: Api):
    guard = api.app.state.guard
    actor = Actor("patient", Role.SERVICE_ADVISOR, "BJ001")
    for _ in range(3):
        await guard.miss(api.db.pool, actor, NOW)
    with pytest.raises(TooManyRequests):
        await guard.look_up(api.db.pool, actor, NOW + timedelta(minutes=59, seconds=59))
    await guard.look_up(api.db.pool, actor, NOW + timedelta(hours=1))


async def test_of_many_look_ups_at_once_no_more_are_let_through(shop: Shop, clerk: str):
    member = await shop.member()
    answers = await asyncio.gather(*(look_up(shop, clerk, member.member_no) for _ in range(12)))
    assert sorted(status for status, _ in answers) == [200] * 6 + [429] * 6


async def test_a_foreign_chapters_member_goes_on_record(shop: Shop, clerk: str):
    own, foreign = await shop.member(dealer="BJ001"), await shop.member(dealer="SH001")
    for member in (own, foreign):
        assert (await shop.post("/counter/lookup", {"phone": member.phone}, clerk))[0] == 200
    recorded = await shop.pool.fetch(
        "SELECT actor, operation, target_ids, to_jsonb(e)::text AS whole FROM audit_event e"
        " WHERE action = 'looked-up' AND target_ids && $1",
        [str(own.id), str(foreign.id)],
    )
    [deed] = recorded
    assert (deed["target_ids"], deed["operation"]) == ([str(foreign.id)], "counter_lookup")
    assert foreign.phone not in deed["whole"]


@pytest.mark.parametrize("finder", ["member_no", "vin", "phone"])
async def test_the_erased_are_not_found(shop: Shop, api: Api, clerk: str, finder: str):
    member = await shop.member()
    assert (await shop.post("/counter/lookup", {finder: getattr(member, finder)}, clerk))[0] == 200
    token = api.token(Role.MEMBER, member=member.id)
    assert (await api.call("PUT", f"/members/{member.id}/erasure", token, json={})).status_code == 200
    await api.db.pool.execute("UPDATE erasure SET due_on = $2 WHERE member_id = $1", member.id, china_date(NOW))
    await retention.apply(api.db, SETTINGS, now=NOW)
    assert (await shop.post("/counter/lookup", {finder: getattr(member, finder)}, clerk))[0] == 404


# --- guessing ---


async def test_wrong_codes_count_across_members_and_routes(shop: Shop, clerk: str):
    members = [await shop.member(points=10) for _ in range(5)]
    for number, member in enumerate(members[:4]):
        path = "/holds" if number % 2 else "/redemptions"
        assert kind(await guess(shop, clerk, member, path=path)) == (403, "/problems/confirmation-wrong")
    good = await shop.redeem(members[4], 1, clerk, code=await shop.code(members[4]))
    assert kind(good) == TOO_MANY
    assert good[1]["retry_after_seconds"] == _HOUR_SECONDS
    assert await shop.wallet(members[4]) == (10, 0, 0, 0)
    other = shop.api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject="an honest advisor")
    assert (await shop.redeem(members[4], 1, other, code=await shop.code(members[4])))[0] == 201
    async with shop.at(NOW + timedelta(hours=1)):
        assert (await shop.redeem(members[0], 1, shop.advisor, code=await shop.code(members[0])))[0] == 201


async def test_good_codes_do_not_count(shop: Shop, clerk: str):
    for _ in range(6):
        member = await shop.member(points=10)
        assert (await shop.redeem(member, 1, clerk, code=await shop.code(member)))[0] == 201


async def test_of_many_guesses_at_once_few_are_judged(shop: Shop, clerk: str):
    members = [await shop.member(points=10) for _ in range(12)]
    answers = await asyncio.gather(*(guess(shop, clerk, member) for member in members))
    assert sorted(status for status, _ in answers) == [403] * 4 + [429] * 8


async def test_another_process_learns_by_the_next_wrong_code(api: Api):
    """The counter is everybody's, what is remembered of it each process's own."""
    one, two = (Guard(api.app.state.seals, api.app.state.settings) for _ in range(2))
    actor = Actor("between two", Role.SERVICE_ADVISOR, "BJ001")

    async def wrong(guard: Guard) -> None:
        async with guard.guessing(api.db.pool, actor, NOW):
            raise ConfirmationWrong

    for guard in (one, one, two, two, one):
        with pytest.raises(ConfirmationWrong):
            await wrong(guard)
    for guard in (one, two):
        with pytest.raises(TooManyRequests):
            await wrong(guard)
    async with one.guessing(api.db.pool, actor, NOW + timedelta(hours=1)):
        pass


async def test_a_good_code_asks_the_database_for_nothing(api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch):
    asked: list[object] = []
    monkeypatch.setattr("app.core.tallies.count", lambda *given: asked.append(given))
    monkeypatch.setattr("app.core.tallies.look", lambda *given: asked.append(given))
    member = await shop.member(points=10)
    assert (await shop.redeem(member, 1, shop.advisor, code=await shop.code(member)))[0] == 201
    assert asked == []


async def test_neither_account_nor_address_is_kept(api: Api, shop: Shop, clerk: str):
    await look_up(shop, clerk, "1000000000")
    for row in await api.db.pool.fetch("SELECT key FROM tally"):
        assert b"advisor" not in row["key"]
        assert len(row["key"]) == 32
