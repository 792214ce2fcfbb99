"""The client credentials grant (RFC 6749, 4.4): what a program's token request says, without HTTP."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote_plus

FORM = "application/x-www-form-urlencoded"

Fault = Literal["invalid_request", "invalid_client", "unsupported_grant_type", "invalid_scope"]


class Refused(Exception):
    """A token request that is refused: why, by RFC 6749's code (5.2), and whether the client used HTTP Basic."""

    def __init__(self, error: Fault, description: str, *, by_basic: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.by_basic = by_basic


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Who asks, and for which scopes; None: all it has."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: frozenset[str] | None
    by_basic: bool

    def refused(self, error: Fault, description: str) -> Refused:
        """The refusal of this request."""
        return Refused(error, description, by_basic=self.by_basic)


def read(content_type: str, authorization: str, body: bytes) -> TokenRequest:
    """A token request.

    Raises:
        Refused: not a form, a parameter missing or twice, two ways of authentication, or another grant.
    """
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise Refused("invalid_request", f"send {FORM}")
    form = _form(body)
    basic = _basic(authorization)
    if basic is not None and ("client_secret" in form or form.get("client_id", basic[0]) != basic[0]):
        raise Refused("invalid_request", "authenticate by HTTP Basic or by the form, not by both")
    if form.get("grant_type") is None:
        raise Refused("invalid_request", "grant_type is missing")
    client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
    scope = form.get("scope")
    request = TokenRequest(
        client_id, secret, None if scope is None else frozenset(scope.split()), by_basic=basic is not None
    )
    if form["grant_type"] != "client_credentials":
        raise request.refused("unsupported_grant_type", "only client_credentials is supported")
    return request


def _form(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=False, max_num_fields=20, errors="strict")
    except ValueError:
        raise Refused("invalid_request", "the form cannot be read") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Refused("invalid_request", "a parameter is there twice")
    if "\0" in "".join(form.values()):
        raise Refused("invalid_request", "the form has a character U+0000")
    return form


def _basic(authorization: str) -> tuple[str, str] | None:
    """Client id and secret of an HTTP Basic header, each of them form-encoded first (RFC 6749, 2.3.1)."""
    kind, _, credentials = authorization.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        client_id, secret = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise Refused("invalid_client", "the Authorization header cannot be read", by_basic=True) from None
    if "\0" in client_id:
        raise Refused("invalid_client", "the Authorization header cannot be read", by_basic=True)
    return client_id, secret
