"""Sign-in by an OpenID Connect provider that runs here as a server of its own (oidc-provider-mock, over HTTP)."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import ValidationError

from app.core.actors import Role
from app.identity import external
from app.identity.oidc import Provider
from app.settings import Settings
from tests.api import SETTINGS, Api
from tests.identity.provider import BACK, USERS, at_provider, settings, sign_in_as, to_provider
from tests.shop import problem

# the mock's own use of authlib
pytestmark = [
    pytest.mark.usefixtures("connected"),
    pytest.mark.filterwarnings("ignore:.* deprecated and will be removed:DeprecationWarning"),
]


async def test_signing_in(api: Api, mock: Any):
    url = await to_provider(api)
    asked = parse_qs(urlsplit(url).query)
    assert (asked["scope"], asked["response_type"], asked["redirect_uri"]) == (["openid email"], ["code"], [BACK])
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    verified = mock.app.verified
    answer = await api.call("GET", "/sign-in/oidc/callback", params=await at_provider(url, "advisor"))
    assert answer.status_code == 200, answer.text
    assert mock.app.verified == verified + 1
    assert answer.headers["Cache-Control"] == "no-store"
    me = (await api.call("GET", "/me", answer.json()["access_token"])).json()
    assert (me["subject"], me["role"], me["dealer_code"]) == ("li.advisor", "service_advisor", "BJ001")
    refreshed = await api.call("POST", "/sign-in/refresh", json={"refresh_token": answer.json()["refresh_token"]})
    assert refreshed.status_code == 200


async def test_linked_once_the_subject_decides(api: Api, mock: Any):
    assert (await sign_in_as(api, "advisor")).status_code == 200
    # another one at the provider with the same address is not the person
    assert problem(await sign_in_as(api, "impostor")) == (401, "/problems/sign-in-failed")
    # and a changed address is still the person
    async with httpx.AsyncClient(base_url=f"http://localhost:{mock.server_port}") as provider:
        await provider.put("/users/advisor", json={"email": "new@brand.example", "email_verified": True})
        assert (await sign_in_as(api, "advisor")).status_code == 200
        await provider.put("/users/advisor", json=USERS["advisor"])


@pytest.mark.parametrize("sub", ["unverified", "stranger", "gone"])
async def test_who_is_not_let_in(api: Api, sub: str):
    assert problem(await sign_in_as(api, sub)) == (401, "/problems/sign-in-failed")


async def test_headquarters_needs_a_second_factor_at_the_provider(api: Api):
    assert problem(await sign_in_as(api, "admin")) == (403, "/problems/second-factor-missing")
    assert (await sign_in_as(api, "admin-mfa")).status_code == 200
    api.app.state.settings = settings(api.app.state.settings.oidc_issuer, oidc_asserts_second_factor=True)
    assert (await sign_in_as(api, "admin")).status_code == 200


async def test_an_answer_is_for_the_browser_that_asked(api: Api):
    brought = await at_provider(await to_provider(api), "advisor")
    cookie = api.http.cookies["club_oidc"]
    callback = "/sign-in/oidc/callback"

    async def back(params: dict[str, str], cookie: str | None) -> tuple[int, str]:
        api.http.cookies.clear()
        headers = {"Cookie": f"club_oidc={cookie}".encode()} if cookie else {}
        return problem(await api.call("GET", callback, params=params, headers=headers))  # type: ignore[arg-type]

    failed = (401, "/problems/sign-in-failed")
    assert await back(brought, None) == failed
    assert await back(brought, "forged") == failed
    assert await back(brought, "é") == failed
    # sealed by us, but no sign-in under way
    for content in (b"JBSWY3DPEHPK3PXP", b"[]", b'{"state": "x"}', b"\xff"):
        assert await back(brought, api.app.state.seals.seal(content).decode()) == failed
    assert await back(brought | {"state": "another"}, cookie) == failed
    assert await back({"state": brought["state"], "error": "access_denied"}, cookie) == failed
    assert await back(brought | {"code": "made-up"}, cookie) == failed
    # a code of another flow of the same person: the challenge and the nonce are not this flow's
    await to_provider(api)
    other = await at_provider(await to_provider(api), "advisor")
    assert await back(brought | {"code": other["code"]}, cookie) == failed
    api.app.state.now += timedelta(minutes=11)
    assert await back(brought, cookie) == failed
    api.app.state.now -= timedelta(minutes=11)
    good = {"Cookie": f"club_oidc={cookie}"}
    assert (await api.call("GET", callback, params=brought, headers=good)).status_code == 200
    # the code is used up
    assert await back(brought, cookie) == failed


async def test_declining_at_the_provider(api: Api):
    brought = await at_provider(await to_provider(api), "advisor", action="deny")
    assert brought["error"] == "access_denied"
    answer = await api.call("GET", "/sign-in/oidc/callback", params=brought | {"state": brought.get("state", "")})
    assert answer.status_code == 401


async def test_headquarters_links_and_unlinks(api: Api, staff: dict[str, str]):
    hq, path = api.token(Role.HQ_ADMIN), f"/accounts/{staff['li.advisor']}/external-identity"
    taken = await api.call("PUT", path, hq, json={"email": "admin@brand.example"})
    assert problem(taken) == (409, "/problems/email-taken")
    for email in ("no address", "a@b", "@brand.example", "a@b@c.example"):
        assert (await api.call("PUT", path, hq, json={"email": email})).status_code == 422
    assert (await api.call("PUT", path, api.token(Role.HQ_OPERATIONS), json={"email": "a@b.cn"})).status_code == 403

    assert (await sign_in_as(api, "advisor")).status_code == 200
    assert (await api.call("DELETE", path, hq)).status_code == 204
    assert (await api.call("DELETE", path, hq)).status_code == 404
    assert (await sign_in_as(api, "advisor")).status_code == 401
    # awaited anew: who comes first with the verified address is linked
    assert (await api.call("PUT", path, hq, json={"email": "li@brand.example"})).status_code == 200
    assert (await sign_in_as(api, "advisor")).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_who_is_no_longer_linked_is_out(api: Api, staff: dict[str, str], method: str):
    hq, path = api.token(Role.HQ_ADMIN), f"/accounts/{staff['li.advisor']}/external-identity"
    signed_in = (await sign_in_as(api, "advisor")).json()
    body = {"email": "someone.else@brand.example"} if method == "PUT" else None
    assert (await api.call(method, path, hq, json=body)).status_code in {200, 204}
    refreshed = await api.call("POST", "/sign-in/refresh", json={"refresh_token": signed_in["refresh_token"]})
    assert problem(refreshed) == (401, "/problems/session-ended")
    await api.app.state.sessions.learn(api.db, api.app.state.now)
    assert (await api.call("GET", "/me", signed_in["access_token"])).status_code == 401
    assert (await sign_in_as(api, "advisor")).status_code == 401
    assert (await api.call("PUT", path, hq, json={"email": "li@brand.example"})).status_code == 200


async def test_a_link_taken_away_under_way_lets_nobody_in(
    api: Api, staff: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """Between the provider's answer and the account's lock, headquarters takes the identity away."""
    path, locked = f"/accounts/{staff['li.advisor']}/external-identity", external._locked
    assert (await sign_in_as(api, "advisor")).status_code == 200

    async def slow(*given: Any) -> Any:
        assert (await api.call("DELETE", path, api.token(Role.HQ_ADMIN))).status_code == 204
        return await locked(*given)

    monkeypatch.setattr(external, "_locked", slow)
    assert problem(await sign_in_as(api, "advisor")) == (401, "/problems/sign-in-failed")
    monkeypatch.undo()
    again = await api.call("PUT", path, api.token(Role.HQ_ADMIN), json={"email": "li@brand.example"})
    assert again.status_code == 200


async def test_without_a_provider_there_is_no_such_door(api: Api):
    api.app.state.oidc = Provider(SETTINGS)
    assert (await api.call("GET", "/sign-in/oidc")).status_code == 404


async def test_a_provider_that_is_of_no_use(api: Api, mock: Any):
    unavailable = (502, "/problems/identity-provider-unavailable")
    # nobody listens; no provider there; a provider under another name
    for issuer in (
        "http://localhost:1", f"http://localhost:{mock.server_port}/nothing", f"http://127.0.0.1:{mock.server_port}/",
    ):  # fmt: skip
        api.app.state.oidc = Provider(settings(issuer))
        assert problem(await api.call("GET", "/sign-in/oidc")) == unavailable, issuer


# --- tokens the mock would never issue ---

KEY = RSAKey.generate_key(2048, {"kid": "theirs"})


@pytest.fixture
def forged(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Sign-in as "advisor" by a token made here: changed claims, another algorithm, another key."""
    issuer = api.app.state.settings.oidc_issuer

    async def attempt(algorithm: str = "RS256", key: Any = KEY, kid: str = "theirs", **changes: Any) -> int:
        url = await to_provider(api)
        asked = dict(parse_qsl(urlsplit(url).query))
        now = int(api.app.state.now.timestamp())
        claims = {
            "iss": issuer, "aud": "club", "sub": "advisor", "iat": now, "exp": now + 60, "nonce": asked["nonce"],
        } | changes  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        if algorithm == "none":
            token = ".".join([_part({"alg": "none"}), _part(kept), ""])
        else:
            token = jwt.encode({"alg": algorithm, "kid": kid}, kept, key, [algorithm])

        async def fetch(method: str, target: str, **_: Any) -> httpx.Response:
            answers = {
                "token": {"access_token": "a", "token_type": "Bearer", "id_token": token},
                "jwks": {"keys": [KEY.as_dict(private=False)]},
                "openid-configuration": {
                    "issuer": issuer, "authorization_endpoint": f"{issuer}/oauth2/authorize",
                    "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/jwks",
                },
            }  # fmt: skip
            return httpx.Response(200, json=answers[target.rpartition("/")[2]])

        api.app.state.oidc = Provider(api.app.state.settings)
        monkeypatch.setattr("app.identity.oidc._fetch", fetch)
        try:
            back = urlencode({"state": asked["state"], "code": "any"})
            return (await api.call("GET", f"/sign-in/oidc/callback?{back}")).status_code
        finally:
            monkeypatch.undo()

    return attempt


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


