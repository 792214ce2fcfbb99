"""Tokens: what makes one good, and what a good one may do."""

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from app.core.actors import Actor, Role
from app.identity.tokens import ALGORITHM, ISSUER, Tokens
from tests.api import SETTINGS, Api
from tests.now import NOW
from tests.shop import problem

KEY = SETTINGS.signing_key
ADVISOR = Actor("li", Role.SERVICE_ADVISOR, "BJ001")


def tokens(key: bytes = KEY) -> Tokens:
    return Tokens(key, clock=lambda: NOW)


def claims(**changes: Any) -> dict[str, Any]:
    made = {"iss": ISSUER, "sub": "li", "role": "hq_admin", "exp": int(NOW.timestamp()) + 60} | changes
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
    keeper = Tokens(KEY, clock=lambda: now[0])
    token, until = keeper.issue(ADVISOR, timedelta(minutes=1))
    assert keeper.actor(token) == ADVISOR
    now[0] = until
    assert keeper.actor(token) is None
    assert Tokens(KEY, clock=lambda: until).actor(token) is None


def bad_tokens() -> dict[str, str]:
    """Tokens that are not good, by why."""
    good = tokens().issue(ADVISOR, timedelta(minutes=1))[0]
    head, payload, signature = good.split(".")
    promoted = part(claims())
    return {
        "nothing": "",
        "no token": "abc",
        "another key": tokens(b"another-key-that-is-long-enough-for-it").issue(ADVISOR, timedelta(minutes=1))[0],
        "changed claims": f"{head}.{promoted}.{signature}",
        "changed signature": f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        "no signature": f"{head}.{payload}.",
        "no algorithm": f"{part({'alg': 'none', 'typ': 'JWT'})}.{promoted}.",
        "ended": jwt.encode(claims(exp=int(NOW.timestamp())), KEY, ALGORITHM),
        "without end": jwt.encode(claims(exp=None), KEY, ALGORITHM),
        "without role": jwt.encode(claims(role=None), KEY, ALGORITHM),
        "unknown role": jwt.encode(claims(role="owner"), KEY, ALGORITHM),
        "another issuer": jwt.encode(claims(iss="elsewhere"), KEY, ALGORITHM),
        "bad member": jwt.encode(claims(role="member", member="me"), KEY, ALGORITHM),
    }


@pytest.mark.parametrize("why", list(bad_tokens()))
async def test_a_token_that_is_not_good(api: Api, why: str):
    answer = await api.call("GET", "/me", headers={"Authorization": f"Bearer {bad_tokens()[why]}"})
    assert problem(answer) == (401, "/problems/unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_only_bearer_tokens(api: Api):
    token = tokens().issue(ADVISOR, timedelta(minutes=1))[0]
    for header, status in (("Basic bGk6eA==", 401), (f"Basic {token}", 401), (token, 401), (f"bearer {token}", 200)):
        assert (await api.call("GET", "/me", headers={"Authorization": header})).status_code == status
    assert (await api.call("GET", "/me")).status_code == 401


async def test_me(api: Api):
    token = api.token(Role.API_CLIENT, scopes="orders:write members:read", subject="hotline")
    assert (await api.call("GET", "/me", token)).json() == {
        "subject": "hotline", "role": "api_client", "dealer_code": None, "scopes": ["members:read", "orders:write"],
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
