"""The SQL of sessions."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Reach
from app.core.db import Connection
from app.identity.models import Account, Grant
from app.identity.session_models import Ending, LoginSession, RefreshToken

_LIVE = col(LoginSession.ended_at).is_(None)


def of(*, account_id: UUID | None = None, member_id: UUID | None = None) -> ColumnElement[bool]:
    """The sessions of an account or a member."""
    if account_id is not None:
        return col(LoginSession.account_id) == account_id
    return col(LoginSession.member_id) == member_id if member_id is not None else false()


def resting_on(grant: Grant) -> ColumnElement[bool]:
    """The sessions that began with a grant's role at its place."""
    place = grant.dealer_code or grant.region_code or grant.partner_code or grant.agency_code
    at = col(LoginSession.place).is_(None) if place is None else col(LoginSession.place) == place
    return and_(of(account_id=grant.account_id), col(LoginSession.role) == grant.role, at)


def owned_by(actor: Actor) -> ColumnElement[bool]:
    """An actor's own sessions, in every role it has."""
    if actor.role.reach is Reach.SELF:
        return of(member_id=actor.member_id)
    account = select(col(Account.id)).where(col(Account.username) == actor.subject).scalar_subquery()
    return col(LoginSession.account_id) == account


async def locked_family(session: AsyncSession, digest: bytes) -> LoginSession | None:
    """The session of a refresh token, used or not, locked until commit: of two refreshes one waits for the other."""
    family = select(col(RefreshToken.session_id)).where(col(RefreshToken.digest) == digest).scalar_subquery()
    query = select(LoginSession).where(col(LoginSession.id) == family).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def live(
    session: AsyncSession, actor: Actor, now: datetime, *, after: UUID | None, limit: int
) -> Sequence[LoginSession]:
    """An actor's own sessions that go on, oldest first, from after an id."""
    query = select(LoginSession).where(owned_by(actor), _LIVE, col(LoginSession.expires_at) > now)
    if after is not None:
        query = query.where(col(LoginSession.id) > after)
    return (await session.scalars(query.order_by(col(LoginSession.id)).limit(limit))).all()


async def opened_at(session: AsyncSession, actor: Actor) -> datetime | None:
    """When the session that an actor comes with began; None: it comes with none."""
    own = select(col(LoginSession.opened_at)).where(owned_by(actor), col(LoginSession.id) == actor.session_id)
    return await session.scalar(own)


async def own(session: AsyncSession, actor: Actor, session_id: UUID) -> LoginSession | None:
    """One of an actor's own sessions that has not ended, locked for change."""
    query = select(LoginSession).where(owned_by(actor), _LIVE, col(LoginSession.id) == session_id).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def end(
    session: AsyncSession, whose: ColumnElement[bool], because: Ending, now: datetime, *, but: UUID | None = None
) -> Sequence[UUID]:
    """End the sessions of someone that have not ended yet, except one; returns which."""
    chosen = and_(whose, _LIVE) if but is None else and_(whose, _LIVE, col(LoginSession.id) != but)
    change = update(LoginSession).where(chosen).values(ended_at=now, ended_because=because)
    return (await session.scalars(change.returning(col(LoginSession.id)))).all()


async def ended_since(connection: Connection, since: datetime) -> dict[UUID, datetime]:
    """The sessions that ended after a moment, and when."""
    rows = await connection.fetch("SELECT id, ended_at FROM login_session WHERE ended_at > $1", since)
    return {row["id"]: row["ended_at"] for row in rows}


async def narrowed_since(connection: Connection, since: datetime) -> dict[str, datetime]:
    """The names of the accounts and programs that were deactivated or lost something after a moment, and when last.

    A token says in which second it was issued: one that a program fetches right after a change is not to be refused.
    """
    rows = await connection.fetch(
        "SELECT username, greatest(deactivated_at, date_trunc('second', narrowed_at)) AS at FROM account"
        " WHERE deactivated_at > $1 OR narrowed_at > $1",
        since,
    )
    return {row["username"]: row["at"] for row in rows}


async def delete_before(connection: Connection, moment: datetime) -> None:
    """Delete what ended or ran out before a moment, refresh tokens and all."""
    await connection.execute("DELETE FROM login_session WHERE least(ended_at, expires_at) < $1", moment)
