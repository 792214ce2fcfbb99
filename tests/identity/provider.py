"""A real OpenID Connect provider, run here as a server of its own (oidc-provider-mock, over HTTP), and its users."""

import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from app.settings import Settings
from tests.api import SETTINGS, Api

with warnings.catch_warnings():
    # the mock uses a part of authlib that its next release drops
    warnings.simplefilter("ignore")
    from oidc_provider_mock import User, run_server_in_thread

__all__ = ["User", "run_server_in_thread"]

BACK = "http://localhost/api/v1/sign-in/oidc/callback"
USERS = {
    "advisor": {"email": "Li@brand.example", "email_verified": True},
    "unverified": {"email": "wang@brand.example", "email_verified": False},
    "admin": {"email": "admin@brand.example", "email_verified": True},
    "admin-mfa": {"email": "admin.mfa@brand.example", "email_verified": True, "amr": ["pwd", "mfa"]},
    "gone": {"email": "gone@brand.example", "email_verified": True},
    "stranger": {"email": "stranger@brand.example", "email_verified": True},
    "impostor": {"email": "li@brand.example", "email_verified": True},
}


class Checked:
    """The mock behind a check it lacks: a code is traded only for the verifier of its challenge (RFC 7636)."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app
        self.challenges: list[str] = []
        self.verified = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == "/oauth2/authorize":
            asked = dict(parse_qsl(environ["QUERY_STRING"]))
            assert asked["code_challenge_method"] == "S256"
            self.challenges.append(asked["code_challenge"])
        if environ["PATH_INFO"] == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            verifier = dict(parse_qsl(body.decode()))["code_verifier"]
            if create_s256_code_challenge(verifier) not in self.challenges:
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "invalid_grant"}']
            self.verified += 1
            environ["wsgi.input"] = _Rewound(body)
        return self.app(environ, start_response)


class _Rewound:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def read(self, size: int = -1) -> bytes:
        size = len(self.body) if size is None or size < 0 else size
        part, self.body = self.body[:size], self.body[size:]
        return part


def settings(issuer: str, **more: Any) -> Settings:
    given = {
        "oidc_issuer": issuer, "oidc_client_id": "club", "oidc_client_secret": "club's own", "oidc_redirect_url": BACK,
    }  # fmt: skip
    return Settings.model_validate(SETTINGS.model_dump() | given | more)


async def to_provider(api: Api, **asked: str) -> str:
    """Where the browser is sent; it keeps the flow's cookie."""
    answer = await api.call("GET", "/sign-in/oidc", params=asked)
    assert answer.status_code == 302, answer.text
    cookie = answer.headers["Set-Cookie"]
    assert all(part in cookie for part in ("club_oidc=", "HttpOnly", "SameSite=lax", "Path=/api/v1/sign-in/oidc"))
    return answer.headers["Location"]


async def at_provider(url: str, sub: str, action: str = "") -> dict[str, str]:
    """Somebody signs in there: what the browser brings back."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.post(url, data={"sub": sub} | ({"action": action} if action else {}))
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["Location"])
    assert answer.headers["Location"].startswith(BACK)
    return dict(parse_qsl(back.query))


async def sign_in_as(api: Api, sub: str) -> httpx.Response:
    brought = await at_provider(await to_provider(api), sub)
    return await api.call("GET", "/sign-in/oidc/callback", params=brought)
