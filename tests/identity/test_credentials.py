"""Passwords of one's own, second factors, and failures that slow whoever fails and nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from app.core.actors import Role
from app.identity import credentials, second_factor
from app.identity.attempts import Origin, device_cookie
from app.identity.rules import delay_after, password_fault
from app.identity.seals import Seals
from tests.api import Api
from tests.identity.staff import PASSWORD, hire, sign_in
from tests.now import NOW
from tests.shop import Shop, pointers, problem

NEW = "a lake of slow herons"


@pytest.fixture(autouse=True)
async def fresh(shop: Shop) -> AsyncIterator[None]:
    """Every test begins at the same moment, from no device and with no failures."""
    yield
    shop.api.app.state.now = NOW
    shop.api.http.cookies.clear()
    await shop.pool.execute("DELETE FROM sign_in_attempt")


@asynccontextmanager
async def elsewhere(api: Api, address: str = "203.0.113.7") -> AsyncIterator[Api]:
    """The same service, called from another address."""
    transport = httpx.ASGITransport(api.app, raise_app_exceptions=False, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://club.test") as client:
        yield Api(api.app, client)


async def change(api: Api, username: str, old: str, new: str, **more: str) -> httpx.Response:
    body = {"username": username, "password": old, "new_password": new} | more
    return await api.call("POST", "/sign-in/password", json=body)


async def set_up(api: Api, username: str) -> tuple[str, list[str]]:
    """A second factor in place: its secret and the recovery codes. Its first code is used up by this."""
    body = {"username": username, "password": PASSWORD}
    begun = await api.call("POST", "/sign-in/second-factor", json=body)
    assert begun.status_code == 200, begun.text
    secret = parse_qs(urlsplit(begun.json()["uri"]).query)["secret"][0]
    code = second_factor.code_at(secret, api.app.state.now)
    confirmed = await api.call("POST", "/sign-in/second-factor/confirm", json=body | {"otp": code})
    assert confirmed.status_code == 200, confirmed.text
    return secret, confirmed.json()["recovery_codes"]


def later(api: Api, **amount: float) -> datetime:
    api.app.state.now += timedelta(**amount)
    now: datetime = api.app.state.now
    return now


# --- passwords ---


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("elevenchars", "password_too_short"),
        ("correct horse", None),
        ("中文口令也可以这样长一些", None),
        ("Li.Advisor is my name", "password_has_username"),
        ("qwerty123456", "password_common"),
        ("Password2026!!", "password_common"),
        ("aaaaaaaabbbbbbbb", "password_common"),
        ("woaini5201314!", "password_common"),
        ("2468013579864", None),
    ],
)
def test_which_passwords_will_do(password: str, fault: str | None):
    assert password_fault(password, "li.advisor") == fault


async def test_an_initial_password_is_good_for_its_change_only(api: Api):
    await hire(api, "chu.new", Role.SERVICE_ADVISOR, dealer="BJ001", own_password=False)
    assert problem(await sign_in(api, "chu.new")) == (403, "/problems/password-change-required")
    assert problem(await sign_in(api, "chu.new", "wrong")) == (401, "/problems/sign-in-failed")

    for new, fault in (
        ("few letters", "password_too_short"),
        ("my name is chu.new", "password_has_username"),
        ("password1234", "password_common"),
        (PASSWORD, "password_unchanged"),
    ):
        refused = await change(api, "chu.new", PASSWORD, new)
        assert (refused.status_code, pointers(refused.json())) == (422, [("/new_password", fault)])
        assert new not in refused.text
    assert problem(await change(api, "chu.new", "wrong", NEW)) == (401, "/problems/sign-in-failed")

    assert (await change(api, "chu.new", PASSWORD, NEW)).status_code == 204
    assert (await sign_in(api, "chu.new", NEW)).status_code == 200
    assert (await sign_in(api, "chu.new", PASSWORD)).status_code == 401


async def test_a_new_password_ends_the_sessions(api: Api):
    await hire(api, "chu.old", Role.SERVICE_ADVISOR, dealer="BJ001")
    refresh = (await sign_in(api, "chu.old")).json()["refresh_token"]
    assert (await change(api, "chu.old", PASSWORD, NEW)).status_code == 204
    assert (await api.call("POST", "/sign-in/refresh", json={"refresh_token": refresh})).status_code == 401


async def test_headquarters_resets_a_password(api: Api):
    account = await hire(api, "chu.lost", Role.SERVICE_ADVISOR, dealer="BJ001")
    path, hq = f"/accounts/{account.id}/password", api.token(Role.HQ_ADMIN)
    weak = await api.call("PUT", path, hq, json={"password": "password1234"})
    assert (weak.status_code, pointers(weak.json())) == (422, [("/password", "password_common")])
    assert (await api.call("PUT", path, hq, json={"password": NEW})).status_code == 204
    assert problem(await sign_in(api, "chu.lost", NEW)) == (403, "/problems/password-change-required")
    assert (await sign_in(api, "chu.lost")).status_code == 401
    nobody = await api.call("PUT", f"/accounts/{uuid4()}/password", hq, json={"password": NEW})
    assert nobody.status_code == 404
    for role in (Role.HQ_OPERATIONS, Role.AUDITOR):
        assert (await api.call("PUT", path, api.token(role), json={"password": NEW})).status_code == 403


# --- second factors ---


@pytest.mark.parametrize("role", [Role.HQ_ADMIN, Role.HQ_OPERATIONS, Role.HQ_FINANCE, Role.AUDITOR, Role.FINANCE_CLERK])
async def test_a_password_is_not_enough_for(api: Api, role: Role):
    name = f"needs.{role}"
    await hire(api, name, role, dealer="BJ001" if role is Role.FINANCE_CLERK else None)
    refused = await sign_in(api, name)
    assert (*problem(refused), refused.json()["is_set_up"]) == (401, "/problems/second-factor-required", False)
    secret, _ = await set_up(api, name)
    refused = await sign_in(api, name)
    assert (*problem(refused), refused.json()["is_set_up"]) == (401, "/problems/second-factor-required", True)
    code = second_factor.code_at(secret, later(api, seconds=30))
    assert (await sign_in(api, name, otp=code)).status_code == 200


async def test_the_wrong_password_hears_nothing_of_a_second_factor(api: Api):
    await hire(api, "hq.quiet", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.quiet")
    code = second_factor.code_at(secret, later(api, seconds=30))
    for otp in (None, "000000", code):
        assert problem(await sign_in(api, "hq.quiet", "wrong", otp=otp)) == (401, "/problems/sign-in-failed")
    assert (await sign_in(api, "hq.quiet", otp=code)).status_code == 200


async def test_a_code_is_good_once_and_for_its_half_minute(api: Api):
    await hire(api, "hq.once", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.once")
    set_up_with = second_factor.code_at(secret, api.app.state.now)
    assert problem(await sign_in(api, "hq.once", otp=set_up_with)) == (401, "/problems/sign-in-failed")

    now = later(api, minutes=10)
    stale, neighbour = (second_factor.code_at(secret, now + timedelta(seconds=s)) for s in (-60, -30))
    assert (await sign_in(api, "hq.once", otp=stale)).status_code == 401
    assert (await sign_in(api, "hq.once", otp=neighbour)).status_code == 200
    assert (await sign_in(api, "hq.once", otp=neighbour)).status_code == 401
    coming = second_factor.code_at(secret, now + timedelta(seconds=30))
    assert (await sign_in(api, "hq.once", otp=coming)).status_code == 200
    # with the newest code all before it are used up
    assert (await sign_in(api, "hq.once", otp=second_factor.code_at(secret, now))).status_code == 401


async def test_two_with_one_code(api: Api):
    await hire(api, "hq.race", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.race")
    code = second_factor.code_at(secret, later(api, seconds=30))
    answers = await asyncio.gather(*(sign_in(api, "hq.race", otp=code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


async def test_recovery_codes(api: Api):
    await hire(api, "hq.lost", Role.HQ_ADMIN)
    _, codes = await set_up(api, "hq.lost")
    assert (len(set(codes)), {len(code) for code in codes}) == (10, {19})
    assert (await sign_in(api, "hq.lost", otp=codes[0].upper())).status_code == 200
    assert (await sign_in(api, "hq.lost", otp=codes[0])).status_code == 401
    assert (await sign_in(api, "hq.lost", otp=codes[1].replace("-", ""))).status_code == 200
    await hire(api, "hq.other", Role.HQ_ADMIN)
    await set_up(api, "hq.other")
    assert (await sign_in(api, "hq.other", otp=codes[2])).status_code == 401


async def test_nothing_that_opens_is_stored_as_it_is(api: Api):
    await hire(api, "hq.rest", Role.HQ_ADMIN)
    secret, codes = await set_up(api, "hq.rest")
    stored = str(await api.db.pool.fetch("SELECT sealed_secret FROM second_factor"))
    stored += str(await api.db.pool.fetch("SELECT digest FROM recovery_code"))
    assert secret not in stored
    assert not any(code in stored for code in codes)


async def test_setting_up_wrongly(api: Api):
    await hire(api, "hq.slip", Role.HQ_ADMIN)
    body = {"username": "hq.slip", "password": PASSWORD}
    confirm = "/sign-in/second-factor/confirm"
    assert (await api.call("POST", confirm, json=body | {"otp": "123456"})).status_code == 401
    begun = (await api.call("POST", "/sign-in/second-factor", json=body)).json()
    assert begun["qr_svg"].startswith("data:image/svg+xml")
    assert (await api.call("POST", confirm, json=body | {"otp": "000000"})).status_code == 401
    # begun and not confirmed: not asked for, and begun anew
    assert (await sign_in(api, "hq.slip")).json()["is_set_up"] is False
    secret, _ = await set_up(api, "hq.slip")
    assert secret not in begun["uri"]
    # in place: whoever has the password alone does not replace it
    assert problem(await api.call("POST", "/sign-in/second-factor", json=body)) == (
        401, "/problems/second-factor-required",
    )  # fmt: skip
    otp = second_factor.code_at(secret, later(api, seconds=30))
    again = await api.call("POST", "/sign-in/second-factor", json=body | {"otp": otp})
    assert problem(again) == (409, "/problems/second-factor-exists")


async def test_a_password_is_changed_with_both_factors(api: Api):
    await hire(api, "hq.both", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.both")
    assert problem(await change(api, "hq.both", PASSWORD, NEW)) == (401, "/problems/second-factor-required")
    otp = second_factor.code_at(secret, later(api, seconds=30))
    assert (await change(api, "hq.both", PASSWORD, NEW, otp=otp)).status_code == 204


async def test_headquarters_takes_a_lost_second_factor_away(api: Api):
    account = await hire(api, "hq.phone", Role.HQ_FINANCE)
    _, codes = await set_up(api, "hq.phone")
    path = f"/accounts/{account.id}/second-factor"
    assert (await api.call("DELETE", path, api.token(Role.HQ_FINANCE))).status_code == 403
    assert (await api.call("DELETE", path, api.token(Role.HQ_ADMIN))).status_code == 204
    assert (await sign_in(api, "hq.phone")).json()["is_set_up"] is False
    # the old recovery codes went with it
    assert (await sign_in(api, "hq.phone", otp=codes[0])).json()["is_set_up"] is False
    assert (await api.call("DELETE", f"/accounts/{uuid4()}/second-factor", api.token(Role.HQ_ADMIN))).status_code == 404


async def test_nobody_resets_ones_own(api: Api):
    account = await hire(api, "hq.self", Role.HQ_ADMIN)
    own, path = api.token(Role.HQ_ADMIN, subject="hq.self"), f"/accounts/{account.id}"
    for method, what, body in (
        ("PUT", "password", {"password": NEW}),
        ("DELETE", "second-factor", None),
        ("PUT", "external-identity", {"email": "me@brand.example"}),
        ("DELETE", "external-identity", None),
    ):
        refused = await api.call(method, f"{path}/{what}", own, json=body)
        assert problem(refused) == (409, "/problems/own-account"), what


async def test_the_demonstrations_accounts_are_let_in_with_the_printed_password(api: Api):
    account = await hire(api, "demo.hq", Role.HQ_ADMIN, own_password=False)
    async with api.db.session() as session:
        await credentials.waive_for_demo(session, account.id, now=NOW)
    assert (await sign_in(api, "demo.hq")).status_code == 200
    hq = api.token(Role.HQ_ADMIN)
    assert (await api.call("PUT", f"/accounts/{account.id}/password", hq, json={"password": NEW})).status_code == 204
    # with a real password it is an account like any other
    assert problem(await sign_in(api, "demo.hq", NEW)) == (403, "/problems/password-change-required")


def test_a_seal_of_a_former_secret_still_opens():
    sealed = Seals([b"former"]).seal(b"content")
    assert Seals([b"newest", b"former"]).opened(sealed) == b"content"
    assert Seals([b"newest"]).opened(sealed) is None


# --- failures slow ---


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
    assert (await sign_in(api, "hq.guess", otp=second_factor.code_at(secret, later(api, minutes=1)))).status_code == 200


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
