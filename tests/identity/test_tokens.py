"""Tokens: what makes one good, and what a good one may do."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from app.core.actors import Actor, Role
from app.identity.keys import ALGORITHM, Key
from app.identity.tokens import ISSUER, Tokens
from tests.api import SETTINGS, Api
from tests.now import NOW
from tests.shop import problem

SECRET = SETTINGS.signing_key
KEY = Key.derived(SECRET)
OTHER = Key.derived(b"another-secret-that-is-long-enough-for-it")
ADVISOR = Actor("li", Role.SERVICE_ADVISOR, "BJ001")


def tokens() -> Tokens:
    return Tokens(SECRET, clock=lambda: NOW)


def signed(key: Key = KEY, kid: str | None = KEY.kid, **changes: Any) -> str:
    return jwt.encode(claims(**changes), key.private, ALGORITHM, headers={"kid": kid} if kid else {})


def claims(**changes: Any) -> dict[str, Any]:
    at = int(NOW.timestamp())
    made = {"iss": ISSUER, "sub": "li", "role": "hq_admin", "iat": at, "exp": at + 60} | changes
    return {name: value for name, value in made.items() if value is not None}


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "actor",
    [
        ADVISOR,
        Actor("boss", Role.HQ_ADMIN),
        Actor("1000000013", Role.MEMBER, None, uuid4()),
        Actor("hotline", Role.API_CLIENT, None, None, frozenset({"points:earn", "orders:write"})),
        Actor("li", Role.REGIONAL_MANAGER, region_code="BJ", session_id=uuid4()),
    ],
)
def test_a_token_brings_its_actor_back(actor: Actor):
    token, until = tokens().issue(actor, timedelta(minutes=15))
    assert until == NOW + timedelta(minutes=15)
    keeper = tokens()
    assert keeper.actor(token) == actor
    assert keeper.actor(token) == actor


def test_a_remembered_token_ends_too():
    now = [NOW]
    keeper = Tokens(SECRET, clock=lambda: now[0])
    token, until = keeper.issue(ADVISOR, timedelta(minutes=1))
    assert keeper.actor(token) == ADVISOR
    now[0] = until
    assert keeper.actor(token) is None
    assert Tokens(SECRET, clock=lambda: until).actor(token) is None


def bad_tokens() -> dict[str, str]:
    """Tokens that are not good, by why."""
    good = tokens().issue(ADVISOR, timedelta(minutes=1))[0]
    head, payload, signature = good.split(".")
    promoted = part(claims())
    public = KEY.public.public_bytes_raw()
    return {
        "nothing": "",
        "no token": "abc",
        "another key": signed(OTHER, OTHER.kid),
        "another key by our name": signed(OTHER),
        "our key by another name": signed(kid=OTHER.kid),
        "our key by no name": signed(kid=None),
        "a name that is no text": f"{part({'alg': ALGORITHM, 'kid': [KEY.kid]})}.{payload}.{signature}",
        "a key it brings along": f"{part({'alg': ALGORITHM, 'jwk': OTHER.jwk()})}.{signed(OTHER).partition('.')[2]}",
        "the public key as a shared secret": jwt.encode(claims(), public, "HS256", headers={"kid": KEY.kid}),
        "the secret as a shared secret": jwt.encode(claims(), SECRET, "HS256", headers={"kid": KEY.kid}),
        "changed claims": f"{head}.{promoted}.{signature}",
        "changed signature": f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        "no signature": f"{head}.{payload}.",
        "no algorithm": f"{part({'alg': 'none', 'typ': 'JWT'})}.{promoted}.",
        "no algorithm, our key's name": f"{part({'alg': 'none', 'typ': 'JWT', 'kid': KEY.kid})}.{promoted}.",
        "ended": signed(exp=int(NOW.timestamp())),
        "without end": signed(exp=None),
        "without beginning": signed(iat=None),
        "without role": signed(role=None),
        "unknown role": signed(role="owner"),
        "another issuer": signed(iss="elsewhere"),
        "bad member": signed(role="member", member="me"),
        "bad session": signed(sid="mine"),
    }


async def test_the_same_token_unchanged_is_good(api: Api):
    assert (await api.call("GET", "/me", signed())).status_code == 200


@pytest.mark.parametrize("why", list(bad_tokens()))
async def test_a_token_that_is_not_good(api: Api, why: str):
    answer = await api.call("GET", "/me", headers={"Authorization": f"Bearer {bad_tokens()[why]}"})
    assert problem(answer) == (401, "/problems/unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_tokens_of_a_session_that_ended_are_refused():
    keeper, session_id = tokens(), uuid4()
    token, _ = keeper.issue(replace(ADVISOR, session_id=session_id), timedelta(minutes=15))
    other, _ = keeper.issue(replace(ADVISOR, session_id=uuid4()), timedelta(minutes=15))
    lasting, _ = keeper.issue(ADVISOR, timedelta(minutes=15))
    assert keeper.actor(token) is not None
    keeper.refuse({session_id: NOW})
    assert keeper.actor(token) is None
    assert None not in (keeper.actor(other), keeper.actor(lasting))
    keeper.forget_refusals(before=NOW)
    assert keeper.actor(token) is None
    keeper.forget_refusals(before=NOW + timedelta(seconds=1))
    assert keeper.actor(token) is not None


async def test_only_bearer_tokens(api: Api):
    token = tokens().issue(ADVISOR, timedelta(minutes=1))[0]
    for header, status in (("Basic bGk6eA==", 401), (f"Basic {token}", 401), (token, 401), (f"bearer {token}", 200)):
        assert (await api.call("GET", "/me", headers={"Authorization": header})).status_code == status
    assert (await api.call("GET", "/me")).status_code == 401


async def test_me(api: Api):
    token = api.token(Role.API_CLIENT, scopes="orders:write members:read", subject="hotline")
    assert (await api.call("GET", "/me", token)).json() == {
        "subject": "hotline", "role": "api_client", "dealer_code": None, "dealer_codes": [], "region_code": None,
        "partner_code": None, "agency_code": None, "scopes": ["members:read", "orders:write"], "grants": [],
    }  # fmt: skip


async def test_a_role_that_may_not_and_a_program_without_the_scope(api: Api):
    for token, status in (
        (api.token(Role.MEMBER, member=uuid4()), 403),
        (api.token(Role.FINANCE_CLERK, dealer="BJ001"), 403),
        (api.token(Role.API_CLIENT), 403),
        (api.token(Role.API_CLIENT, scopes="orders:write orders:reads"), 403),
        (api.token(Role.API_CLIENT, scopes="orders:read"), 200),
    ):
        answer = await api.call("GET", "/repair-orders", token)
        assert answer.status_code == status
        if status == 403:
            assert problem(answer) == (403, "/problems/forbidden")
