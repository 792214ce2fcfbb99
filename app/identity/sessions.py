"""Sign-ins that last: short access tokens, and refresh tokens that are good once each (RFC 9700, 4.14.2).

A session is a family of refresh tokens, of which only digests are stored. One that comes back after its use is in two
hands, so the family ends. What a session may do is derived anew at every refresh. Access tokens are verified without
the database: every process looks every two seconds which sessions have ended, and refuses their tokens.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import refusals
from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Actor
from app.core.clock import Clock
from app.core.db import Database, new_id
from app.identity import session_queries as queries
from app.identity.models import Account
from app.identity.problems import SignInFailed
from app.identity.session_models import Ending, LoginSession, RefreshToken
from app.identity.standing import Standing, of_account, place_of
from app.identity.tokens import Tokens
from app.settings import Settings

log = logging.getLogger("club.sessions")

MemberActor = Callable[[AsyncSession, UUID], Awaitable[Actor | None]]
"""Looks up an active member as the actor its tokens speak for; members are a domain above, so the app gives it."""

LOOK_EVERY = 2.0
"""Seconds between two looks for ended sessions: half of what is promised, and room for a slow answer."""

_REMEMBERED = timedelta(days=30)
"""How long a session that is over can still be asked about."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in hands out; `actor` has its session's id."""

    actor: Actor
    access_token: str
    expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime


