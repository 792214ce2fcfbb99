"""Programs: secrets shown once and rotated with overlap, and RFC 6749's client credentials with its errors."""

import base64
import hmac
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import asyncpg
import httpx
import pytest

from app.core.actors import Role
from app.identity import programs
from tests.api import Api
from tests.identity.staff import admin
from tests.now import NOW
from tests.shop import Shop, pointers, problem

FORM = "application/x-www-form-urlencoded"
SCOPES = ["orders:write", "points:read"]


@pytest.fixture(autouse=True)
async def network(shop: Shop) -> AsyncIterator[None]:
    yield
    shop.api.app.state.now = NOW


async def made(api: Api, username: str, scopes: list[str] = SCOPES) -> dict[str, Any]:
    body = {"username": username, "name": "a program", "scopes": scopes}
    answer = await api.call("POST", "/programs", admin(api), json=body)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store"), answer.text
    return dict(answer.json())


async def rotate(api: Api, program: dict[str, Any], **body: Any) -> httpx.Response:
    return await api.call("POST", f"/programs/{program['account_id']}/secrets", admin(api), json=body)


async def ask(
    api: Api, form: dict[str, str] | str, *, basic: str | None = None, content_type: str = FORM
) -> httpx.Response:
    headers = {"Content-Type": content_type} | ({"Authorization": f"Basic {basic}"} if basic is not None else {})
    body = form if isinstance(form, str) else urlencode(form)
    return await api.request("POST", "/oauth/token", token=None, headers=headers, content=body)


def form(program: dict[str, Any], **more: str) -> dict[str, str]:
    own = {name: program[name] for name in ("client_id", "client_secret")}
    return {"grant_type": "client_credentials"} | own | more


def encoded(client_id: str, secret: str) -> str:
    return base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


async def test_a_secret_becomes_a_token_that_works(api: Api):
    program = await made(api, "dms.one", ["network:read", "points:read"])
    answer = await ask(api, form(program))
    assert (answer.status_code, answer.headers["Cache-Control"], answer.headers["Pragma"]) == (
        200, "no-store", "no-cache",
    )  # fmt: skip
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 900, "network:read points:read")
    me = (await api.call("GET", "/me", body["access_token"])).json()
    assert (me["subject"], me["role"], me["scopes"], me["grants"]) == (
        "dms.one", "api_client", ["network:read", "points:read"], [],
    )  # fmt: skip
    assert (await api.call("GET", "/dealers", body["access_token"])).status_code == 200
    assert (await api.call("GET", "/accounts", body["access_token"])).status_code == 403
    api.app.state.now = NOW + timedelta(minutes=15)
    assert (await api.call("GET", "/dealers", body["access_token"])).status_code == 401


