"""What a session rests on and ends with, and who learns of its end."""

import asyncio
import logging
from datetime import UTC, date, datetime, timedelta
from itertools import count
from time import monotonic

import asyncpg
import pytest
from sqlalchemy import update
from sqlmodel import col

from app.core.actors import Actor, Role
from app.identity import grants, sessions
from app.identity.models import Account, Grant
from app.identity.problems import SignInFailed
from app.identity.session_models import Ending, LoginSession
from app.identity.sessions import SignedIn
from tests.api import Api, running_api
from tests.identity.opened import ENDED, Staff, ending, good, open_for, refresh, staff
from tests.now import NOW
from tests.shop import Shop, problem

pytestmark = pytest.mark.usefixtures("usual_time")


# --- what a session rests on ---


async def test_a_grant_that_ended_gives_nothing(api: Api, shop: Shop):
    li = await staff(api)
    signed_in = await open_for(api, li)
    async with api.db.session() as session:
        await grants.end(session, li.account.id, li.grant.id, None, now=NOW)
    assert await ending(api, signed_in.actor.session_id) == "lapsed"
    assert problem(await refresh(api, signed_in.refresh_token)) == ENDED
    await api.app.state.sessions.learn(api.db, NOW)
    assert not await good(api, signed_in.access_token)
    with pytest.raises(SignInFailed):
        await open_for(api, li)


async def test_a_grant_that_ran_out_gives_nothing(api: Api, shop: Shop):
    """Nobody ended the session: that the grant is over is found when it is refreshed."""
    li = await staff(api)
    signed_in = await open_for(api, li)
    async with api.db.session() as session:
        await session.execute(update(Grant).where(col(Grant.id) == li.grant.id).values(valid_until=NOW.date()))
    api.app.state.now = NOW + timedelta(hours=14)
    await api.db.pool.execute("UPDATE login_session SET expires_at = $1", NOW + timedelta(days=1))
    assert problem(await refresh(api, signed_in.refresh_token)) == ENDED
    assert await ending(api, signed_in.actor.session_id) == "lapsed"


async def test_tokens_end_with_the_grants_last_day_in_china(api: Api, shop: Shop):
    midnight = datetime(2026, 11, 21, 16, tzinfo=UTC)
    li = await staff(api, until=date(2026, 11, 21))
    api.app.state.now = midnight - timedelta(minutes=10)
    signed_in = await open_for(api, li)
    assert (signed_in.expires_at, signed_in.refresh_expires_at) == (midnight, midnight)
    api.app.state.now = midnight - timedelta(seconds=1)
    assert await good(api, signed_in.access_token)
    refreshed = (await refresh(api, signed_in.refresh_token)).json()
    assert refreshed["expires_at"] == refreshed["refresh_expires_at"] == "2026-11-21T16:00:00Z"
    api.app.state.now = midnight
    assert not await good(api, refreshed["access_token"])
    assert problem(await refresh(api, refreshed["refresh_token"])) == ENDED


async def test_a_session_stays_with_the_role_it_began_with(api: Api, shop: Shop):
    """Another grant of the same account neither keeps it alive nor ends it."""
    li = await staff(api)
    async with api.db.session() as session:
        account = await session.get_one(Account, li.account.id)
        director = Staff(account, await grants.give(
            session, account, Role.CARE_DIRECTOR, by="tests", now=NOW, dealer_code="SH001"
        ))  # fmt: skip
    at_the_counter, directing = await open_for(api, li), await open_for(api, director)
    async with api.db.session() as session:
        await grants.end(session, li.account.id, li.grant.id, None, now=NOW)
    assert problem(await refresh(api, at_the_counter.refresh_token)) == ENDED
    me = await api.call("GET", "/me", (await refresh(api, directing.refresh_token)).json()["access_token"])
    assert (me.json()["role"], me.json()["dealer_code"]) == ("care_director", "SH001")


async def test_nobody_opens_a_session_beyond_the_grants(api: Api, shop: Shop):
    li = await staff(api)
    for actor in (
        Actor(li.account.username, Role.HQ_ADMIN),
        Actor(li.account.username, Role.SERVICE_ADVISOR, "SH001"),
        Actor(li.account.username, Role.CARE_DIRECTOR, "BJ001"),
    ):
        with pytest.raises(SignInFailed):
            await open_for(api, li, actor=actor)


