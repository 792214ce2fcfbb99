"""Signing in: good, bad, unknown and inactive, and a password that appears nowhere."""

import logging
from datetime import timedelta

import httpx
import pytest

from app.core.actors import Role
from app.core.db import Database
from app.identity import passwords, programs
from app.identity.credential_models import Credential
from app.identity.problems import UsernameTaken
from app.identity.service import create_account
from tests.api import Api
from tests.now import NOW
from tests.shop import Shop, pointers, problem

PASSWORD = "correct horse battery 马"


@pytest.fixture(scope="module", autouse=True)
async def accounts(shop: Shop) -> None:
    """A service advisor, one who has gone, and a program."""
    async with shop.api.db.session() as session:
        for username in ("li.advisor", "wang.gone"):
            account = await create_account(
                session, username=username, name=username, role=Role.SERVICE_ADVISOR, dealer_code="BJ001",
                password=PASSWORD, now=NOW, by="test",
            )  # fmt: skip
            account.is_active = username != "wang.gone"
            session.add(Credential(account_id=account.id, must_change=False, changed_at=NOW))
        await programs.create(session, username="hotline", name="hotline", scopes=["network:read"], now=NOW)


async def sign_in(api: Api, username: str, password: str = PASSWORD) -> httpx.Response:
    return await api.call("POST", "/sign-in", json={"username": username, "password": password})


async def test_a_token_for_a_password(api: Api):
    answer = await sign_in(api, "li.advisor")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    body = answer.json()
    assert (body["token_type"], body["expires_at"]) == ("Bearer", "2026-11-21T02:15:00Z")
    me = await api.call("GET", "/me", body["access_token"])
    (grant,) = me.json()["grants"]
    assert (me.status_code, {name: value for name, value in me.json().items() if name != "grants"}) == (200, {
        "subject": "li.advisor", "role": "service_advisor", "dealer_code": "BJ001", "dealer_codes": ["BJ001"],
        "region_code": None, "partner_code": None, "agency_code": None, "scopes": [],
    })  # fmt: skip
    assert (grant["role"], grant["dealer_code"], grant["valid_until"]) == ("service_advisor", "BJ001", None)


async def test_a_token_ends(api: Api):
    token = (await sign_in(api, "li.advisor")).json()["access_token"]
    try:
        for minutes, status in ((14, 200), (15, 401), (16, 401)):
            api.app.state.now = NOW + timedelta(minutes=minutes)
            assert (await api.call("GET", "/me", token)).status_code == status
    finally:
        api.app.state.now = NOW


async def test_why_it_failed_is_told_nobody(api: Api):
    failures = [
        await sign_in(api, "li.advisor", "wrong"),
        await sign_in(api, "li.advisor", ""),
        await sign_in(api, "LI.ADVISOR"),
        await sign_in(api, "nobody"),
        await sign_in(api, "wang.gone"),
        await sign_in(api, "hotline"),
        await sign_in(api, "hotline", ""),
    ]
    assert {problem(answer) for answer in failures} == {(401, "/problems/sign-in-failed")}
    told = [{**answer.json(), "request_id": None} for answer in failures]
    assert all(body == told[0] for body in told)
    assert all(answer.headers["WWW-Authenticate"] == "Bearer" for answer in failures)


async def test_an_unknown_name_takes_as_long(api: Api, monkeypatch: pytest.MonkeyPatch):
    """A hash is computed all the same; time itself would make a shaky test."""
    hashed = []
    verify = passwords._HASHER.verify

    def noted(password: str, stored: str) -> bool:
        hashed.append(stored)
        return verify(password, stored)

    monkeypatch.setattr(passwords._HASHER, "verify", noted)
    for username in ("li.advisor", "nobody", "hotline"):
        await sign_in(api, username, "wrong")
    assert len(hashed) == 3
    assert all("$argon2id$v=19$m=19456,t=2,p=1$" in stored for stored in hashed)


async def test_requests_that_cannot_be(api: Api):
    for body, fault in (
        ({"username": "a"}, ("/password", "missing")),
        ({"username": "", "password": "b"}, ("/username", "string_too_short")),
        ({"username": "a", "password": "b", "role": "hq"}, ("/role", "extra_forbidden")),
        ({"username": "a\0", "password": "b"}, ("", "nul_character")),
    ):
        answer = await api.call("POST", "/sign-in", json=body)
        assert (answer.status_code, pointers(answer.json())) == (422, [fault])
    malformed = await api.call("POST", "/sign-in", content=b"{", headers={"Content-Type": "application/json"})
    assert problem(malformed) == (400, "/problems/malformed-body")


async def test_passwords_are_stored_as_argon2id(api: Api):
    rows = await api.db.pool.fetch("SELECT username, password_hash FROM account")
    stored = {row["username"]: row["password_hash"] for row in rows}
    assert stored["hotline"] is None
    assert stored["li.advisor"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert stored["li.advisor"] != stored["wang.gone"]
    assert PASSWORD not in str(stored)


async def test_no_password_in_any_answer_or_log(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level(logging.DEBUG)
    answers = [
        await sign_in(api, "li.advisor"),
        await sign_in(api, "nobody"),
        await sign_in(api, "li.advisor", PASSWORD * 20),
        await api.call("POST", "/sign-in", json={"password": PASSWORD}),
        await api.call("POST", "/sign-in", json={"username": 1, "password": [PASSWORD]}),
    ]
    monkeypatch.setattr("app.identity.attempts.charge", broken)
    answers.append(await sign_in(api, "li.advisor"))
    assert [answer.status_code for answer in answers] == [200, 401, 422, 422, 422, 500]
    for text in (caplog.text, *(answer.text for answer in answers)):
        assert PASSWORD not in text
        assert "correct horse" not in text
    assert "broken on purpose" in caplog.text


async def broken(*_: object, **__: object) -> None:
    raise RuntimeError("broken on purpose")


async def test_a_username_is_taken_once(database: Database, shop: Shop):
    async def create(name: str) -> None:
        async with database.session() as session:
            await create_account(
                session, username=name, name="x", role=Role.HQ_ADMIN, password=None, now=NOW, by="test"
            )

    await create("head")
    with pytest.raises(UsernameTaken):
        await create("head")
