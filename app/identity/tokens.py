"""Short access tokens (JWT): issued after sign-in, verified on every request without the database."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt

from app.core.actors import Actor, Role
from app.core.clock import Clock
from app.identity.keys import ALGORITHM, Key

ISSUER = "owner-club"
_CACHE_SIZE = 10_000


class Tokens:
    """Issues tokens under the newest of the service's secrets, and verifies those of every one of them.

    A token names its key by `kid`; its header has no say in the algorithm.
    """

    def __init__(self, secret: bytes, *older: bytes, clock: Clock) -> None:
        self._clock = clock
        self._newest = Key.derived(secret)
        self._keys = {key.kid: key for key in (self._newest, *map(Key.derived, older))}
        self._verified: dict[str, tuple[Actor, float, float]] = {}
        self._refused: dict[UUID | None, datetime] = {}
        self._narrowed: dict[str, datetime] = {}

    def issue(self, actor: Actor, lifetime: timedelta) -> tuple[str, datetime]:
        """A token for an actor and the moment it ends."""
        now = self._clock()
        until = now + lifetime
        optional = {
            "dealer": actor.dealer_code,
            "dealers": sorted(actor.dealer_codes),
            "region": actor.region_code,
            "partner": actor.partner_code,
            "agency": actor.agency_code,
            "member": actor.member_id and str(actor.member_id),
            "sid": actor.session_id and str(actor.session_id),
            "scope": " ".join(sorted(actor.scopes)),
        }
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": actor.subject,
            "role": actor.role.value,
            "iat": int(now.timestamp()),
            "exp": int(until.timestamp()),
        } | {name: value for name, value in optional.items() if value}
        return jwt.encode(claims, self._newest.private, ALGORITHM, headers={"kid": self._newest.kid}), until

    def actor(self, token: str) -> Actor | None:
        """The actor of a good token, else None. A verified token is remembered until it ends."""
        now = self._clock().timestamp()
        known = self._verified.get(token)
        if known is None:
            known = self._verify(token)
            if known is None:
                return None
            if len(self._verified) >= _CACHE_SIZE:
                self._verified.clear()
            self._verified[token] = known
        actor, until, issued = known
        if now >= until or actor.session_id in self._refused:
            return None
        return None if actor.subject in self._narrowed and self._is_from_before(actor, issued) else actor

    def _is_from_before(self, actor: Actor, issued: float) -> bool:
        # a member may be called as an account of an earlier release is
        return actor.role is not Role.MEMBER and issued < self._narrowed[actor.subject].timestamp()

    def _verify(self, token: str) -> tuple[Actor, float, float] | None:
        try:
            key = self._keys[_kid(token.partition(".")[0])]
            claims = jwt.decode(
                token, key.public, [ALGORITHM], issuer=ISSUER,
                options={"require": ["exp", "iat", "sub", "role"], "verify_exp": False, "verify_iat": False},
            )  # fmt: skip
            return _actor_of(claims), float(claims["exp"]), float(claims["iat"])
        except (jwt.InvalidTokenError, KeyError, ValueError):
            return None

    # --- sessions that have ended, accounts that may do less than before ---

    def refuse(self, ended: Mapping[UUID, datetime]) -> None:
        """From now on, refuse the tokens of these sessions, ended when."""
        self._refused.update((session_id, at) for session_id, at in ended.items())

    def refuse_before(self, narrowed: Mapping[str, datetime]) -> None:
        """From now on, refuse what was issued to these accounts and programs before each lost something."""
        self._narrowed.update(narrowed)

    def forget_refusals(self, *, before: datetime) -> None:
        """Forget what ended before a moment, when all its tokens have ended too."""
        self._refused = {session_id: at for session_id, at in self._refused.items() if at >= before}
        self._narrowed = {subject: at for subject, at in self._narrowed.items() if at >= before}

    # --- what others need to verify ---

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, newest first (RFC 7517)."""
        return {"keys": [key.jwk() for key in self._keys.values()]}


@lru_cache(16)
def _kid(head: str) -> str:
    """The key that a token's first part names: all tokens of a key begin with the same."""
    kid: str = jwt.get_unverified_header(f"{head}..")["kid"]
    return kid


def _actor_of(claims: Mapping[str, Any]) -> Actor:
    return Actor(
        subject=claims["sub"],
        role=Role(claims["role"]),
        dealer_code=claims.get("dealer"),
        member_id=UUID(claims["member"]) if "member" in claims else None,
        scopes=frozenset(claims.get("scope", "").split()),
        region_code=claims.get("region"),
        partner_code=claims.get("partner"),
        session_id=UUID(claims["sid"]) if "sid" in claims else None,
        dealer_codes=frozenset(claims.get("dealers", ())),
        agency_code=claims.get("agency"),
    )
