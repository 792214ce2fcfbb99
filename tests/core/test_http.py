"""What every answer has: problem documents in the caller's language, request ids, and no success before the commit."""

import json
import logging
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from app.core import catalogue, http
from app.core.answers import install
from app.core.catalogue import Language
from app.core.http import version_of
from app.core.problems import NotFound, PreconditionFailed
from tests.api import Api
from tests.shop import Shop, pointers, problem

PHONE = "phone 13912345678"


async def get(api: Api, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    return await api.http.request(
        method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


@pytest.mark.parametrize(("tag", "version"), [('"1"', 1), ('W/"12"', 12), (" 7 ", 7), ('"999999999"', 999_999_999)])
def test_versions(tag: str, version: int):
    assert version_of(tag) == version


@pytest.mark.parametrize("tag", ["", '"x"', "*", "-1", "1.0", "²", '"1", "2"', '"2147483648"', "9" * 5_000])
def test_what_is_no_version_of_ours(tag: str):
    with pytest.raises(PreconditionFailed):
        version_of(tag)


async def test_a_problem_document(api: Api):
    answer = await get(api, "/api/v1/me")
    assert problem(answer) == (401, "/problems/unauthenticated")
    assert answer.headers["Content-Language"] == "zh"
    assert answer.json() == {
        "type": "/problems/unauthenticated",
        "title": "请先登录",
        "status": 401,
        "detail": catalogue.texts(Language.ZH)["unauthenticated.detail"],
        "instance": "/api/v1/me",
        "request_id": answer.headers["X-Request-Id"],
    }


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "zh"), ("en", "en"), ("EN-gb", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en;q=0.5, zh;q=0.4", "en"),
        ("fr, en;q=0.3", "en"), ("fr", "zh"), ("*", "zh"), ("en;q=0", "zh"), ("en ; q=0.7", "en"), ("en;q=x", "zh"),
        (";;,", "zh"),
    ],
)  # fmt: skip
async def test_the_callers_language(api: Api, accepted: str, language: str):
    answer = await get(api, "/api/v1/nothing-here", Accept_Language=accepted)
    assert answer.headers["Content-Language"] == language
    assert (
        answer.json()["title"] == {"zh": catalogue.texts(Language.ZH)["not-found.title"], "en": "Not found"}[language]
    )


def test_both_languages_have_the_same_texts():
    zh, en = catalogue.texts(Language.ZH), catalogue.texts(Language.EN)
    assert list(zh) == list(en)


async def test_field_faults_speak_the_language_and_keep_their_codes(shop: Shop):
    found = {}
    for language in ("zh", "en"):
        answer = await shop.api.call(
            "POST", "/points/adjustments", shop.hq, json={"points": "5", "a/b~c": 1}, key="k",
            headers={"Accept-Language": language},
        )  # fmt: skip
        found[language] = {(e["pointer"], e["code"]): e["detail"] for e in answer.json()["errors"]}
    assert set(found["zh"]) == set(found["en"]) == {
        ("/member_id", "missing"), ("/reason", "missing"), ("/points", "int_type"), ("/a~1b~0c", "extra_forbidden"),
    }  # fmt: skip
    assert found["en"]["/points", "int_type"] == "must be a whole number"
    assert all(found["zh"][fault] != detail for fault, detail in found["en"].items())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 30])
async def test_a_body_that_cannot_be_read(shop: Shop, content: bytes):
    answer = await shop.api.call(
        "POST", "/points/adjustments", shop.hq, content=content, key="k", headers={"Content-Type": "application/json"}
    )
    assert problem(answer) == ((422, "/problems/invalid-payload") if not content else (400, "/problems/malformed-body"))


async def test_a_body_of_another_kind(shop: Shop):
    answer = await shop.api.call("POST", "/points/adjustments", shop.hq, content=b"a=1", key="k")
    assert problem(answer) == (415, "/problems/unsupported-media-type")
    assert answer.json()["accepted"] == ["application/json"]


async def test_text_that_cannot_be_stored(shop: Shop):
    member = await shop.member()
    body = {"member_id": str(member.id), "points": 5, "reason": "\ud800"}
    lone = await shop.api.call(
        "POST", "/points/adjustments", shop.hq, content=json.dumps(body), key="lone",
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert (lone.status_code, [pointer for pointer, _ in pointers(lone.json())]) == (422, ["/reason"])
    assert pointers((await shop.post("/points/adjustments", body | {"reason": "\0"}, shop.hq))[1]) == [
        ("/reason", "string_pattern_mismatch")
    ]
    # where no schema says so, the database does
    order = {"member_id": str(member.id), "points": 5, "order_no": "\0", "dealer_code": "BJ001"}
    assert pointers((await shop.post("/redemptions", order, shop.program))[1]) == [("", "nul_character")]
    # through a session, too
    faulty = {"name": "a\0", "phone": "13900000000", "vin": member.vin, "source": "delivery", "dealer_code": "BJ001"}
    assert (await shop.post("/members", faulty, shop.hq))[0] == 422


async def test_an_unknown_route_and_an_unknown_method(api: Api):
    for path in ("/", "/api/v1/nothing-here", "/api/v2/me"):
        assert problem(await get(api, path)) == (404, "/problems/not-found")
    answer = await get(api, "/api/v1/me", "DELETE")
    assert problem(answer) == (405, "/problems/method-not-allowed")
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("abc-123", True), ("a" * 64, True), ("a" * 65, False), ("", False), ("a b", False), ("a\tb", False),
        ("<script>", False), ("---", False),
    ],
)  # fmt: skip
async def test_request_ids(api: Api, given: str, taken: bool):
    answers = [await get(api, path, X_Request_Id=given) for path in ("/health", "/api/v1/me")]
    for answer in answers:
        current = answer.headers["X-Request-Id"]
        assert (current == given) is taken
        assert current.replace("-", "").isalnum()
    assert answers[1].json()["request_id"] == answers[1].headers["X-Request-Id"]


