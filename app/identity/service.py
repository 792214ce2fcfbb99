"""Accounts and sign-in."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.db import flush_unless, unrestricted
from app.core.problems import InvalidPayload
from app.identity import credentials, grants, passwords
from app.identity.credentials import Proof
from app.identity.models import Account, Grant
from app.identity.problems import SignInFailed, UsernameTaken
from app.identity.rules import is_reserved
from app.identity.seals import Seals


async def create_account(
    session: AsyncSession, *, username: str, name: str, role: Role, password: str | None, now: datetime, by: str,
    region_code: str | None = None, dealer_code: str | None = None, partner_code: str | None = None,
    agency_code: str | None = None, valid_from: date | None = None, valid_until: date | None = None,
    pointer: str = "",
) -> Account:  # fmt: skip
    """Give a person an account with its first grant; without a password it cannot sign in by one.

    Raises:
        UsernameTaken: the username is in use.
        InvalidPayload: the username is reserved, the password too easy; and see `grants.give`.
    """
    if password is not None:
        credentials.require_good(password, username, "/password")
    password_hash = await passwords.hash_password(password) if password is not None else None
    account = await add(session, Account(username=username, name=name, password_hash=password_hash, created_at=now))
    await grants.give(
        session, account, role, by=by, now=now, region_code=region_code, dealer_code=dealer_code,
        partner_code=partner_code, agency_code=agency_code, valid_from=valid_from, valid_until=valid_until,
        pointer=pointer,
    )  # fmt: skip
    return account


async def add(session: AsyncSession, account: Account) -> Account:
    """Write a new account.

    Raises:
        UsernameTaken: the username is in use.
        InvalidPayload: it is a member's number or the service's own.
    """
    if is_reserved(account.username):
        raise InvalidPayload.at("/username", "username_reserved")
    # a username is taken wherever its account works, and who has no grant yet works nowhere
    await unrestricted(session)
    if await find(session, account.username) is not None:
        raise UsernameTaken
    session.add(account)
    # two may take the name at the same moment
    await flush_unless(session, "uq_account_username", UsernameTaken)
    return account


async def find(session: AsyncSession, username: str) -> Account | None:
    """The account of a username."""
    found: Account | None = await session.scalar(select(Account).where(Account.username == username))
    return found


async def sign_in(
    session: AsyncSession, seals: Seals, proof: Proof, *, initial_life: timedelta, now: datetime,
    grant_id: UUID | None = None,
) -> tuple[Account, Grant]:  # fmt: skip
    """The account whose owner this proves to be, and the grant it acts under: the one named, or its oldest.

    Raises:
        SignInFailed: unknown, wrong, inactive, or no such grant today.
        TooManyAttempts, InitialPasswordEnded, PasswordChangeRequired, SecondFactorRequired: see
            `credentials.authenticate`.
    """
    account = await credentials.authenticate(session, seals, proof, initial_life=initial_life, now=now)
    return account, await acting_under(session, account, grant_id, now=now)


async def acting_under(session: AsyncSession, account: Account, grant_id: UUID | None, *, now: datetime) -> Grant:
    """The grant an account acts under: the one named, or its oldest that is good today.

    Raises:
        SignInFailed: there is none.
    """
    grant = await grants.choose(session, account.id, china_date(now), grant_id)
    if grant is None:
        raise SignInFailed
    return grant


async def grants_of(session: AsyncSession, actor: Actor, *, now: datetime) -> Sequence[Grant]:
    """The grants a caller can sign in under today, oldest first; members and programs have none."""
    if actor.role in {Role.MEMBER, Role.API_CLIENT}:
        return []
    account = await find(session, actor.subject)
    return [] if account is None else await grants.current(session, account.id, china_date(now))
