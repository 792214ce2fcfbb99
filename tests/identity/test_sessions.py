"""Sessions: refresh tokens good once, how long they last, and signing out."""

import asyncio
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from app.core.actors import Role
from app.identity import sessions
from tests.api import Api
from tests.identity.opened import ENDED, ending, good, listed, open_for, refresh, staff
from tests.now import NOW
from tests.shop import Shop, pointers, problem

pytestmark = pytest.mark.usefixtures("usual_time")


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
