"""Tokens made by an attacker, sent to the running service: 401, whatever the header says of key and algorithm."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.identity.keys import ALGORITHM, Key
from app.identity.tokens import ISSUER
from tests.api import SETTINGS, Api
from tests.now import NOW

OURS = Key.derived(SETTINGS.signing_key)
THEIRS = Key.derived(b"an attacker's own key, as long as ours")
_AT = int(NOW.timestamp())
CLAIMS = {"iss": ISSUER, "sub": "hq", "role": "hq_admin", "iat": _AT, "exp": _AT + 600}
PUBLIC = OURS.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RAW_PUBLIC = OURS.public.public_bytes(Encoding.Raw, PublicFormat.Raw)

KEY_NAMES = (
    "../../../../dev/null", "/dev/null", "file:///etc/passwd", "https://evil.example/jwks.json", "' OR '1'='1' --",
    "'; DROP TABLE account; --", "\0", "", "%", "*", OURS.kid.upper(), f"{OURS.kid}\0", f" {OURS.kid}",
)  # fmt: skip


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _unsigned(algorithm: str, **header: Any) -> str:
    return f"{_part({'alg': algorithm, 'typ': 'JWT'} | header)}.{_part(CLAIMS)}."


def _by_public_key(secret: bytes, algorithm: str) -> str:
    """As PyJWT would sign it, were it not to refuse such keys itself."""
    head = f"{_part({'alg': algorithm, 'typ': 'JWT', 'kid': OURS.kid})}.{_part(CLAIMS)}"
    digest = jwt.get_algorithm_by_name(algorithm).sign(head.encode(), secret)
    return f"{head}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


async def _status(api: Api, token: str) -> int:
    return (await api.call("GET", "/me", token)).status_code


async def test_what_is_well_signed_is_let_in(api: Api) -> None:
    assert await _status(api, jwt.encode(CLAIMS, OURS.private, ALGORITHM, headers={"kid": OURS.kid})) == 200


@pytest.mark.parametrize("name", KEY_NAMES)
@pytest.mark.parametrize("key", [OURS, THEIRS], ids=["our key", "their key"])
async def test_a_key_by_a_hostile_name(api: Api, key: Key, name: str) -> None:
    assert await _status(api, jwt.encode(CLAIMS, key.private, ALGORITHM, headers={"kid": name})) == 401


@pytest.mark.parametrize("header", [{"jku": "https://evil.example/jwks.json"}, {"x5u": "https://evil.example/c.pem"}])
async def test_a_key_from_elsewhere(api: Api, header: dict[str, str]) -> None:
    forged = jwt.encode(CLAIMS, THEIRS.private, ALGORITHM, headers={"kid": OURS.kid} | header)
    assert await _status(api, forged) == 401


async def test_a_key_brought_along(api: Api) -> None:
    forged = jwt.encode(CLAIMS, THEIRS.private, ALGORITHM, headers={"kid": OURS.kid, "jwk": THEIRS.jwk()})
    assert await _status(api, forged) == 401


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
async def test_no_algorithm(api: Api, algorithm: str) -> None:
    assert await _status(api, _unsigned(algorithm)) == 401
    assert await _status(api, _unsigned(algorithm, kid=OURS.kid)) == 401


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("secret", [PUBLIC, RAW_PUBLIC], ids=["PEM", "raw"])
async def test_the_public_key_as_a_shared_secret(api: Api, secret: bytes, algorithm: str) -> None:
    assert await _status(api, _by_public_key(secret, algorithm)) == 401
