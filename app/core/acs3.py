"""Alibaba Cloud's request signature V3 (ACS3-HMAC-SHA256), as its "request structure and signature" page says."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Operation:
    """What is called: an action of a dated API at a host (with its port, unless that is the scheme's own)."""

    host: str
    action: str
    version: str


def signed_headers(
    operation: Operation, query: str, *, key_id: str, key_secret: str, at: datetime, nonce: str
) -> dict[str, str]:
    """The headers of a POST to `/` without a body; good for 15 minutes from `at`, and once because of its nonce.

    Args:
        query: as `canonical_query` writes it.
    """
    headers = {
        "host": operation.host,
        "x-acs-action": operation.action,
        "x-acs-content-sha256": sha256(b"").hexdigest(),
        "x-acs-date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": operation.version,
    }
    signature = signature_of("POST", "/", query, headers, key_secret)
    credential = f"Credential={key_id},SignedHeaders={';'.join(headers)},Signature={signature}"
    return headers | {"Authorization": f"{ALGORITHM} {credential}"}


def signature_of(method: str, path: str, query: str, headers: Mapping[str, str], key_secret: str) -> str:
    """The signature (hex) over a request; `headers` are all that are signed, by lower-case name in order."""
    lines = "".join(f"{name}:{value.strip()}\n" for name, value in headers.items())
    canonical = "\n".join((method, path, query, lines, ";".join(headers), headers["x-acs-content-sha256"]))
    to_sign = f"{ALGORITHM}\n{sha256(canonical.encode()).hexdigest()}"
    return hmac.digest(key_secret.encode(), to_sign.encode(), "sha256").hex()


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Parameters by name, each percent-encoded as RFC 3986 says."""
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(parameters.items()))


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