async def test_health(api: Api):
    answer = await get(api, "/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


class Strict(BaseModel):
    """What a broken route fails to answer."""

    number: int


@pytest.fixture
async def faulty(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """An app whose routes break in every way."""
    app = FastAPI()
    install(app)
    app.state.db = api.db

    @app.get("/text")
    async def text() -> None:
        raise RuntimeError("a clear word")

    @app.get("/database")
    async def database() -> None:
        await api.db.pool.execute(f"SELECT '{PHONE}'::int")

    @app.get("/session")
    async def in_session(session: http.Session) -> None:
        await (await session.connection()).exec_driver_sql(f"SELECT '{PHONE}'::int")

    @app.get("/schema")
    async def schema() -> Strict:
        return {"number": PHONE}  # type: ignore[return-value]

    @app.get("/model")
    async def model() -> None:
        Strict.model_validate({"number": PHONE})

    async def failing_end() -> AsyncIterator[None]:
        yield
        raise NotFound("thing")

    @app.get("/late", dependencies=[Depends(failing_end, scope="function")])
    async def late() -> dict[str, str]:
        return {"status": "ok"}

    # exceptions that reach the server are logged there with their texts: none may
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://club.test") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/text", "RuntimeError: a clear word"),
        ("/database", "InvalidTextRepresentationError sqlstate=22P02"),
        ("/session", "sqlstate=22P02"),
        ("/schema", "ResponseValidationError int_parsing at ('response', 'number')"),
        ("/model", "ValidationError int_parsing at ('number',)"),
    ],
)
async def test_an_unexpected_error(faulty: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, path: str, logged: str):
    answer = await faulty.get(path, headers={"X-Request-Id": "find-me", "Accept-Language": "en"})
    assert problem(answer) == (500, "/problems/unexpected")
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"] == "find-me"
    assert answer.json()["title"] == "Unexpected error"
    assert "a clear word" not in answer.text
    assert "request find-me failed" in caplog.text
    assert logged in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    for text in (caplog.text, answer.text):
        assert PHONE not in text


async def test_what_fails_after_the_route_is_answered_as_a_failure(faulty: httpx.AsyncClient):
    assert problem(await faulty.get("/late")) == (404, "/problems/not-found")


@pytest.fixture
async def commits_fail(dsn: str) -> AsyncIterator[None]:
    """Until the test ends, no member can be committed: a deferred constraint says no."""
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        """CREATE FUNCTION refuse_commit() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'no commit for %', NEW.phone; END $$;
           CREATE CONSTRAINT TRIGGER refuse_commit AFTER INSERT ON member DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION refuse_commit()"""
    )
    yield
    await owner.execute("DROP TRIGGER refuse_commit ON member; DROP FUNCTION refuse_commit")
    await owner.close()


async def test_a_failed_commit_is_no_success(shop: Shop, commits_fail: None, caplog: pytest.LogCaptureFixture):
    body = {"name": "李雷", "phone": "13987654321", "vin": "LSVAB26E9S2000001", "source": "delivery"}
    answer = await shop.api.call("POST", "/members", shop.hq, json=body | {"dealer_code": "BJ001"}, key="commit")
    assert problem(answer) == (500, "/problems/unexpected")
    assert "13987654321" not in caplog.text + answer.text
    index = shop.api.db.vault.index("+8613987654321")
    assert await shop.pool.fetchval("SELECT count(*) FROM member WHERE phone_index = $1", index) == 0
    assert await shop.pool.fetchval("SELECT count(*) FROM idempotency_record WHERE key = 'commit'") == 0


async def test_the_key_of_a_failed_commit_is_free(shop: Shop):
    body = {"name": "李雷", "phone": "13987654321", "vin": "LSVAB26E9S2000001", "source": "delivery"}
    answer = await shop.api.call("POST", "/members", shop.hq, json=body | {"dealer_code": "BJ001"}, key="commit")
    assert answer.status_code == 201


async def test_the_docs_come_from_this_service_alone(api: Api):
    page = await api.http.get("/docs")
    assert (page.status_code, "https://" in page.text) == (200, False)
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f"/docs/assets/{asset}" in page.text
        assert (await api.http.get(f"/docs/assets/{asset}")).status_code == 200
