"""Deactivated is out within seconds: persons and programs, with a session or without. So is what they lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic
from urllib.parse import urlencode
from uuid import UUID

import pytest

from app.core.actors import Actor, Role
from app.core.problems import TooManyRequests
from app.core.rates import Rates
from app.settings import Settings
from tests.api import SETTINGS, Api, running_api
from tests.identity.staff import hire, sign_in
from tests.now import NOW
from tests.shop import Shop


@pytest.fixture(autouse=True)
async def network(shop: Shop) -> AsyncIterator[None]:
    yield
    shop.api.app.state.now = NOW
    await shop.api.app.state.sessions.learn(shop.api.db, NOW + timedelta(days=1))


async def good(api: Api, token: str) -> bool:
    return (await api.call("GET", "/me", token)).status_code == 200


async def program(api: Api, name: str) -> tuple[str, dict[str, str]]:
    """A program's account and what it signs in with."""
    body = {"username": name, "name": "x", "scopes": ["network:read"]}
    made = (await api.call("POST", "/programs", api.token(Role.HQ_ADMIN), json=body)).json()
    return made["account_id"], {name: made[name] for name in ("client_id", "client_secret")}


async def token_of(api: Api, credentials: dict[str, str]) -> str:
    form = urlencode(credentials | {"grant_type": "client_credentials"})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await api.request("POST", "/oauth/token", token=None, headers=headers, content=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def change(api: Api, account_id: object, **changes: object) -> None:
    version = await api.db.pool.fetchval("SELECT version FROM account WHERE id::text = $1", str(account_id))
    changed = await api.call(
        "PATCH", f"/accounts/{account_id}", api.token(Role.HQ_ADMIN), json=changes,
        headers={"If-Match": f'"{version}"'},
    )  # fmt: skip
    assert changed.status_code == 200, changed.text


async def activate(api: Api, account_id: object, active: bool) -> None:
    await change(api, account_id, is_active=active)


async def learn(api: Api) -> None:
    """What every process does every few seconds."""
    await api.app.state.sessions.learn(api.db, api.app.state.now)


async def test_every_process_refuses_within_five_seconds(api: Api, dsn: str):
    person = await hire(api, "he.gone", Role.SERVICE_ADVISOR, dealer="BJ001")
    dms, credentials = await program(api, "dms.gone")
    other_program = await token_of(api, (await program(api, "dms.stays"))[1])
    # of a program, of a session, and an operator's, which has none
    tokens = [
        await token_of(api, credentials),
        (await sign_in(api, "he.gone")).json()["access_token"],
        api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject="he.gone"),
    ]
    api.app.state.now = NOW + timedelta(seconds=1)
    async with running_api(dsn, now=api.app.state.now) as other:
        assert [await good(process, token) for process in (api, other) for token in tokens] == 6 * [True]
        await activate(api, dms, active=False)
        await activate(api, person.id, active=False)
        began = monotonic()
        while any([await good(process, token) for process in (api, other) for token in tokens]):
            assert monotonic() - began < 5
            await asyncio.sleep(0.1)
        assert await good(other, other_program)
    # one that starts later knows from the beginning
    async with running_api(dsn, now=api.app.state.now) as later:
        assert not any([await good(later, token) for token in tokens])


async def test_active_again_is_in_with_a_new_token_only(api: Api):
    dms, credentials = await program(api, "dms.back")
    old = await token_of(api, credentials)
    api.app.state.now = NOW + timedelta(seconds=1)
    await activate(api, dms, active=False)
    await activate(api, dms, active=True)
    await learn(api)
    assert not await good(api, old)
    assert await good(api, await token_of(api, credentials))


@pytest.mark.parametrize(
    "change_to",
    [{"scopes": ["members:read"]}, {"dealer_codes": ["BJ001"]}, {"region_code": "BJ"}, {"last_day": "2026-11-21"}],
)
async def test_a_program_that_may_do_less_asks_for_a_new_token(api: Api, change_to: dict[str, object]):
    name = f"dms.less.{next(iter(change_to))}"
    dms, credentials = await program(api, name)
    old = await token_of(api, credentials)
    api.app.state.now = NOW + timedelta(seconds=1.5)
    await change(api, dms, name="renamed")
    await learn(api)
    assert await good(api, old), "another name takes nothing away"
    await change(api, dms, **change_to)
    at_once = await token_of(api, credentials)
    await learn(api)
    assert not await good(api, old)
    assert await good(api, at_once), "of the same second"


@pytest.mark.parametrize("last_day", [None, "2026-11-21"])
async def test_what_an_operator_printed_ends_with_the_grant(api: Api, last_day: str | None):
    name = f"he.lent.{last_day or 'now'}"
    person = await hire(api, name, Role.SERVICE_ADVISOR, dealer="BJ001")
    printed = api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject=name)
    grant = await api.db.pool.fetchval("SELECT id FROM account_grant WHERE account_id::text = $1", str(person.id))
    api.app.state.now = NOW + timedelta(seconds=1)
    path = f"/accounts/{person.id}/grants/{grant}/end"
    ended = await api.call("POST", path, api.token(Role.HQ_ADMIN), json={"last_day": last_day})
    assert ended.status_code == 200, ended.text
    await learn(api)
    assert not await good(api, printed)


async def test_a_member_is_not_an_account_of_that_name(api: Api, shop: Shop):
    """Accounts of an earlier release may be called as a member's number is."""
    member = await shop.member()
    token = api.token(Role.MEMBER, member=member.id, subject=member.member_no)
    assert await good(api, token)
    api.app.state.tokens.refuse_before({member.member_no: NOW + timedelta(minutes=1)})
    assert await good(api, token)
    assert not await good(api, api.token(Role.CARE_STAFF, dealer="BJ001", subject=member.member_no))


async def test_what_is_long_over_is_forgotten(api: Api):
    tokens, keeper = api.app.state.tokens, api.app.state.sessions
    dms, _ = await program(api, "dms.forgotten")
    await activate(api, dms, active=False)
    await keeper.learn(api.db, NOW)
    assert "dms.forgotten" in tokens._narrowed
    await keeper.learn(api.db, NOW + timedelta(hours=1))
    assert "dms.forgotten" not in tokens._narrowed


async def test_a_member_does_not_use_up_an_accounts_requests():
    rates = Rates(Settings.model_validate(SETTINGS.model_dump() | {"rate_account": "1/minute"}))
    await rates.count(Actor("1000000008", Role.MEMBER, member_id=UUID(int=1)), "203.0.113.1")
    await rates.count(Actor("1000000008", Role.CARE_STAFF, "BJ001"), "203.0.113.1")
    with pytest.raises(TooManyRequests):
        await rates.count(Actor("1000000008", Role.CARE_DIRECTOR, "BJ001"), "203.0.113.1")
