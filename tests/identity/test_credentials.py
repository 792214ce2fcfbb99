"""Passwords of one's own, and second factors."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from app.core.actors import Role
from app.identity import credentials
from app.identity.rules import password_fault
from app.identity.seals import Seals
from tests.api import Api
from tests.identity.factors import change, code_at, later, set_up
from tests.identity.staff import PASSWORD, hire, sign_in
from tests.now import NOW
from tests.shop import pointers, problem

pytestmark = pytest.mark.usefixtures("fresh")
NEW = "a lake of slow herons"


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
    code = code_at(secret, later(api, seconds=30))
    assert (await sign_in(api, name, otp=code)).status_code == 200


async def test_the_wrong_password_hears_nothing_of_a_second_factor(api: Api):
    await hire(api, "hq.quiet", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.quiet")
    code = code_at(secret, later(api, seconds=30))
    for otp in (None, "000000", code):
        assert problem(await sign_in(api, "hq.quiet", "wrong", otp=otp)) == (401, "/problems/sign-in-failed")
    assert (await sign_in(api, "hq.quiet", otp=code)).status_code == 200


async def test_a_code_is_good_once_and_for_its_half_minute(api: Api):
    await hire(api, "hq.once", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.once")
    set_up_with = code_at(secret, api.app.state.now)
    assert problem(await sign_in(api, "hq.once", otp=set_up_with)) == (401, "/problems/sign-in-failed")

    now = later(api, minutes=10)
    stale, neighbour = (code_at(secret, now + timedelta(seconds=s)) for s in (-60, -30))
    assert (await sign_in(api, "hq.once", otp=stale)).status_code == 401
    assert (await sign_in(api, "hq.once", otp=neighbour)).status_code == 200
    assert (await sign_in(api, "hq.once", otp=neighbour)).status_code == 401
    coming = code_at(secret, now + timedelta(seconds=30))
    assert (await sign_in(api, "hq.once", otp=coming)).status_code == 200
    # with the newest code all before it are used up
    assert (await sign_in(api, "hq.once", otp=code_at(secret, now))).status_code == 401


async def test_two_with_one_code(api: Api):
    await hire(api, "hq.race", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.race")
    code = code_at(secret, later(api, seconds=30))
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
    otp = code_at(secret, later(api, seconds=30))
    again = await api.call("POST", "/sign-in/second-factor", json=body | {"otp": otp})
    assert problem(again) == (409, "/problems/second-factor-exists")


async def test_a_password_is_changed_with_both_factors(api: Api):
    await hire(api, "hq.both", Role.HQ_ADMIN)
    secret, _ = await set_up(api, "hq.both")
    assert problem(await change(api, "hq.both", PASSWORD, NEW)) == (401, "/problems/second-factor-required")
    otp = code_at(secret, later(api, seconds=30))
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
