"""Sessions: refresh tokens good once, what ends them, and who learns of it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import count
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from app.core.actors import Actor, Role
from app.identity import grants, sessions
from app.identity.models import Account, Grant
from app.identity.problems import SignInFailed
from app.identity.service import create_account
from app.identity.session_models import Ending, LoginSession
from app.identity.sessions import SignedIn
from tests.api import Api, running_api
from tests.now import NOW
from tests.shop import Person, Shop, pointers, problem

_names = count(1)


class Staff(NamedTuple):
    """An account with its first grant."""

    account: Account
    grant: Grant

    @property
    def actor(self) -> Actor:
        return grants.actor_of(self.account, self.grant)


async def staff(api: Api, *, role: Role = Role.SERVICE_ADVISOR, until: date | None = None, name: str = "") -> Staff:
    async with api.db.session() as session:
        account = await create_account(
            session, username=name or f"li.{next(_names)}", name="李", role=role, password=None, now=NOW, by="tests",
            dealer_code="BJ001" if role.is_dealer_staff else None, valid_until=until,
        )  # fmt: skip
        (grant,) = await grants.current(session, account.id, NOW.date())
    return Staff(account, grant)


async def open_for(api: Api, who: Staff | Person, device: str = "phone", actor: Actor | None = None) -> SignedIn:
    """Signed in, as after a good password or code."""
    keeper: sessions.Sessions = api.app.state.sessions
    now = api.app.state.now
    async with api.db.session() as session:
        if isinstance(who, Staff):
            return await keeper.open_session(
                session, actor or who.actor, account_id=who.account.id, now=now, device=device
            )
        actor = Actor(who.member_no, Role.MEMBER, None, who.id)
        return await keeper.open_session(session, actor, member_id=who.id, now=now, device=device)


async def refresh(api: Api, refresh_token: str) -> httpx.Response:
    return await api.call("POST", "/sign-in/refresh", json={"refresh_token": refresh_token})


async def good(api: Api, token: str) -> bool:
    """Whether an access token opens the door."""
    return (await api.call("GET", "/sessions", token)).status_code == 200


async def listed(api: Api, token: str) -> list[dict[str, Any]]:
    answer = await api.call("GET", "/sessions", token)
    assert answer.status_code == 200
    return list(answer.json()["items"])


async def ending(api: Api, session_id: UUID | None) -> str | None:
    reason: str | None = await api.db.pool.fetchval("SELECT ended_because FROM login_session WHERE id = $1", session_id)
    return reason


ENDED = (401, "/problems/session-ended")


@pytest.fixture(autouse=True)
async def present(api: Api) -> AsyncIterator[None]:
    """Tests may move the clock; the next one begins at the usual time."""
    yield
    api.app.state.now = NOW


# --- going on ---


async def test_a_session_begins(api: Api, shop: Shop):
    li = await staff(api)
    signed_in = await open_for(api, li, device="Mozilla/5.0 \0" + 300 * "x")
    assert signed_in.expires_at == NOW + timedelta(minutes=15)
    assert signed_in.refresh_expires_at == NOW + timedelta(hours=12)
    (shown,) = await listed(api, signed_in.access_token)
    assert shown == {
        "id": str(signed_in.actor.session_id), "role": "service_advisor", "place": "BJ001", "current": True,
        "device": ("Mozilla/5.0 " + 300 * "x")[:200], "opened_at": "2026-11-21T02:00:00Z",
        "refreshed_at": "2026-11-21T02:00:00Z", "expires_at": "2026-11-21T14:00:00Z",
    }  # fmt: skip


async def test_a_refresh_token_gives_the_next(api: Api, shop: Shop):
    first = await open_for(api, await staff(api))
    api.app.state.now = NOW + timedelta(minutes=20)
    assert not await good(api, first.access_token)
    answer = await refresh(api, first.refresh_token)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    second = answer.json()
    assert second["refresh_token"] != first.refresh_token
    assert (second["expires_at"], second["refresh_expires_at"]) == ("2026-11-21T02:35:00Z", "2026-11-21T14:00:00Z")
    (shown,) = await listed(api, second["access_token"])
    assert (shown["current"], shown["refreshed_at"]) == (True, "2026-11-21T02:20:00Z")
    assert (await refresh(api, second["refresh_token"])).status_code == 200


async def test_only_digests_are_stored(api: Api, shop: Shop):
    signed_in = await open_for(api, await staff(api))
    stored = await api.db.pool.fetchval(
        "SELECT digest FROM refresh_token WHERE session_id = $1", signed_in.actor.session_id
    )
    assert stored == sha256(signed_in.refresh_token.encode()).digest()
    rows = await api.db.pool.fetch("SELECT row_to_json(s)::text AS s, row_to_json(t)::text AS t FROM login_session s"
                                   " JOIN refresh_token t ON t.session_id = s.id")  # fmt: skip
    assert rows
    assert all(signed_in.refresh_token not in row["s"] + row["t"] for row in rows)


async def test_a_token_that_comes_back_ends_the_family(api: Api, shop: Shop):
    li = await staff(api)
    first, other = await open_for(api, li), await open_for(api, li)
    second = (await refresh(api, first.refresh_token)).json()
    assert await good(api, second["access_token"])
    assert problem(await refresh(api, first.refresh_token)) == ENDED
    # both holders are out, and stay out
    assert not await good(api, first.access_token)
    assert not await good(api, second["access_token"])
    assert problem(await refresh(api, second["refresh_token"])) == ENDED
    assert await ending(api, first.actor.session_id) == "reused"
    # another sign-in of the same person has nothing to do with it
    assert await good(api, other.access_token)
    assert (await refresh(api, other.refresh_token)).status_code == 200


async def test_one_token_sent_eight_times_at_once_is_good_once(api: Api, shop: Shop):
    signed_in = await open_for(api, await staff(api))
    answers = await asyncio.gather(*(refresh(api, signed_in.refresh_token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + 7 * [401]
    assert await ending(api, signed_in.actor.session_id) == "reused"
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert problem(await refresh(api, won["refresh_token"])) == ENDED


async def test_what_is_no_refresh_token(api: Api, shop: Shop):
    signed_in = await open_for(api, await staff(api))
    for wrong in (
        "x",
        signed_in.refresh_token[:-1],
        signed_in.access_token[:100],
        str(signed_in.actor.session_id),
        "马\0",
    ):
        assert problem(await refresh(api, wrong)) == ENDED
    assert (await refresh(api, signed_in.refresh_token)).status_code == 200
    for body, fault in (
        ({}, ("/refresh_token", "missing")),
        ({"refresh_token": 5}, ("/refresh_token", "string_type")),
        ({"refresh_token": "x" * 101}, ("/refresh_token", "value_invalid")),
        ({"refresh_token": "x", "role": "hq_admin"}, ("/role", "extra_forbidden")),
    ):
        answer = await api.call("POST", "/sign-in/refresh", json=body)
        assert (answer.status_code, pointers(answer.json())) == (422, [fault])
    # it is not an access token either
    assert not await good(api, signed_in.refresh_token)


# --- its time ---


async def test_staff_sign_in_again_after_half_a_day(api: Api, shop: Shop):
    token = (await open_for(api, await staff(api))).refresh_token
    for hours in (6, 11.9):
        api.app.state.now = NOW + timedelta(hours=hours)
        answer = await refresh(api, token)
        assert answer.json()["refresh_expires_at"] == "2026-11-21T14:00:00Z"
        token = answer.json()["refresh_token"]
    api.app.state.now = NOW + timedelta(hours=12)
    assert problem(await refresh(api, token)) == ENDED


async def test_a_member_who_keeps_coming_is_not_asked_again(api: Api, shop: Shop):
    token = (await open_for(api, await shop.member())).refresh_token
    for days in (89, 178):
        api.app.state.now = NOW + timedelta(days=days)
        answer = await refresh(api, token)
        assert answer.status_code == 200
        token = answer.json()["refresh_token"]
    api.app.state.now = NOW + timedelta(days=178 + 90)
    assert problem(await refresh(api, token)) == ENDED


async def test_sessions_long_over_are_deleted(api: Api, shop: Shop):
    who = await staff(api)
    over, ended, going_on = await open_for(api, who), await open_for(api, who), await open_for(api, await shop.member())
    await api.call("POST", "/sign-out", ended.access_token)

    async def remaining(at: datetime) -> set[UUID]:
        await sessions.forget(api.db, at)
        ids = [signed_in.actor.session_id for signed_in in (over, ended, going_on)]
        return {row["id"] for row in await api.db.pool.fetch("SELECT id FROM login_session WHERE id = ANY ($1)", ids)}

    assert len(await remaining(NOW + timedelta(days=30))) == 3
    assert await remaining(NOW + timedelta(days=30, hours=1)) == {over.actor.session_id, going_on.actor.session_id}
    assert await remaining(NOW + timedelta(days=31)) == {going_on.actor.session_id}
    left = await api.db.pool.fetch("SELECT FROM refresh_token WHERE session_id = $1", over.actor.session_id)
    assert left == []


# --- signing out ---


async def test_signing_out_ends_this_session_only(api: Api, shop: Shop):
    li = await staff(api)
    one, other = await open_for(api, li), await open_for(api, li)
    assert (await api.call("POST", "/sign-out", one.access_token)).status_code == 204
    assert not await good(api, one.access_token)
    assert problem(await refresh(api, one.refresh_token)) == ENDED
    assert await ending(api, one.actor.session_id) == "signed_out"
    assert [shown["current"] for shown in await listed(api, other.access_token)] == [True]
    assert (await refresh(api, other.refresh_token)).status_code == 200


async def test_signing_out_everywhere_ends_all_of_ones_own(api: Api, shop: Shop):
    li, wang = await staff(api), await staff(api)
    own = [await open_for(api, li, device) for device in ("phone", "desk", "home")]
    foreign = await open_for(api, wang)
    assert len(await listed(api, own[0].access_token)) == 3
    assert (await api.call("POST", "/sign-out-everywhere", own[1].access_token)).status_code == 204
    for signed_in in own:
        assert not await good(api, signed_in.access_token)
        assert problem(await refresh(api, signed_in.refresh_token)) == ENDED
    assert await good(api, foreign.access_token)
    again = await open_for(api, li)
    assert [shown["current"] for shown in await listed(api, again.access_token)] == [True]


async def test_a_session_is_ended_from_another(api: Api, shop: Shop):
    li = await staff(api)
    lost, desk = await open_for(api, li, "lost"), await open_for(api, li, "desk")
    path = f"/sessions/{lost.actor.session_id}"
    assert (await api.call("DELETE", path, desk.access_token)).status_code == 204
    assert not await good(api, lost.access_token)
    assert [shown["device"] for shown in await listed(api, desk.access_token)] == ["desk"]
    assert problem(await api.call("DELETE", path, desk.access_token)) == (404, "/problems/not-found")


async def test_a_foreign_session_is_not_there(api: Api, shop: Shop):
    member = await shop.member()
    # whose username is the member's number, as in an earlier release
    namesake = await staff(api)
    await api.db.pool.execute("UPDATE account SET username = $1 WHERE id = $2", member.member_no, namesake.account.id)
    namesake.account.username = member.member_no
    boss = await staff(api, role=Role.HQ_ADMIN)
    everyone = [await open_for(api, who) for who in (await staff(api), namesake, boss, member, await shop.member())]
    for caller in everyone:
        assert [shown["id"] for shown in await listed(api, caller.access_token)] == [str(caller.actor.session_id)]
        for target in {signed_in.actor.session_id for signed_in in everyone} - {caller.actor.session_id} | {uuid4()}:
            answer = await api.call("DELETE", f"/sessions/{target}", caller.access_token)
            assert problem(answer) == (404, "/problems/not-found")
    assert all([await good(api, signed_in.access_token) for signed_in in everyone])


async def test_the_list_goes_on(api: Api, shop: Shop):
    li = await staff(api)
    opened = [await open_for(api, li, device) for device in "abcde"]
    seen, cursor = [], None
    while True:
        page = await api.call(
            "GET", "/sessions", opened[3].access_token, params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        )
        seen += [(shown["device"], shown["current"]) for shown in page.json()["items"]]
        if (cursor := page.json()["next_cursor"]) is None:
            break
    assert seen == [("a", False), ("b", False), ("c", False), ("d", True), ("e", False)]


async def test_an_operators_token_has_no_session(api: Api, shop: Shop):
    li = await staff(api)
    signed_in = await open_for(api, li)
    token = api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject=li.account.username)
    assert [shown["current"] for shown in await listed(api, token)] == [False]
    assert (await api.call("POST", "/sign-out", token)).status_code == 204
    assert await good(api, token)
    assert await good(api, signed_in.access_token)


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