async def test_forged_tokens(api: Api, forged: Callable[..., Any]):
    assert (await sign_in_as(api, "advisor")).status_code == 200
    now = int(api.app.state.now.timestamp())
    assert await forged() == 200, "the control: as the provider makes it, it is good"
    assert await forged(iss="http://localhost:1") == 401
    assert await forged(aud="another client") == 401
    assert await forged(aud=["club", "another"]) == 401
    assert await forged(aud=["club", "another"], azp="another") == 401
    assert await forged(nonce="another") == 401
    assert await forged(nonce=None) == 401
    assert await forged(exp=now - 120) == 401
    assert await forged(exp=None) == 401
    assert await forged(sub=None) == 401
    assert await forged(iat=now + 3600) == 401
    assert await forged(at_hash="wrong") == 401
    assert await forged(algorithm="none") == 401
    assert await forged(key=RSAKey.generate_key(2048)) == 401
    assert await forged(key=RSAKey.generate_key(2048), kid="unknown") == 401


def test_settings_name_a_whole_provider_or_none():
    with pytest.raises(ValidationError, match="oidc_issuer"):
        Settings(oidc_issuer="https://id.brand.example")
    with pytest.raises(ValidationError, match="must begin with https"):
        settings("http://id.brand.example")
    with pytest.raises(ValidationError, match="must begin with https"):
        settings("http://localhost.brand.example")
    assert settings("https://id.brand.example").oidc_issuer == "https://id.brand.example"
