"""The edge: how often one may ask, what one may send, which headers come along, and what is written down."""

import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from limits.aio.storage import Storage
from limits.errors import ConfigurationError
from pydantic import SecretStr, ValidationError

from app.core import logs, rates
from app.core.actors import Actor, Role
from app.core.bodies import MOST_DEPTH, depth_of
from app.core.problems import TooManyRequests
from app.core.rates import Rates, Windows, network_of
from app.settings import Settings
from tests import generated
from tests.api import SETTINGS, Api, running_api
from tests.shop import problem

LIMITED = (429, "/problems/too-many-requests")
FRONT_END = "https://club.example"


def running(dsn: str, **settings: Any) -> AbstractAsyncContextManager[Api]:
    """An app with settings of its own, and counters that begin at nothing."""
    return running_api(dsn, settings=SETTINGS.model_copy(update=settings))


async def post(api: Api, content: bytes, kind: str = "application/json", **headers: str) -> httpx.Response:
    """To a route that takes JSON, of which nobody needs to know more."""
    return await api.call("POST", "/sign-in", content=content, headers={"Content-Type": kind, **headers})


# --- how often ---


async def test_a_stranger_is_limited_by_address(dsn: str):
    async with running(dsn, rate_address="3/hour") as api:
        assert [(await api.http.get("/api/v1/me")).status_code for _ in range(4)] == [401, 401, 401, 429]
        answer = await api.http.get("/health")
        assert problem(answer) == LIMITED
        assert 3500 < int(answer.headers["Retry-After"]) <= 3600
        assert answer.json()["retry_after_seconds"] == int(answer.headers["Retry-After"])
        assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
        # who is signed in passes by a stranger at the same address, and a bad token is no way around
        token = api.token(Role.AUDITOR)
        assert (await api.call("GET", "/me", token)).status_code == 200
        assert problem(await api.call("GET", "/me", token + "x")) == LIMITED
        assert problem(await api.http.get("/nothing", headers={"Authorization": "Basic YTpi"})) == LIMITED


async def test_addresses_are_apart(dsn: str):
    async with running(dsn, rate_address="1/hour") as api:

        async def status_from(address: str) -> int:
            transport = httpx.ASGITransport(api.app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://club.test") as client:
                return (await client.get("/api/v1/me")).status_code

        assert [await status_from("203.0.113.7"), await status_from("203.0.113.8")] == [401, 401]
        assert await status_from("203.0.113.7") == 429
        assert [await status_from(f"2001:db8::{host}") for host in (1, 2)] == [401, 429]
        assert await status_from("2001:db8:0:1::1") == 401
        # a socket for both families tells IPv4 so: neither all of it together nor each once more
        assert [await status_from(f"::ffff:203.0.113.{host}") for host in (7, 9, 9)] == [429, 401, 429]


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"), ("2001:db8::1", "2001:db8::/64"), ("unknown:1", "unknown:1"), ("-", "-"),
        ("fe80::1%eth0", "fe80::/64"), ("::ffff:203.0.113.7", "203.0.113.7"), ("::ffff:cb00:7108", "203.0.113.8"),
    ],
)  # fmt: skip
def test_what_an_address_counts_as(address: str, counted: str):
    assert network_of(address) == counted


async def test_accounts_are_limited_each_for_itself_and_programs_more_kindly(dsn: str):
    async with running(dsn, rate_account="2/hour", rate_client="4/hour") as api:

        async def statuses(token: str) -> list[int]:
            return [(await api.call("GET", "/me", token)).status_code for _ in range(5)]

        assert await statuses(api.token(Role.HQ_ADMIN, subject="one")) == [200, 200, 429, 429, 429]
        # another token of the same account is the same account
        assert problem(await api.call("GET", "/me", api.token(Role.AUDITOR, subject="one"))) == LIMITED
        assert await statuses(api.token(Role.HQ_ADMIN, subject="two")) == [200, 200, 429, 429, 429]
        assert await statuses(api.token(Role.MEMBER, member=uuid4())) == [200, 200, 429, 429, 429]
        assert await statuses(api.token(Role.API_CLIENT, subject="front")) == [200, 200, 200, 200, 429]


