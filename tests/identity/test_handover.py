"""Sign-in by the provider for a front end: it gets a code in its address, and trades it for tokens with its secret."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from app.core.actors import Role
from app.identity import handover
from app.settings import Settings
from tests.api import Api
from tests.audit.trail import deeds
from tests.identity.provider import at_provider, to_provider
from tests.shop import pointers, problem

pytestmark = [
    pytest.mark.usefixtures("connected", "front_end"),
    # the mock's own use of authlib
    pytest.mark.filterwarnings("ignore:.* deprecated and will be removed:DeprecationWarning"),
]

FRONT = "https://console.brand.example"
PAGE = f"{FRONT}/signed-in?tab=1"
SECRET = "a-secret-that-the-front-end-keeps-to-itself_~."
CHALLENGE = create_s256_code_challenge(SECRET)
FAILED = (401, "/problems/sign-in-failed")


@pytest.fixture
def front_end(api: Api, connected: None) -> None:
    """A front end that the settings know, and one more origin."""
    before = api.app.state.settings.model_dump()
    api.app.state.settings = Settings.model_validate(before | {"cors_origins": (FRONT, "http://localhost:5173", "*")})


async def back_from_provider(api: Api, sub: str, action: str = "", return_to: str = PAGE) -> httpx.Response:
    """Where the service sends the browser in the end."""
    url = await to_provider(api, return_to=return_to, challenge=CHALLENGE)
    # the mock forgets the state when somebody declines
    state = dict(parse_qsl(urlsplit(url).query))["state"]
    brought = {"state": state} | await at_provider(url, sub, action)
    return await api.call("GET", "/sign-in/oidc/callback", params=brought)


def told(answer: httpx.Response) -> dict[str, str]:
    """What the front end is told in its address."""
    assert answer.status_code == 302, answer.text
    assert answer.headers["Location"].startswith(PAGE + "&")
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    said = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    assert said.pop("tab") == "1"
    return said


async def exchange(api: Api, code: str, verifier: str = SECRET) -> httpx.Response:
    return await api.call("POST", "/sign-in/oidc/exchange", json={"code": code, "verifier": verifier})


async def test_a_code_in_the_address_becomes_tokens(api: Api):
    answer = await back_from_provider(api, "advisor")
    said = told(answer)
    assert said.keys() == {"code"}
    assert "token" not in answer.headers["Location"] + answer.text
    signed_in = await exchange(api, said["code"])
    assert (signed_in.status_code, signed_in.headers["Cache-Control"]) == (200, "no-store")
    me = await api.call("GET", "/me", signed_in.json()["access_token"])
    assert (me.json()["subject"], me.json()["role"]) == ("li.advisor", "service_advisor")
    refreshed = await api.call("POST", "/sign-in/refresh", json={"refresh_token": signed_in.json()["refresh_token"]})
    assert refreshed.status_code == 200
    # good once
    assert problem(await exchange(api, said["code"])) == FAILED


async def test_a_code_is_for_the_front_end_that_asked_and_for_a_minute(api: Api):
    code = told(await back_from_provider(api, "advisor"))["code"]
    assert problem(await exchange(api, code, SECRET[:-1] + "x")) == FAILED
    assert problem(await exchange(api, code)) == FAILED, "a wrong secret uses it up"
    for wait, status in ((59, 200), (60, 401)):
        code = told(await back_from_provider(api, "advisor"))["code"]
        api.app.state.now += timedelta(seconds=wait)
        assert (await exchange(api, code)).status_code == status
    assert problem(await exchange(api, "made-up")) == FAILED
    stored = await api.db.pool.fetch("SELECT digest FROM sign_in_handover")
    assert code.encode() not in [row["digest"] for row in stored]
    # who was meant is on record
    refused, *_ = await deeds(api, outcome="sign-in-failed")
    assert (refused["operation"], refused["target_kind"]) == ("identity_oidc_exchange", "account")


@pytest.mark.parametrize("change", ["deactivated", "unlinked"])
async def test_a_code_of_somebody_who_is_out_since(api: Api, staff: dict[str, str], change: str):
    hq, path = api.token(Role.HQ_ADMIN), f"/accounts/{staff['li.advisor']}"
    code = told(await back_from_provider(api, "advisor"))["code"]
    if change == "deactivated":
        await api.db.pool.execute("UPDATE account SET is_active = false WHERE username = 'li.advisor'")
    else:
        assert (await api.call("DELETE", f"{path}/external-identity", hq)).status_code == 204
    assert problem(await exchange(api, code)) == FAILED
    await api.db.pool.execute("UPDATE account SET is_active = true WHERE username = 'li.advisor'")
    again = await api.call("PUT", f"{path}/external-identity", hq, json={"email": "li@brand.example"})
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("sub", "action", "error"),
    [
        ("stranger", "", "sign-in-failed"),
        ("gone", "", "sign-in-failed"),
        ("advisor", "deny", "sign-in-failed"),
        ("admin", "", "second-factor-missing"),
    ],
)
async def test_the_front_end_hears_why_not(api: Api, sub: str, action: str, error: str):
    count = len(await deeds(api, outcome=error, limit=200))
    assert told(await back_from_provider(api, sub, action)) == {"error": error}
    # answered by a redirect, and refused all the same
    assert len(await deeds(api, outcome=error, limit=200)) == count + 1
    linked = await api.db.pool.fetchval("SELECT linked_at FROM external_identity WHERE email = 'admin@brand.example'")
    assert linked is None, "what was refused has linked nobody"


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/", "https://console.brand.example.evil.example/", "https://console.brand.example@evil.cn/",
        "https://user@console.brand.example/", "https://console.brand.example\\@evil.example/", "//evil.example", "*",
        "https://console.brand.example:8443/", "http://console.brand.example/", "javascript:alert(1)", "https://[/",
        f"{FRONT}/#x", "/signed-in", "*://x",
    ],
)  # fmt: skip
async def test_no_other_page_gets_a_code(api: Api, return_to: str):
    refused = await api.call("GET", "/sign-in/oidc", params={"return_to": return_to, "challenge": CHALLENGE})
    assert (refused.status_code, pointers(refused.json())) == (422, [("/query/return_to", "return_to_foreign")])
    assert "Set-Cookie" not in refused.headers


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"return_to": PAGE}, ("/query", "needed_together")),
        ({"challenge": CHALLENGE}, ("/query", "needed_together")),
        ({"return_to": PAGE, "challenge": "short"}, ("/query/challenge", "string_pattern_mismatch")),
        ({"return_to": f"{FRONT}/\n", "challenge": CHALLENGE}, ("/query/return_to", "string_pattern_mismatch")),
        ({"return_to": f"{FRONT}/ä", "challenge": CHALLENGE}, ("/query/return_to", "string_pattern_mismatch")),
    ],
)
async def test_what_a_front_end_cannot_ask(api: Api, asked: dict[str, Any], fault: tuple[str, str]):
    refused = await api.call("GET", "/sign-in/oidc", params=asked)
    assert (refused.status_code, pointers(refused.json())) == (422, [fault])


def test_an_address_without_a_query_gets_one():
    assert handover.back(FRONT, code="a&b") == f"{FRONT}?code=a%26b"
