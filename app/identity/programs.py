"""Programs (front ends' servers, DMS): accounts with scopes, which sign in with a client secret (RFC 6749, 4.4)."""

import hmac
import secrets
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.clock import china_date
from app.core.problems import InvalidPayload, NotFound
from app.identity import program_reach, service
from app.identity.models import Account, AccountKind, ClientSecret


class NewSecret(NamedTuple):
    """A program and the secret it was given; the secret is known nowhere else from here on."""

    account: Account
    secret: str


async def create(
    session: AsyncSession, *, username: str, name: str, scopes: Sequence[str], now: datetime,
    region_code: str | None = None, dealer_codes: Sequence[str] = (), last_day: date | None = None,
    secret: str | None = None,
) -> NewSecret:  # fmt: skip
    """Take a program in. Its username is its client id; without dealers or a region it reaches all.

    Args:
        last_day: the last day (China) on which it gets tokens.
        secret: one made elsewhere, such as the demonstration's; else it is made here.

    Raises:
        UsernameTaken: the username is in use.
        InvalidPayload: see `program_reach.require`; or the last day is over.
    """
    program = Account(
        username=username, name=name, kind=AccountKind.PROGRAM, scopes=sorted(set(scopes)), region_code=region_code,
        dealer_codes=sorted(set(dealer_codes)), last_day=last_day, created_at=now,
    )  # fmt: skip
    await program_reach.require(session, program.region_code, program.dealer_codes)
    if last_day is not None and last_day < china_date(now):
        raise InvalidPayload.at("/last_day", "date_too_early", earliest=china_date(now))
    return await give_secret(session, await service.add(session, program), now, secret)


async def rotate(session: AsyncSession, account_id: UUID, *, overlap: timedelta, now: datetime) -> NewSecret:
    """Give a program a new secret; those it has are good for `overlap` longer at most.

    Raises:
        NotFound: there is no such program.
    """
    account = await _program(session, account_id)
    for old in await _good_secrets(session, account_id, now):
        old.ends_at = min(now + overlap, old.ends_at or now + overlap)
    return await give_secret(session, account, now)


async def secrets_of(session: AsyncSession, account_id: UUID) -> Sequence[ClientSecret]:
    """Every secret a program ever had, newest first, without the secret itself.

    Raises:
        NotFound: there is no such program.
    """
    await _program(session, account_id)
    mine = select(ClientSecret).where(ClientSecret.account_id == account_id).order_by(col(ClientSecret.id).desc())
    return (await session.scalars(mine)).all()


async def authenticate(session: AsyncSession, client_id: str, secret: str, now: datetime) -> Account | None:
    """The active program of a client id and one of its secrets; None for every other, after the same work."""
    mine = (
        select(Account, ClientSecret.digest)
        .join(ClientSecret, col(ClientSecret.account_id) == col(Account.id))
        .where(col(Account.username) == client_id, col(Account.is_active), _is_good(now), _goes_on(now))
    )
    digest = sha256(secret.encode()).digest()
    # one that nothing fits comes first, so that an unknown client costs a comparison too
    known: list[tuple[Account | None, bytes]] = [(None, bytes(32))]
    known += [(account, one) for account, one in await session.execute(mine)]
    return next((account for account, one in known if hmac.compare_digest(digest, one)), None)


async def _program(session: AsyncSession, account_id: UUID) -> Account:
    account = await session.get(Account, account_id, with_for_update=True, populate_existing=True)
    if account is None or account.kind != AccountKind.PROGRAM:
        raise NotFound("program")
    return account


async def _good_secrets(session: AsyncSession, account_id: UUID, now: datetime) -> Sequence[ClientSecret]:
    mine = select(ClientSecret).where(ClientSecret.account_id == account_id, _is_good(now))
    return (await session.scalars(mine)).all()


def _is_good(now: datetime) -> ColumnElement[bool]:
    return or_(col(ClientSecret.ends_at).is_(None), col(ClientSecret.ends_at) > now)


def _goes_on(now: datetime) -> ColumnElement[bool]:
    return or_(col(Account.last_day).is_(None), col(Account.last_day) >= china_date(now))


async def give_secret(session: AsyncSession, account: Account, now: datetime, secret: str | None = None) -> NewSecret:
    """Give a program a secret beside those it has."""
    secret = secret or secrets.token_urlsafe(32)
    session.add(ClientSecret(account_id=account.id, digest=sha256(secret.encode()).digest(), created_at=now))
    await session.flush()
    return NewSecret(account, secret)
