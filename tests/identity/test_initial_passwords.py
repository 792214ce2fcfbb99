"""A password somebody else set is good for its change, for a week; and none outlasts a sign-in under way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Role
from app.core.problems import InvalidPayload
from app.identity import passwords
from app.settings import Settings
from tests.api import Api
from tests.identity.staff import PASSWORD, hire, sign_in
from tests.now import NOW
from tests.shop import Shop, pointers, problem

NEW = "a lake of slow herons"
ENDED = (403, "/problems/initial-password-ended")
WEEK = timedelta(days=7)


@pytest.fixture(autouse=True)
async def fresh(shop: Shop) -> AsyncIterator[None]:
    yield
    shop.api.app.state.now = NOW
    shop.api.http.cookies.clear()
    await shop.pool.execute("DELETE FROM sign_in_attempt")


async def change(api: Api, username: str, old: str = PASSWORD, new: str = NEW) -> httpx.Response:
    body = {"username": username, "password": old, "new_password": new}
    return await api.call("POST", "/sign-in/password", json=body)


def hq(api: Api) -> str:
    return api.token(Role.HQ_ADMIN)


# --- a week ---


async def test_an_unchanged_first_password_ends(api: Api):
    await hire(api, "wu.first", Role.SERVICE_ADVISOR, dealer="BJ001", own_password=False)
    api.app.state.now = NOW + WEEK - timedelta(seconds=1)
    assert problem(await sign_in(api, "wu.first")) == (403, "/problems/password-change-required")
    api.app.state.now = NOW + WEEK
    body = {"username": "wu.first", "password": PASSWORD}
    for refused in (
        await sign_in(api, "wu.first"),
        await change(api, "wu.first"),
        await api.call("POST", "/sign-in/second-factor", json=body),
        await api.call("POST", "/sign-in/second-factor/confirm", json=body | {"otp": "123456"}),
    ):
        assert problem(refused) == ENDED
    # who does not know it learns nothing
    assert problem(await sign_in(api, "wu.first", "wrong")) == (401, "/problems/sign-in-failed")


async def test_a_new_one_is_good_for_a_week_again(api: Api):
    person = await hire(api, "wu.again", Role.SERVICE_ADVISOR, dealer="BJ001", own_password=False)
    api.app.state.now = NOW + 2 * WEEK
    assert (
        await api.call("PUT", f"/accounts/{person.id}/password", hq(api), json={"password": NEW})
    ).status_code == 204
    assert problem(await sign_in(api, "wu.again", NEW)) == (403, "/problems/password-change-required")
    api.app.state.now = NOW + 3 * WEEK
    assert problem(await sign_in(api, "wu.again", NEW)) == ENDED


async def test_ones_own_password_does_not_end(api: Api):
    await hire(api, "wu.own", Role.SERVICE_ADVISOR, dealer="BJ001", own_password=False)
    assert (await change(api, "wu.own")).status_code == 204
    api.app.state.now = NOW + timedelta(days=400)
    assert (await sign_in(api, "wu.own", NEW)).status_code == 200


async def test_how_long_is_a_setting(api: Api):
    await hire(api, "wu.day", Role.SERVICE_ADVISOR, dealer="BJ001", own_password=False)
    before = api.app.state.settings
    api.app.state.settings = Settings.model_validate(before.model_dump() | {"initial_password_days": 1})
    api.app.state.now = NOW + timedelta(days=1)
    try:
        assert problem(await sign_in(api, "wu.day")) == ENDED
    finally:
        api.app.state.settings = before


# --- which first passwords and names ---


async def test_headquarters_first_passwords_are_judged(api: Api):
    body = {"username": "wu.weak", "name": "x", "password": "password1234", "grant": {"role": "auditor"}}
    refused = await api.call("POST", "/accounts", hq(api), json=body)
    assert (refused.status_code, pointers(refused.json())) == (422, [("/password", "password_common")])
    with pytest.raises(InvalidPayload):
        await hire(api, "wu.weak", Role.AUDITOR, password="too short")
    assert await api.db.pool.fetchval("SELECT count(*) FROM account WHERE username = 'wu.weak'") == 0


@pytest.mark.parametrize("username", ["1234567890", "000", "system", "System", "cli", "service", "retention", "bench"])
@pytest.mark.parametrize("path", ["/accounts", "/programs", "/dealers/BJ001/staff"])
async def test_names_that_mean_somebody_else(api: Api, path: str, username: str):
    by_path: dict[str, dict[str, Any]] = {
        "/accounts": {"password": PASSWORD, "grant": {"role": "auditor"}},
        "/programs": {"scopes": ["network:read"]},
        "/dealers/BJ001/staff": {"password": PASSWORD, "role": "care_staff"},
    }
    refused = await api.call("POST", path, hq(api), json={"username": username, "name": "x"} | by_path[path])
    assert (refused.status_code, pointers(refused.json())) == (422, [("/username", "username_reserved")])


# --- a password that changes under a sign-in ---


@pytest.mark.parametrize("how", ["reset", "deactivated"])
async def test_a_sign_in_under_way_does_not_survive(api: Api, monkeypatch: pytest.MonkeyPatch, how: str):
    person = await hire(api, f"wu.{how}", Role.SERVICE_ADVISOR, dealer="BJ001")
    verify = passwords.verify

    async def meanwhile(password: str, stored: str | None) -> bool:
        good = await verify(password, stored)
        answer = await (
            api.call("PUT", f"/accounts/{person.id}/password", hq(api), json={"password": NEW})
            if how == "reset"
            else api.call("PATCH", f"/accounts/{person.id}", hq(api), json={"is_active": False},
                          headers={"If-Match": '"1"'})
        )  # fmt: skip
        assert answer.status_code in {200, 204}
        return good

    monkeypatch.setattr(passwords, "verify", meanwhile)
    assert problem(await sign_in(api, person.username)) == (401, "/problems/sign-in-failed")
    live = await api.db.pool.fetchval(
        "SELECT count(*) FROM login_session WHERE account_id = $1 AND ended_at IS NULL", person.id
    )
    assert live == 0


async def test_who_takes_away_waits_for_who_comes_in(api: Api, monkeypatch: pytest.MonkeyPatch):
    """The session is written and not committed when the new password comes: it waits, finds the session, ends it."""
    person = await hire(api, "wu.race", Role.SERVICE_ADVISOR, dealer="BJ001")
    record, resets = audit.record, []

    async def slow(where: Any, action: Action, *given: Any, **more: Any) -> None:
        if action is Action.SIGNED_IN:
            path = f"/accounts/{person.id}/password"
            resets.append(asyncio.create_task(api.call("PUT", path, hq(api), json={"password": NEW})))
            await asyncio.sleep(0.5)
        await record(where, action, *given, **more)

    monkeypatch.setattr(audit, "record", slow)
    signed_in = await sign_in(api, "wu.race")
    assert [answer.status_code for answer in await asyncio.gather(*resets)] == [204]
    assert signed_in.status_code == 200
    refreshed = await api.call("POST", "/sign-in/refresh", json={"refresh_token": signed_in.json()["refresh_token"]})
    assert problem(refreshed) == (401, "/problems/session-ended")
