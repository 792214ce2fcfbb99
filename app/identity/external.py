"""Whose identity at the OpenID Connect provider it is: awaited under an e-mail, linked by `sub` at the first sign-in.

Locks: the account first, then its identity. Whoever decides on the account waits for who signs in, and the reverse.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, false, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.actors import Actor
from app.core.db import flush_unless
from app.core.problems import NotFound
from app.identity import accounts, credentials, handover
from app.identity.credential_models import ExternalIdentity
from app.identity.models import Account
from app.identity.problems import EmailTaken, SecondFactorMissing, SignInFailed
from app.identity.session_models import Ending
from app.identity.sessions import end_all

_SECOND_FACTORS = frozenset({"mfa", "otp", "hwk", "swk", "sc", "pop"})
"""Methods by which a provider says it asked for more than a password (RFC 8176)."""


async def account_of(
    session: AsyncSession, issuer: str, claims: dict[str, Any], *, asserts_second_factor: bool, now: datetime
) -> Account:
    """The account that headquarters linked to this identity: by `sub`, the first time by a verified e-mail.

    Args:
        claims: a verified ID token's.
        asserts_second_factor: the provider always asks for one, whether it says so or not.

    Raises:
        SignInFailed: nobody's identity, or an inactive account's.
        SecondFactorMissing: the account needs one, and the provider did not say that it asked for it.
    """
    account = await _locked(session, issuer, claims)
    # found again under the lock: it may have been taken away meanwhile, or linked to somebody else
    link = await _link(session, issuer, claims)
    if account is None or not account.is_active or link is None or link.account_id != account.id:
        raise SignInFailed
    if link.subject is None:
        link.issuer, link.subject, link.linked_at = issuer, str(claims["sub"]), now
        await session.flush()
    shown = asserts_second_factor or not _SECOND_FACTORS.isdisjoint(map(str, claims.get("amr") or []))
    if not shown and await credentials.needs_second_factor(session, account.id, now):
        raise SecondFactorMissing
    return account


async def _locked(session: AsyncSession, issuer: str, claims: dict[str, Any]) -> Account | None:
    link = await _link(session, issuer, claims)
    if link is None:
        return None
    return await session.get(Account, link.account_id, with_for_update=True, populate_existing=True)


async def _link(session: AsyncSession, issuer: str, claims: dict[str, Any]) -> ExternalIdentity | None:
    known = and_(col(ExternalIdentity.issuer) == issuer, col(ExternalIdentity.subject) == str(claims["sub"]))
    awaited = and_(
        col(ExternalIdentity.email) == str(claims.get("email")).lower(), col(ExternalIdentity.subject).is_(None)
    )
    # an address somebody merely typed in at the provider proves nothing
    proves = awaited if claims.get("email_verified") is True else false()
    found = select(ExternalIdentity).where(or_(known, proves)).order_by(col(ExternalIdentity.subject)).limit(1)
    identity: ExternalIdentity | None = await session.scalar(found.execution_options(populate_existing=True))
    return identity


async def expect(
    session: AsyncSession, actor: Actor, account_id: UUID, email: str, *, now: datetime
) -> ExternalIdentity:
    """Say under which e-mail a person stands at the provider; whoever was linked before is out.

    Raises:
        NotFound: there is no such person.
        OwnAccount: it is the actor's.
        EmailTaken: another account stands under it.
    """
    await accounts.person(session, actor, account_id)
    if await session.get(ExternalIdentity, account_id) is not None:
        await _turn_out(session, account_id, now)
    identity = await session.merge(
        ExternalIdentity(account_id=account_id, email=email.lower(), issuer=None, subject=None, linked_at=None)
    )
    await flush_unless(session, "uq_external_identity_email", EmailTaken)
    return identity


async def unlink(session: AsyncSession, actor: Actor, account_id: UUID, *, now: datetime) -> None:
    """A person no longer signs in by the provider; the sessions end, since some began that way.

    Raises:
        NotFound: there is no such person, or it does not.
        OwnAccount: it is the actor's.
    """
    await accounts.person(session, actor, account_id)
    identity = await session.get(ExternalIdentity, account_id)
    if identity is None:
        raise NotFound("external identity")
    await session.delete(identity)
    await _turn_out(session, account_id, now)


async def _turn_out(session: AsyncSession, account_id: UUID, now: datetime) -> None:
    await handover.recall(session, account_id)
    await end_all(session, Ending.REVOKED, now, account_id=account_id)
