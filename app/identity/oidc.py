"""Sign-in by an OpenID Connect provider: authorization code flow with state, nonce and PKCE (RFC 9700, OIDC Core 3.1).

What the flow must remember travels in a short cookie that we sealed, so that no process and no table keeps it.
"""

import json
import logging
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from app.core.problems import NotFound
from app.identity.problems import ProviderUnavailable, SignInFailed
from app.identity.seals import Seals
from app.settings import Settings

log = logging.getLogger("club.oidc")

FLOW_LIFE = timedelta(minutes=10)
"""So long somebody may take to sign in at the provider."""
_KNOWN_FOR = timedelta(hours=1)
_KEYS_AT_LEAST = timedelta(minutes=1)
_TIMEOUT = httpx.Timeout(5)
_LEEWAY = 60
# by the provider's public key only: neither "none" nor a secret of ours as HMAC key
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_ENDPOINTS = {"authorization_endpoint", "token_endpoint", "jwks_uri"}


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in under way; with the front end's address and challenge when one asked for it."""

    state: str
    nonce: str
    verifier: str
    begun_at: float
    return_to: str | None = None
    challenge: str | None = None

    @classmethod
    def begin(cls, now: datetime, *, return_to: str | None = None, challenge: str | None = None) -> "Flow":
        """A new one."""
        return cls(
            secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), now.timestamp(),
            return_to, challenge,
        )  # fmt: skip

    def sealed(self, seals: Seals) -> str:
        """As the cookie holds it."""
        return seals.seal(json.dumps(asdict(self)).encode()).decode()

    @classmethod
    def opened(cls, seals: Seals, cookie: str | None, state: str, now: datetime) -> "Flow":
        """The flow that the provider's answer belongs to.

        Raises:
            SignInFailed: this browser began none, too long ago, or another one.
        """
        flow = cls._read(seals.opened(cookie or ""))
        if flow is None or not compare_digest(flow.state.encode(), state.encode()):
            raise SignInFailed
        if now.timestamp() - flow.begun_at > FLOW_LIFE.total_seconds():
            raise SignInFailed
        return flow

    @classmethod
    def _read(cls, content: bytes | None) -> "Flow | None":
        try:
            return cls(**json.loads(content)) if content is not None else None
        except (ValueError, TypeError):
            # sealed by us, but for something else
            return None


class Provider:
    """The provider of the settings. What it publishes is read when needed and remembered for an hour."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metadata: dict[str, Any] = {}
        self._keys = KeySet([])
        self._metadata_read_at: datetime | None = None
        self._keys_read_at: datetime | None = None

    @property
    def issuer(self) -> str:
        """The provider's name.

        Raises:
            NotFound: this service has no provider.
        """
        if self._settings.oidc_issuer is None:
            raise NotFound("OpenID Connect provider")
        return self._settings.oidc_issuer

    async def authorization_url(self, flow: Flow, now: datetime) -> str:
        """Where the browser goes to sign in.

        Raises:
            NotFound: this service has no provider.
            ProviderUnavailable.
        """
        metadata = await self._published(now)
        asked = urlencode({
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._settings.oidc_redirect_url,
            "scope": "openid email",
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": create_s256_code_challenge(flow.verifier),
            "code_challenge_method": "S256",
        })  # fmt: skip
        endpoint = str(metadata["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{asked}"

    async def claims(self, flow: Flow, code: str, now: datetime) -> dict[str, Any]:
        """The verified claims of the ID token that a code is traded for.

        Raises:
            NotFound: this service has no provider.
            SignInFailed: the provider refuses the code, or its token is not good.
            ProviderUnavailable.
        """
        metadata = await self._published(now)
        answer = await self._trade(metadata, code, flow.verifier)
        try:
            return await self._verified(answer, flow, now)
        except (JoseError, ValueError, TypeError) as error:
            log.warning("an ID token was refused: %s", type(error).__name__)
            raise SignInFailed from None

    async def _trade(self, metadata: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
        settings = self._settings
        assert settings.oidc_client_id is not None
        assert settings.oidc_client_secret is not None
        client_id, client_secret = settings.oidc_client_id, settings.oidc_client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": settings.oidc_redirect_url,
            "code_verifier": verifier,
        }  # fmt: skip
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = "client_secret_basic" in methods
        if not basic:
            form |= {"client_id": client_id, "client_secret": client_secret}
        # RFC 6749, 2.3.1: both parts form-encoded first
        auth = httpx.BasicAuth(quote(client_id, safe=""), quote(client_secret, safe="")) if basic else None
        answer = await _fetch("POST", metadata["token_endpoint"], data=form, auth=auth)
        if 400 <= answer.status_code < 500:
            log.warning("the provider refused a code: %s", answer.status_code)
            raise SignInFailed
        return _document(answer)

    async def _verified(self, answer: dict[str, Any], flow: Flow, now: datetime) -> dict[str, Any]:
        token = await self._decoded(str(answer.get("id_token", "")), now)
        options: Any = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._settings.oidc_client_id},
        }
        params = {
            "nonce": flow.nonce, "client_id": self._settings.oidc_client_id,
            "access_token": answer.get("access_token"),
        }  # fmt: skip
        claims = CodeIDToken(token.claims, token.header, options, params)
        claims.validate(int(now.timestamp()), _LEEWAY)
        return dict(claims)

    async def _decoded(self, token: str, now: datetime) -> jwt.Token:
        keys = await self._published_keys(now, _KNOWN_FOR)
        try:
            return jwt.decode(token, keys, _ALGORITHMS)
        except InvalidKeyIdError:
            # a new key of the provider's, perhaps; asked for at most once a minute
            return jwt.decode(token, await self._published_keys(now, _KEYS_AT_LEAST), _ALGORITHMS)

    async def _published(self, now: datetime) -> dict[str, Any]:
        if self._metadata_read_at is None or now - self._metadata_read_at > _KNOWN_FOR:
            found = _document(await _fetch("GET", get_well_known_url(self.issuer, external=True)))
            if found.get("issuer") != self.issuer or not found.keys() >= _ENDPOINTS:
                raise _unavailable("its metadata is another issuer's, or lacks an endpoint")
            self._metadata, self._metadata_read_at = found, now
        return self._metadata

    async def _published_keys(self, now: datetime, known_for: timedelta) -> KeySet:
        if self._keys_read_at is None or now - self._keys_read_at > known_for:
            found = _document(await _fetch("GET", (await self._published(now))["jwks_uri"]))
            try:
                self._keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
            except (JoseError, KeyError, ValueError) as error:
                raise _unavailable(f"its keys are not valid: {type(error).__name__}") from None
            self._keys_read_at = now
        return self._keys


async def _fetch(method: str, url: str, **options: Any) -> httpx.Response:
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
            answer = await client.request(method, url, headers={"Accept": "application/json"}, **options)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unavailable(type(error).__name__) from None
    if answer.status_code >= 500 or (method == "GET" and answer.status_code != 200):
        raise _unavailable(f"it answered {answer.status_code}")
    return answer


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _unavailable("it did not answer in JSON")
    return found


def _unavailable(why: str) -> ProviderUnavailable:
    log.warning("the OpenID Connect provider is of no use: %s", why)
    return ProviderUnavailable()
