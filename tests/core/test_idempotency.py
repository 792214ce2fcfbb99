"""A key is answered once: for retries, for retries side by side, and never for other content."""

import asyncio
from datetime import timedelta
from hashlib import sha256

import httpx
import pytest
from pydantic import BaseModel
from starlette.responses import Response

from app.core.db import Database
from app.core.idempotency import KEPT, forget, once
from app.core.problems import KeyConflict, NotFound
from app.core.vault import Vault, fresh_key
from tests.now import NOW
from tests.shop import Shop, problem


class Ask(BaseModel):
    """A request."""

    n: int


class Answer(BaseModel):
    """What was done, and as which call."""

    n: int
    call: int


class Counter:
    """Does something that must not be done twice."""

    calls = 0

    async def ask(
        self,
        db: Database,
        n: int,
        key: str | None,
        *,
        caller: str = "me",
        target: str = "",
        fails: bool = False,
    ) -> Response:
        async def action() -> Answer:
            self.calls += 1
            await asyncio.sleep(0.01)
            if fails:
                raise NotFound("thing")
            return Answer(n=n, call=self.calls)

        async with db.session() as session:
            return await once(session, caller=caller, key=key, request=Ask(n=n), now=NOW, action=action, target=target)


async def test_a_retry_gets_the_first_answer(database: Database):
    counter = Counter()
    first = await counter.ask(database, 1, "retry")
    again = await counter.ask(database, 1, "retry")
    assert (first.status_code, first.body) == (201, b'{"n":1,"call":1}')
    assert (again.status_code, again.body, counter.calls) == (201, first.body, 1)


async def test_retries_side_by_side_do_it_once(database: Database):
    counter = Counter()
    answers = await asyncio.gather(*(counter.ask(database, 1, "rush") for _ in range(8)))
    assert ({answer.body for answer in answers}, counter.calls) == ({b'{"n":1,"call":1}'}, 1)


async def test_without_a_key_it_is_done_each_time(database: Database):
    counter = Counter()
    await counter.ask(database, 1, None)
    await counter.ask(database, 1, None)
    assert counter.calls == 2


@pytest.mark.parametrize(("n", "target"), [(2, ""), (1, "elsewhere")])
async def test_other_content_is_refused(database: Database, n: int, target: str):
    counter = Counter()
    await counter.ask(database, 1, f"content {n} {target}")
    with pytest.raises(KeyConflict):
        await counter.ask(database, n, f"content {n} {target}", target=target)
    assert counter.calls == 1


async def test_keys_are_their_callers_own(database: Database):
    counter = Counter()
    await counter.ask(database, 1, "shared", caller="me")
    await counter.ask(database, 2, "shared", caller="you")
    assert counter.calls == 2


async def test_a_refusal_leaves_the_key_free(database: Database):
    counter = Counter()
    with pytest.raises(NotFound):
        await counter.ask(database, 1, "second try", fails=True)
    assert (await counter.ask(database, 2, "second try")).body == b'{"n":2,"call":2}'


async def test_answers_are_kept_for_the_promised_time(database: Database):
    counter = Counter()
    await counter.ask(database, 1, "old")
    await forget(database.pool, NOW + KEPT)
    await counter.ask(database, 1, "old")
    assert counter.calls == 1
    await forget(database.pool, NOW + KEPT + timedelta(seconds=1))
    await counter.ask(database, 1, "old")
    assert counter.calls == 2


async def test_what_was_asked_cannot_be_found_by_trying(database: Database):
    """A request may hold a phone number, of which there are few: its hash is keyed, and not stored otherwise."""
    await Counter().ask(database, 13_900_000_000, "guess me")
    kept = await database.pool.fetchval("SELECT request_hash FROM idempotency_record WHERE key = 'guess me'")
    guess = 'Ask::{"n":13900000000}'
    assert kept not in {sha256(text.encode()).digest() for text in (guess, f"request:{guess}")}
    assert kept == database.vault.index(f"request:{guess}")


async def test_a_retry_outlives_a_new_data_key(dsn: str):
    counter, old, new = Counter(), fresh_key(), fresh_key()
    for vault in (Vault(lambda: [old]), Vault(lambda: [new, old])):
        async with Database.open(dsn, vault=vault) as database:
            assert (await counter.ask(database, 1, "between keys")).status_code == 201
    assert counter.calls == 1


# --- as routes use it ---


async def appointed(shop: Shop, dealer: str, key: str | None) -> httpx.Response:
    body = {"office": "activities", "name": "李", "since": str(NOW.date())}
    return await shop.api.call("POST", f"/dealers/{dealer}/chapter/officers", shop.hq, json=body, key=key)


async def test_a_route_answers_a_retry_as_it_did_first(shop: Shop):
    first, again, unkeyed = [await appointed(shop, "BJ001", key) for key in ("once", "once", None)]
    assert (first.status_code, again.status_code, unkeyed.status_code) == (201, 201, 201)
    assert first.json() == again.json() != unkeyed.json()


async def test_the_same_body_for_another_path_is_other_content(shop: Shop):
    assert (await appointed(shop, "BJ001", "there")).status_code == 201
    assert problem(await appointed(shop, "SH001", "there")) == (409, "/problems/idempotency-key-conflict")


async def test_a_key_is_ones_own(shop: Shop):
    mine, body = await appointed(shop, "BJ001", "ours"), {"office": "activities", "name": "李", "since": "2026-11-21"}
    path = "/dealers/BJ001/chapter/officers"
    theirs = await shop.api.call("POST", path, shop.director, json=body, key="ours")
    assert (theirs.status_code, theirs.json()["id"] == mine.json()["id"]) == (201, False)


async def test_a_step_answers_200_again(shop: Shop):
    member = await shop.member()
    path, body = f"/members/{member.id}/sold-vehicles", {"vin": member.vin, "sold_on": str(NOW.date())}
    answers = [await shop.api.call("POST", path, shop.hq, json=body, key="sold") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


async def test_without_a_token_nothing_is_looked_up(shop: Shop):
    answer = await shop.api.call("POST", "/members", "", json={}, key="x")
    assert problem(answer) == (401, "/problems/unauthenticated")
