"""Short access tokens (JWT): issued after sign-in, verified on every request without the database."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from app.core.actors import Actor, Role
from app.core.clock import Clock

ALGORITHM = "HS256"
ISSUER = "owner-club"
_CACHE_SIZE = 10_000


class Tokens:
    """Issues and verifies tokens under the service's key. `kid` leaves room for rotation."""

    def __init__(self, key: bytes, *, clock: Clock, kid: str = "1") -> None:
        self._key = key
        self._clock = clock
        self._kid = kid
        self._verified: dict[str, tuple[Actor, float]] = {}

    def issue(self, actor: Actor, lifetime: timedelta) -> tuple[str, datetime]:
        """A token for an actor and the moment it ends."""
        now = self._clock()
        until = now + lifetime
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": actor.subject,
            "role": actor.role.value,
            "iat": int(now.timestamp()),
            "exp": int(until.timestamp()),
        }
        if actor.dealer_code:
            claims["dealer"] = actor.dealer_code
        if actor.region_code:
            claims["region"] = actor.region_code
        if actor.partner_code:
            claims["partner"] = actor.partner_code
        if actor.member_id:
            claims["member"] = str(actor.member_id)
        if actor.scopes:
            claims["scope"] = " ".join(sorted(actor.scopes))
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._kid}), until

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
        actor, until = known
        return actor if now < until else None

    def _verify(self, token: str) -> tuple[Actor, float] | None:
        try:
            claims = jwt.decode(
                token, self._key, [ALGORITHM], issuer=ISSUER,
                options={"require": ["exp", "sub", "role"], "verify_exp": False, "verify_iat": False},
            )  # fmt: skip
            actor = Actor(
                subject=claims["sub"],
                role=Role(claims["role"]),
                dealer_code=claims.get("dealer"),
                member_id=UUID(claims["member"]) if "member" in claims else None,
                scopes=frozenset(claims.get("scope", "").split()),
                region_code=claims.get("region"),
                partner_code=claims.get("partner"),
            )
        except (jwt.InvalidTokenError, ValueError):
            return None
        return actor, float(claims["exp"])