class Sessions:
    """Opens, refreshes and ends sessions. A process has one: `request.app.state.sessions`."""

    def __init__(self, tokens: Tokens, settings: Settings, member_actor: MemberActor) -> None:
        self._tokens = tokens
        self._access_life = timedelta(minutes=settings.access_token_minutes)
        self._staff_life = timedelta(hours=settings.staff_session_hours)
        self._member_life = timedelta(days=settings.member_session_days)
        self._member_actor = member_actor

    # --- opening and going on ---

    async def open_session(
        self, session: AsyncSession, actor: Actor, *, now: datetime, device: str, account_id: UUID | None = None,
        member_id: UUID | None = None,
    ) -> SignedIn:  # fmt: skip
        """Begin a session for someone who has just proved who they are: an account or a member.

        Args:
            device: what the list of sessions shows it as, such as the request's User-Agent.

        Raises:
            SignInFailed: the actor has no standing today (no such grant, an inactive account or member).
        """
        assert (account_id is None) != (member_id is None), "an account's or a member's"
        login = LoginSession(
            id=new_id(), account_id=account_id, member_id=member_id, role=actor.role, place=place_of(actor),
            device=device.replace("\0", "")[:200], opened_at=now, refreshed_at=now,
            expires_at=now + (self._member_life if account_id is None else self._staff_life),
        )  # fmt: skip
        if account_id is not None:
            # whoever takes the account's sessions away waits for this one, or is seen by it
            await session.get(Account, account_id, with_for_update=True, populate_existing=True)
        standing = await self._standing(session, login, now)
        if standing is None:
            raise SignInFailed
        session.add(login)
        await session.flush()
        await audit.record(session, Action.SIGNED_IN, *_owner(login), actor=standing.actor)
        return self._hand_out(session, login, standing, now)

    async def refresh(self, session: AsyncSession, refresh_token: str, now: datetime) -> SignedIn | None:
        """Trade a refresh token for the next one and a new access token.

        Returns:
            None: it is unknown, over, used before, or nothing stands behind it any more. What ended for that reason
            has to stay ended: commit before refusing.
        """
        digest = _digest(refresh_token)
        login = await queries.locked_family(session, digest)
        refusals.concern("session", login.id if login else None)
        if login is None or login.ended_at is not None or now >= login.expires_at:
            return None
        token = await session.get_one(RefreshToken, digest)
        standing = await self._standing(session, login, now)
        if token.used_at is not None or standing is None:
            await self.end(session, login, Ending.REUSED if token.used_at else Ending.LAPSED, now)
            return None
        token.used_at = login.refreshed_at = now
        if login.member_id is not None:
            # a member who keeps coming is not asked again; staff sign in every day
            login.expires_at = now + self._member_life
        return self._hand_out(session, login, standing, now)

    async def _standing(self, session: AsyncSession, login: LoginSession, now: datetime) -> Standing | None:
        if login.account_id is not None:
            return await of_account(session, login.account_id, login.role, login.place, now)
        assert login.member_id is not None
        actor = await self._member_actor(session, login.member_id)
        return Standing(actor) if actor is not None else None

    def _hand_out(self, session: AsyncSession, login: LoginSession, standing: Standing, now: datetime) -> SignedIn:
        secret = secrets.token_urlsafe(32)
        session.add(RefreshToken(digest=_digest(secret), session_id=login.id, issued_at=now))
        actor = replace(standing.actor, session_id=login.id)
        token, expires_at = self._tokens.issue(actor, standing.until(now + self._access_life) - now)
        return SignedIn(actor, token, expires_at, secret, standing.until(login.expires_at))

    # --- ending ---

    async def end(self, session: AsyncSession, login: LoginSession, because: Ending, now: datetime) -> None:
        """End one session; from the commit on this process refuses its tokens, the others within seconds."""
        login.ended_at, login.ended_because = now, because
        await session.flush()
        await audit.record(session, Action.SIGNED_OUT, *_owner(login), changes={"ended_because": (None, because)})
        self._refuse_from_commit(session, {login.id: now})

    async def end_everywhere(self, session: AsyncSession, actor: Actor, now: datetime) -> None:
        """End all sessions of the one who asks."""
        ended = await queries.end(session, queries.owned_by(actor), Ending.SIGNED_OUT, now)
        await audit.record(session, Action.SIGNED_OUT, "session", ended)
        self._refuse_from_commit(session, dict.fromkeys(ended, now))

    def _refuse_from_commit(self, session: AsyncSession, ended: dict[UUID, datetime]) -> None:
        event.listen(session.sync_session, "after_commit", lambda _: self._tokens.refuse(ended), once=True)

    # --- what other processes ended ---

    async def learn(self, database: Database, now: datetime) -> None:
        """Refuse the tokens of every session that ended, and of every account or program that may do less than before.

        Of those only that may still have a good access token.
        """
        self._tokens.forget_refusals(before=now - 2 * self._access_life)
        self._tokens.refuse(await queries.ended_since(database.pool, now - self._access_life))
        self._tokens.refuse_before(await queries.narrowed_since(database.pool, now - self._access_life))

    @asynccontextmanager
    async def watching(self, database: Database, clock: Clock) -> AsyncIterator[None]:
        """Know the ended sessions as long as the block lasts, from its beginning on."""
        await self.learn(database, clock())
        watch = asyncio.create_task(self._watch(database, clock))
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    async def _watch(self, database: Database, clock: Clock) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.learn(database, clock())
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                # without its database the service can do nothing for an ended session either
                log.warning("ended sessions cannot be read: %s", type(error).__name__)


async def end_all(
    session: AsyncSession, because: Ending, now: datetime, *, account_id: UUID | None = None,
    member_id: UUID | None = None, but: UUID | None = None,
) -> None:  # fmt: skip
    """End all sessions of an account or a member, such as after a new password; `but` names one that goes on."""
    assert (account_id is None) != (member_id is None), "an account's or a member's"
    ended = await queries.end(session, queries.of(account_id=account_id, member_id=member_id), because, now, but=but)
    if ended:
        await audit.record(session, Action.SIGNED_OUT, "session", ended, changes={"ended_because": (None, because)})


async def forget(database: Database, now: datetime) -> None:
    """Delete the sessions that have been over for a month."""
    await queries.delete_before(database.pool, now - _REMEMBERED)


def _owner(login: LoginSession) -> tuple[str, list[UUID | None]]:
    """Whose session it is, as the trail names it."""
    return ("account", [login.account_id]) if login.member_id is None else ("member", [login.member_id])


def _digest(refresh_token: str) -> bytes:
    # 256 random bits need no slow hash
    return sha256(refresh_token.encode()).digest()