async def test_what_is_taken_away_ends_its_sessions(api: Api, shop: Shop):
    """A deactivated account, of headquarters or a dealer, and a suspended member."""
    boss, li, member = await staff(api, role=Role.HQ_OPERATIONS), await staff(api), await shop.member()
    opened = [await open_for(api, who) for who in (boss, li, member)]
    for path, body in (
        (f"/accounts/{boss.account.id}", {"is_active": False}),
        (f"/staff/{li.account.id}", {"is_active": False}),
    ):
        answer = await api.call("PATCH", path, shop.hq, json=body, headers={"If-Match": '"1"'})
        assert answer.status_code == 200, answer.text
    suspended = await shop.post(f"/members/{member.id}/status", {"to": "suspended", "reason": "asked"}, shop.hq)
    assert suspended[0] == 200, suspended
    reasons = [await ending(api, signed_in.actor.session_id) for signed_in in opened]
    assert reasons == ["revoked", "revoked", "lapsed"]


async def test_an_account_that_is_no_longer_active(api: Api, shop: Shop):
    li = await staff(api)
    signed_in = await open_for(api, li)
    await api.db.pool.execute("UPDATE account SET is_active = false WHERE id = $1", li.account.id)
    assert problem(await refresh(api, signed_in.refresh_token)) == ENDED
    with pytest.raises(SignInFailed):
        await open_for(api, li)


async def test_a_member_who_is_suspended(api: Api, shop: Shop):
    member = await shop.member()
    signed_in = await open_for(api, member)
    await api.db.pool.execute("UPDATE member SET status = 'suspended' WHERE id = $1", member.id)
    assert problem(await refresh(api, signed_in.refresh_token)) == ENDED
    assert await ending(api, signed_in.actor.session_id) == "lapsed"
    with pytest.raises(SignInFailed):
        await open_for(api, member)


async def test_all_but_one_are_revoked(api: Api, shop: Shop):
    li, member = await staff(api), await shop.member()
    here, there, own = await open_for(api, li), await open_for(api, li), await open_for(api, member)
    async with api.db.session() as session:
        await sessions.end_all(session, Ending.REVOKED, NOW, account_id=li.account.id, but=here.actor.session_id)
    assert problem(await refresh(api, there.refresh_token)) == ENDED
    assert await ending(api, there.actor.session_id) == "revoked"
    assert (await refresh(api, here.refresh_token)).status_code == 200
    async with api.db.session() as session:
        await sessions.end_all(session, Ending.REVOKED, NOW, member_id=member.id)
    assert problem(await refresh(api, own.refresh_token)) == ENDED


# --- who learns of it ---


async def test_every_process_refuses_within_five_seconds(api: Api, shop: Shop, dsn: str):
    signed_in = await open_for(api, await staff(api))
    async with running_api(dsn) as other:
        assert await good(other, signed_in.access_token)
        await api.call("POST", "/sign-out", signed_in.access_token)
        began = monotonic()
        while await good(other, signed_in.access_token):
            assert monotonic() - began < 5
            await asyncio.sleep(0.1)
    # one that starts later knows from the beginning
    async with running_api(dsn) as later:
        assert not await good(later, signed_in.access_token)


async def test_a_process_does_not_remember_for_ever(api: Api, shop: Shop):
    signed_in = await open_for(api, await staff(api))
    await api.call("POST", "/sign-out", signed_in.access_token)
    keeper, tokens = api.app.state.sessions, api.app.state.tokens
    refused = dict(tokens._refused)
    await keeper.learn(api.db, NOW + timedelta(minutes=14))
    assert signed_in.actor.session_id in tokens._refused
    await keeper.learn(api.db, NOW + timedelta(hours=1))
    assert signed_in.actor.session_id not in tokens._refused
    tokens._refused = refused


async def test_an_end_that_is_not_committed_is_none(api: Api, shop: Shop):
    signed_in = await open_for(api, await staff(api))
    with pytest.raises(RuntimeError, match="undone"):
        await _end_and_fail(api, signed_in)
    assert await good(api, signed_in.access_token)
    assert (await refresh(api, signed_in.refresh_token)).status_code == 200


async def _end_and_fail(api: Api, signed_in: SignedIn) -> None:
    async with api.db.session() as session:
        login = await session.get_one(LoginSession, signed_in.actor.session_id)
        await api.app.state.sessions.end(session, login, Ending.SIGNED_OUT, NOW)
        raise RuntimeError("undone")


async def test_looking_goes_on_when_the_database_was_away(
    api: Api, shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    keeper, looks, looked_again = api.app.state.sessions, count(1), asyncio.Event()

    async def shaky(*_: object) -> None:
        look = next(looks)
        if look == 2:
            raise asyncpg.CannotConnectNowError("a password may stand here")
        if look == 3:
            looked_again.set()

    monkeypatch.setattr(sessions, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(keeper, "learn", shaky)
    with caplog.at_level(logging.WARNING):
        async with keeper.watching(api.db, lambda: NOW):
            await asyncio.wait_for(looked_again.wait(), 5)
    assert "CannotConnectNowError" in caplog.text
    assert "password" not in caplog.text