async def test_a_signed_in_caller_cannot_try_passwords_without_end(dsn: str):
    async with running(dsn, rate_account="2/hour") as api:
        token = api.token(Role.MEMBER, member=uuid4())
        answers = [await api.call("POST", "/sign-in", token, json={}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [422, 422, 429]


async def test_a_window_ends(monkeypatch: pytest.MonkeyPatch):
    moment = [1_000.0]
    monkeypatch.setattr(rates, "time", SimpleNamespace(time=lambda: moment[0]))
    limited = Rates(SETTINGS.model_copy(update={"rate_address": "2/minute"}))
    await limited.count(None, "a")
    moment[0] += 59
    await limited.count(None, "a")
    with pytest.raises(TooManyRequests) as refused:
        await limited.count(None, "a")
    assert refused.value.members == {"retry_after_seconds": 1}
    moment[0] += 1
    await limited.count(None, "a")


async def test_ended_windows_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    moment = [1_000.0]
    monkeypatch.setattr(rates, "time", SimpleNamespace(time=lambda: moment[0]))
    monkeypatch.setattr(rates, "_MOST_WINDOWS", 50)
    windows = Windows()
    for number in range(200):
        moment[0] += 1
        await windows.incr(str(number), 10)
    assert await windows.reset() == 10
    for number in range(200):
        await windows.incr(str(number), 10)
    assert await windows.get("199") == 1
    assert await windows.reset() == 50


async def test_lost_counters_refuse_nobody(caplog: pytest.LogCaptureFixture):
    class Broken(Windows):
        """Counters elsewhere, which cannot be reached."""

        STORAGE_SCHEME = ["async+broken"]  # noqa: RUF012

        @property
        def base_exceptions(self) -> tuple[type[Exception], ...]:
            return (OSError,)

        async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
            raise ConnectionRefusedError("10.1.2.3 refused")

    assert issubclass(Broken, Storage)
    settings = SETTINGS.model_copy(update={"limits_storage": SecretStr("broken://")})
    await Rates(settings).count(Actor("one", Role.AUDITOR), "a")
    assert "limits are not kept: ConnectionRefusedError" in caplog.text
    assert "10.1.2.3" not in caplog.text


def test_settings_that_cannot_be(monkeypatch: pytest.MonkeyPatch):
    for name in ("ADDRESS", "ACCOUNT", "CLIENT"):
        with monkeypatch.context() as patch:
            patch.setenv(f"CLUB_RATE_{name}", "often")
            with pytest.raises(ValidationError):
                Settings()
    settings = SETTINGS.model_copy(update={"limits_storage": SecretStr("unknown://x")})
    with pytest.raises(ConfigurationError):
        Rates(settings)
    monkeypatch.setenv("CLUB_CORS_ORIGINS", f"{FRONT_END}, https://b.example")
    monkeypatch.setenv("CLUB_TRUSTED_PROXIES", "10.0.0.0/8")
    settings = Settings()
    assert settings.cors_origins == (FRONT_END, "https://b.example")
    assert settings.trusted_proxies == ("10.0.0.0/8",)


# --- what may be sent ---


@pytest.mark.parametrize("kind", [
    "application/json", "application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"',
])  # fmt: skip
async def test_media_types_taken(api: Api, kind: str):
    assert (await post(api, b"{}", kind)).status_code == 422


@pytest.mark.parametrize("kind", [
    "", "text/plain", "text/json", "application/problem+json", "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x", "application/json; charset=gbk", "application/json; version=2", "*/*",
    "text/csv",
])  # fmt: skip
async def test_media_types_refused(api: Api, kind: str):
    answer = await post(api, b"{}", kind)
    assert problem(answer) == (415, "/problems/unsupported-media-type")
    assert answer.json()["accepted"] == ["application/json"]


async def test_no_body_has_no_type(api: Api):
    assert (await api.call("POST", "/sign-in", headers={"Content-Type": "text/plain"})).status_code == 422


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_have_a_limit(dsn: str, chunked: bool):
    async def pieces(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 1024):
            yield b" " * 1024

    async with running(dsn, body_max_mib=1) as api:
        for size, expected in ((1 << 20, 422), ((1 << 20) + 1024, 413)):
            answer = await post(api, pieces(size) if chunked else b" " * size)  # type: ignore[arg-type]
            # white space alone is no JSON
            assert answer.status_code == (400 if expected == 422 else expected)
        assert problem(answer) == (413, "/problems/payload-too-large")
        assert answer.json()["limit_mib"] == 1


async def test_uploads_have_their_own(dsn: str):
    async with running(dsn, body_max_mib=1, upload_max_mib=2) as api:
        hq = api.token(Role.HQ_ADMIN)

        async def upload(size: int) -> int:
            rows = b"order_no\n" + b"\n" * size
            answer = await api.call(
                "POST", "/repair-orders/imports", hq, content=rows, headers={"Content-Type": "text/csv"}
            )
            return answer.status_code

        assert [await upload(size << 19) for size in (1, 3, 5)] == [202, 202, 413]


def nested(depth: int) -> bytes:
    """Beyond the counting of brackets that suffices for most."""
    return b'{"a":' + b"[" * (depth - 1) + b"[],[]" + b"]" * (depth - 1) + b"}"


async def test_depth_has_a_limit(api: Api):
    assert (await post(api, nested(MOST_DEPTH - 1))).status_code == 422
    answer = await post(api, nested(MOST_DEPTH))
    assert problem(answer) == (400, "/problems/nested-too-deeply")
    assert answer.json()["limit"] == MOST_DEPTH
    assert problem(await post(api, b"[" * 1_000_000)) == (400, "/problems/nested-too-deeply")


async def test_depth_is_counted_over_pieces(api: Api):
    async def pieces() -> AsyncIterator[bytes]:
        for byte in nested(MOST_DEPTH):
            yield bytes([byte])

    assert problem(await post(api, pieces())) == (400, "/problems/nested-too-deeply")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("document", "depth"),
    [
        (b"[" * 40 + b"]" * 40, 40),
        (b"[[" + b"[]," * 100, 3),
        (b'["' + b"[" * 100 + b'"]', 1),
        (b'["\\"' + b"[" * 100 + b'",[]]', 2),
        (b'["\\\\",' + b"[" * 39, 40),
        (b'["' + b"[" * 100, 1),
        (b"]" * 100 + b"[" * 40, 0),
        (b"[" * MOST_DEPTH, 0),
    ],
)
def test_depths(document: bytes, depth: int):
    assert max(0, depth_of(document)) == depth


@pytest.mark.parametrize("document", [b"[]" * 500_000, b'"' + b'\\"' * 500_000 + b"[" * 40, b'"[' * 500_000])
def test_depth_is_found_in_linear_time(document: bytes):
    started = time.process_time()
    depth_of(document)
    assert time.process_time() - started < 2


# --- what comes along ---


@pytest.mark.parametrize("path", ["/health", "/api/v1/me", "/nothing", "/docs/assets/swagger-ui.css"])
async def test_every_answer_has_the_headers(api: Api, path: str):
    headers = (await api.http.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
    assert "Strict-Transport-Security" not in headers


async def test_failures_have_them_too(dsn: str, capsys: pytest.CaptureFixture[str]):
    async with running(dsn, access_log="problems") as api:
        api.app.state.authenticate = lambda token: 1 / 0
        answer = await api.call("GET", "/me", "x")
    assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (500, "nosniff")
    assert "status=500" in capsys.readouterr().err


async def test_https_is_kept_to_where_it_is_set(dsn: str):
    async with running(dsn, https=True) as api:
        assert (await api.http.get("/health")).headers["Strict-Transport-Security"].startswith("max-age=31536000")


async def test_the_documents_policy_lets_its_own_script_run(api: Api):
    policy = (await api.http.get("/docs")).headers["Content-Security-Policy"]
    scripts = policy.partition("script-src ")[2].partition(";")[0].split()
    assert (scripts[0], len(scripts)) == ("'self'", 2)
    assert scripts[1].startswith("'sha256-")
    assert "frame-ancestors 'none'" in policy


async def test_foreign_pages_are_let_in_by_setting_alone(api: Api, dsn: str):
    asks = {"Origin": FRONT_END, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "If-Match"}
    assert "Access-Control-Allow-Origin" not in (await api.http.options("/api/v1/me", headers=asks)).headers
    async with running(dsn, cors_origins=(FRONT_END,), rate_address="1/hour") as open_api:
        preflight = await open_api.http.options("/api/v1/me", headers=asks)
        assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (200, FRONT_END)
        assert "Access-Control-Allow-Credentials" not in preflight.headers
        other = await open_api.http.options("/api/v1/me", headers=asks | {"Origin": "https://evil.example"})
        assert (other.status_code, "Access-Control-Allow-Origin" in other.headers) == (400, False)
        # a page can read its refusals, also those of the edge
        for expected in (401, 429):
            answer = await open_api.http.get("/api/v1/me", headers={"Origin": FRONT_END})
            assert answer.status_code == expected
            assert answer.headers["Access-Control-Allow-Origin"] == FRONT_END
            assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


# --- what is written down ---


async def written(dsn: str, capsys: pytest.CaptureFixture[str], which: str) -> list[dict[str, Any]]:
    """The log of two requests of somebody, and of a stranger's refused and limited one."""
    async with running(dsn, access_log=which, log_format="json", rate_address="1/hour") as api:
        token = api.token(Role.AUDITOR, subject="zhang.san")
        await api.call("GET", "/me?phone=13812345678", token)
        await api.call("GET", f"/members/{uuid4()}?phone=13812345678", token, headers={"X-Request-Id": "find-me"})
        for _ in range(2):
            await api.http.get("/nothing/13812345678")
    text = capsys.readouterr().err
    for personal in ("13812345678", "zhang.san", "127.0.0.1"):
        assert personal not in text
    return [json.loads(line) for line in text.splitlines()]


async def test_the_access_log(dsn: str, capsys: pytest.CaptureFixture[str]):
    every = await written(dsn, capsys, "all")
    assert [(line["route"], line["status"]) for line in every] == [
        ("/me", 200), ("/members/{member_id}", 404), (None, 404), (None, 429),
    ]  # fmt: skip
    one, found, stranger, _ = every
    assert (found["method"], found["request_id"], found["role"]) == ("GET", "find-me", "auditor")
    assert len(found["subject"]) == 16
    assert (one["subject"], stranger["subject"]) == (found["subject"], None)
    assert found["ms"] > 0
    assert found.keys() == {
        "at", "level", "logger", "event", "method", "route", "status", "ms", "request_id", "role", "subject",
    }  # fmt: skip


async def test_what_of_it_is_kept(dsn: str, capsys: pytest.CaptureFixture[str]):
    assert [line["status"] for line in await written(dsn, capsys, "problems")] == [404, 404]
    assert await written(dsn, capsys, "none") == []


async def test_the_documents_say_what_the_edge_answers():
    for operations in generated.api().openapi()["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            assert "`too-many-requests`" in answers["429"]["description"]
            if "requestBody" in operation:
                assert "`payload-too-large`" in answers["413"]["description"]
                assert "`unsupported-media-type`" in answers["415"]["description"]
                assert "`nested-too-deeply`" in answers["400"]["description"]


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    kept = root.handlers[:]
    yield root
    root.handlers[:] = kept


def test_json_lines(root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]):
    logs.install("json")
    logging.getLogger("club").info("request %s failed", "abc")
    line = json.loads(capfd.readouterr().err)
    assert (line["event"], line["level"], line["logger"]) == ("request abc failed", "info", "club")
    logs.install("console")
    logging.getLogger("club").warning("so so")
    assert capfd.readouterr().err == "WARNING club so so\n"