async def test_http_basic_does_as_well(api: Api):
    program = await made(api, "dms.basic")
    grant = {"grant_type": "client_credentials"}
    good = encoded(program["client_id"], program["client_secret"])
    assert (await ask(api, grant, basic=good)).status_code == 200
    assert (await ask(api, grant | {"client_id": "dms.basic"}, basic=good)).status_code == 200
    for more in ({"client_id": "another"}, {"client_secret": program["client_secret"]}):
        both = await ask(api, grant | more, basic=good)
        assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    wrong = await ask(api, grant, basic=encoded("dms.basic", "wrong"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert wrong.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("basic", ["***", "", base64.b64encode(b"\xff:x").decode(), encoded("a\0b", "x"), "YQ=="])
async def test_basic_that_cannot_be_read(api: Api, basic: str):
    answer = await ask(api, {"grant_type": "client_credentials"}, basic=basic)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_fewer_scopes_when_asked(api: Api):
    program = await made(api, "dms.scopes")
    fewer = (await ask(api, form(program, scope="points:read"))).json()
    assert fewer["scope"] == "points:read"
    assert (await api.call("GET", "/me", fewer["access_token"])).json()["scopes"] == ["points:read"]
    for scope in ("points:read points:earn", "accounts:write", "*", "POINTS:READ"):
        more = await ask(api, form(program, scope=scope))
        assert (more.status_code, more.json()["error"]) == (400, "invalid_scope"), scope


async def test_requests_that_cannot_be(api: Api):
    program = await made(api, "dms.odd")
    good = form(program)
    for sent, error in (
        ({name: good[name] for name in ("client_id", "client_secret")}, "invalid_request"),
        (good | {"grant_type": "password"}, "unsupported_grant_type"),
        (good | {"grant_type": "authorization_code"}, "unsupported_grant_type"),
        (urlencode(good) + "&client_id=dms.odd", "invalid_request"),
        (urlencode(good) + "&scope=a&scope=b", "invalid_request"),
        (urlencode(good) + "&" + "&".join(f"x{number}=1" for number in range(40)), "invalid_request"),
        (good | {"client_id": "a\0b"}, "invalid_request"),
        ("%ff=%fe&grant_type=client_credentials", "invalid_request"),
        ("", "invalid_request"),
    ):
        answer = await ask(api, sent)
        assert (answer.status_code, answer.json()["error"]) == (400, error), sent
        assert answer.headers["Cache-Control"] == "no-store"
    unknown = await ask(api, good | {"resource": "ignored"})
    assert unknown.status_code == 200
    as_json = await ask(api, '{"grant_type": "client_credentials"}', content_type="application/json")
    assert as_json.status_code in {400, 415}


async def test_why_it_failed_is_told_no_client(api: Api):
    program, gone = await made(api, "dms.good"), await made(api, "dms.gone")
    await api.call(
        "PATCH", f"/accounts/{gone['account_id']}", admin(api), json={"is_active": False}, headers={"If-Match": '"1"'}
    )
    person = {"username": "a.person", "name": "x", "password": "a long first password", "grant": {"role": "auditor"}}
    assert (await api.call("POST", "/accounts", admin(api), json=person)).status_code == 201
    grant = {"grant_type": "client_credentials"}
    failures = [
        await ask(api, grant | {"client_id": "nobody", "client_secret": program["client_secret"]}),
        await ask(api, grant | {"client_id": "dms.good", "client_secret": "wrong"}),
        await ask(api, grant | {"client_id": "dms.good", "client_secret": gone["client_secret"]}),
        await ask(api, grant | {"client_id": "dms.good"}),
        await ask(api, grant | {"client_id": "DMS.GOOD", "client_secret": program["client_secret"]}),
        await ask(api, grant),
        await ask(api, form(gone)),
        await ask(api, grant | {"client_id": "a.person", "client_secret": "a long first password"}),
    ]
    assert {answer.status_code for answer in failures} == {401}
    assert len({answer.text for answer in failures}) == 1
    assert failures[0].json()["error"] == "invalid_client"


async def test_an_unknown_client_costs_the_same_work(api: Api, monkeypatch: pytest.MonkeyPatch):
    """Digests are compared all the same, and in constant time; time itself would make a shaky test."""
    compared = []
    compare = hmac.compare_digest

    def noted(given: bytes, known: bytes) -> bool:
        compared.append((given, known))
        return compare(given, known)

    program = await made(api, "dms.timed")
    monkeypatch.setattr("app.identity.programs.hmac.compare_digest", noted)
    async with api.db.session() as session:
        assert await programs.authenticate(session, "nobody", program["client_secret"], NOW) is None
        assert len(compared) == 1
        found = await programs.authenticate(session, "dms.timed", program["client_secret"], NOW)
        assert found is not None
        assert len(compared) == 3


async def test_secrets_overlap_for_as_long_as_chosen(api: Api):
    program = await made(api, "dms.rotated")
    answer = await rotate(api, program, overlap_days=3)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    new = answer.json()
    assert new["client_secret"] != program["client_secret"]
    for after, old_status in ((timedelta(days=3, seconds=-1), 200), (timedelta(days=3), 401), (timedelta(400), 401)):
        api.app.state.now = NOW + after
        assert (await ask(api, form(program))).status_code == old_status
        assert (await ask(api, form(new))).status_code == 200


async def test_a_later_rotation_never_lengthens_an_end(api: Api):
    program = await made(api, "dms.again")
    second = (await rotate(api, program, overlap_days=1)).json()
    third = (await rotate(api, program, overlap_days=30)).json()
    api.app.state.now = NOW + timedelta(days=2)
    statuses = [(await ask(api, form(one))).status_code for one in (program, second, third)]
    assert statuses == [401, 200, 200]
    api.app.state.now = NOW
    last = (await rotate(api, program, overlap_days=0)).json()
    statuses = [(await ask(api, form(one))).status_code for one in (program, second, third, last)]
    assert statuses == [401, 401, 401, 200]
    path = f"/programs/{program['account_id']}/secrets"
    listed = await api.call("GET", path, api.token(Role.AUDITOR))
    assert [secret["ends_at"] is None for secret in listed.json()] == [True, False, False, False]
    assert set(listed.json()[0]) == {"id", "created_at", "ends_at"}


async def test_rotations_and_programs_that_cannot_be(api: Api):
    program = await made(api, "dms.limits")
    for days, code in ((31, "less_than_equal"), (-1, "greater_than_equal")):
        assert pointers((await rotate(api, program, overlap_days=days)).json()) == [("/overlap_days", code)]
    body = {"username": "dms.new", "name": "x", "scopes": SCOPES}
    for wrong, fault in (
        ({"scopes": []}, ("/scopes", "value_invalid")),
        ({"scopes": ["accounts:write"]}, ("/scopes/0", "literal_error")),
        ({"scopes": ["nothing"]}, ("/scopes/0", "literal_error")),
        ({"username": "a:b c"}, ("/username", "string_pattern_mismatch")),
        ({"client_secret": "mine"}, ("/client_secret", "extra_forbidden")),
    ):
        answer = await api.call("POST", "/programs", admin(api), json=body | wrong)
        assert (answer.status_code, pointers(answer.json())) == (422, [fault])
    taken = await api.call("POST", "/programs", admin(api), json=body | {"username": "dms.limits"})
    assert problem(taken) == (409, "/problems/username-taken")
    person = {"username": "no.program", "name": "x", "password": "a long first password", "grant": {"role": "auditor"}}
    account = (await api.call("POST", "/accounts", admin(api), json=person)).json()
    assert problem(await rotate(api, {"account_id": account["id"]})) == (404, "/problems/not-found")
    grant = await api.call("POST", f"/accounts/{program['account_id']}/grants", admin(api), json={"role": "auditor"})
    assert problem(grant) == (404, "/problems/not-found")


async def test_scopes_change_for_the_next_token(api: Api):
    program = await made(api, "dms.changed")
    path = f"/accounts/{program['account_id']}"
    changed = await api.call(
        "PATCH", path, admin(api), json={"scopes": ["points:read", "points:read"]}, headers={"If-Match": '"1"'}
    )
    assert (changed.status_code, changed.json()["scopes"]) == (200, ["points:read"])
    assert (await ask(api, form(program))).json()["scope"] == "points:read"
    assert (await ask(api, form(program, scope="orders:write"))).status_code == 400


async def test_only_a_digest_is_kept(api: Api, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    program = await made(api, "dms.kept")
    await ask(api, form(program))
    rows = await api.db.pool.fetch("SELECT * FROM client_secret")
    told = await api.db.pool.fetch("SELECT changes::text FROM audit_event")
    answers = await api.db.pool.fetch("SELECT body FROM idempotency_record")
    for text in (str(rows), str(told), str(answers), caplog.text):
        assert program["client_secret"] not in text
    for change in ("digest = ''", "account_id = id", "created_at = now()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.db.pool.execute(f"UPDATE client_secret SET {change}")
