"""Failures slow whoever fails, and nobody else."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from app.core.actors import Role
from app.identity.attempts import Origin, device_cookie
from app.identity.rules import delay_after
from app.identity.seals import Seals
from tests.api import Api
from tests.identity.factors import code_at, elsewhere, later, set_up
from tests.identity.staff import PASSWORD, hire, sign_in
from tests.now import NOW
from tests.shop import problem

pytestmark = pytest.mark.usefixtures("fresh")


def test_delays_grow_and_end():
    seconds = [delay_after(failures, 4).total_seconds() for failures in range(1, 20)]
    assert seconds[:10] == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32]
    assert seconds[-1] == delay_after(10**9, 4).total_seconds() == 900


async def fail(api: Api, username: str, times: int) -> httpx.Response:
    """Wrong passwords, as fast as they are looked at."""
    for _ in range(times):
        answer = await sign_in(api, username, "wrong")
        while answer.status_code == 429:
            later(api, seconds=answer.json()["retry_after_seconds"])
            answer = await sign_in(api, username, "wrong")
    return answer


async def test_failures_make_wait_even_for_the_right_password(api: Api):
    await hire(api, "shen.slow", Role.SERVICE_ADVISOR, dealer="BJ001")
    began = NOW
    await fail(api, "shen.slow", 8)
    assert api.app.state.now - began == timedelta(seconds=1 + 2 + 4)
    refused = await sign_in(api, "shen.slow")
    assert problem(refused) == (429, "/problems/too-many-attempts")
    assert refused.headers["Retry-After"] == "8"
    later(api, seconds=7.5)
    assert (await sign_in(api, "shen.slow")).headers["Retry-After"] == "1"
    later(api, seconds=0.5)
    assert (await sign_in(api, "shen.slow")).status_code == 200
    # good: the count starts again
    assert {(await sign_in(api, "shen.slow", "wrong")).status_code for _ in range(4)} == {401}


async def test_an_attacker_elsewhere_does_not_lock_the_owner_out(api: Api):
    await hire(api, "shen.safe", Role.SERVICE_ADVISOR, dealer="BJ001")
    async with elsewhere(api) as attacker:
        await fail(attacker, "shen.safe", 14)
        assert (await sign_in(attacker, "shen.safe")).status_code == 429
    assert (await sign_in(api, "shen.safe")).status_code == 200


async def test_a_known_device_is_not_slowed_by_others_at_its_address(api: Api):
    await hire(api, "shen.desk", Role.SERVICE_ADVISOR, dealer="BJ001")
    signed_in = await sign_in(api, "shen.desk")
    cookie = signed_in.headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/api/v1/sign-in"))
    async with elsewhere(api, "127.0.0.1") as colleague:
        await fail(colleague, "shen.desk", 8)
        assert (await sign_in(colleague, "shen.desk")).status_code == 429
    assert (await sign_in(api, "shen.desk")).status_code == 200
    # the device's own failures count against it
    await fail(api, "shen.desk", 8)
    assert (await sign_in(api, "shen.desk")).status_code == 429


async def test_a_devices_cookie_is_for_one_account_and_not_to_be_made_up(api: Api):
    mine = await hire(api, "shen.one", Role.SERVICE_ADVISOR, dealer="BJ001")
    await hire(api, "shen.two", Role.SERVICE_ADVISOR, dealer="BJ001")
    cookie = device_cookie(api.app.state.seals, mine.id)
    made_up = device_cookie(Seals([b"another secret"]), mine.id)
    async with elsewhere(api) as attacker:
        await fail(attacker, "shen.one", 8)
        await fail(attacker, "shen.two", 8)
        for username, sent, status in (
            ("shen.one", made_up, 429),
            ("shen.one", "x.y", 429),
            ("shen.one", "", 429),
            ("shen.two", cookie, 429),
            ("shen.one", cookie, 200),
        ):
            attacker.http.cookies.clear()
            headers = {"Cookie": f"club_device={sent}"}
            answer = await attacker.call(
                "POST", "/sign-in", json={"username": username, "password": PASSWORD}, headers=headers
            )
            assert answer.status_code == status, (username, sent)


async def test_one_password_on_many_names_slows_the_address(api: Api):
    await hire(api, "shen.known", Role.SERVICE_ADVISOR, dealer="BJ001")
    await hire(api, "shen.new", Role.SERVICE_ADVISOR, dealer="BJ001")
    assert (await sign_in(api, "shen.known")).status_code == 200
    api.http.cookies.clear()
    statuses = [(await sign_in(api, f"name{number}", "summer2026")).status_code for number in range(23)]
    assert statuses == [401] * 21 + [429] * 2
    assert (await sign_in(api, "shen.new")).status_code == 429
    # who signed in from here of late may still do so
    assert (await sign_in(api, "shen.known")).status_code == 200
    async with elsewhere(api) as other:
        assert (await sign_in(other, "shen.new")).status_code == 200


async def test_one_good_account_does_not_buy_guesses_at_others(api: Api):
    await hire(api, "shen.insider", Role.SERVICE_ADVISOR, dealer="BJ001")
    wrong = 0
    for number in range(40):
        wrong += (await sign_in(api, f"victim{number}", "summer2026")).status_code == 401
        await sign_in(api, "shen.insider")
        api.http.cookies.clear()
    assert wrong == 21


async def test_many_at_once_gain_nothing(api: Api):
    await hire(api, "shen.burst", Role.SERVICE_ADVISOR, dealer="BJ001")
    answers = await asyncio.gather(*(sign_in(api, "shen.burst", f"guess {number}") for number in range(12)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7


async def test_codes_of_the_second_factor_are_counted_from_everywhere(api: Api):
    await hire(api, "hq.guess", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.guess")
    later(api, minutes=5)
    statuses = []
    for number in range(12):
        async with elsewhere(api, f"203.0.113.{number}") as thief:
            statuses.append((await sign_in(thief, "hq.guess", otp="000000")).status_code)
    assert statuses == [401] * 10 + [429] * 2
    # asking without a code in between forgives nothing
    async with elsewhere(api, "203.0.113.200") as thief:
        assert (await sign_in(thief, "hq.guess")).status_code == 401
        assert (await sign_in(thief, "hq.guess", otp="000000")).status_code == 429
    assert (await sign_in(api, "hq.guess", otp=code_at(secret, later(api, minutes=1)))).status_code == 200


async def test_failures_are_forgotten_in_time_and_deleted(api: Api):
    await fail(api, "shen.nobody", 6)
    assert (await sign_in(api, "shen.nobody", "wrong")).status_code == 429
    later(api, days=1, minutes=1)
    assert {(await sign_in(api, "shen.nobody", "wrong")).status_code for _ in range(4)} == {401}
    later(api, days=2)
    await sign_in(api, "shen.another", "wrong")
    left = await api.db.pool.fetchval("SELECT count(*) FROM sign_in_attempt")
    assert left == 2, "the newest attempt's name and address"


async def test_no_address_and_no_name_is_stored(api: Api):
    async with elsewhere(api, "203.0.113.99") as other:
        await sign_in(other, "shen.private", "wrong")
    stored = [bytes(row["key"]) for row in await api.db.pool.fetch("SELECT key FROM sign_in_attempt")]
    assert len(stored) == 2
    assert not any(b"203.0.113" in key or b"shen" in key for key in stored)


def test_ipv6_counts_by_its_network():
    assert Origin("2001:db8:1:2:3::4").network == Origin("2001:db8:1:2:ffff::").network
    assert Origin("2001:db8:1:2::4").network != Origin("2001:db8:1:3::4").network
