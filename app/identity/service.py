"""Accounts and sign-in."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.core.actors import Actor, Role
from app.identity import passwords
from app.identity.models import Account
from app.identity.problems import SignInFailed, UsernameTaken


async def create_account(
    session: AsyncSession, *, username: str, name: str, role: Role, dealer_code: str | None, password: str | None,
    now: datetime, scopes: Sequence[str] = (),
) -> Account:  # fmt: skip
    """Give someone (or a program) an account; without a password it cannot sign in by one.

    Raises:
        UsernameTaken: the username is in use.
    """
    if await find(session, username) is not None:
        raise UsernameTaken
    account = Account(
        username=username, name=name, role=role, dealer_code=dealer_code, scopes=sorted(scopes),
        password_hash=passwords.hash_password(password) if password else None, created_at=now,
    )  # fmt: skip
    session.add(account)
    try:
        await session.flush()
    except IntegrityError:
        # two took the name at the same moment
        raise UsernameTaken from None
    return account


async def find(session: AsyncSession, username: str) -> Account | None:
    """The account of a username."""
    found: Account | None = await session.scalar(select(Account).where(Account.username == username))
    return found


async def sign_in(session: AsyncSession, username: str, password: str) -> Actor:
    """The actor behind a username and password.

    Raises:
        SignInFailed: unknown, wrong or inactive.
    """
    account = await find(session, username)
    good = await passwords.verify(password, account.password_hash if account else None)
    if account is None or not good or not account.is_active:
        raise SignInFailed
    return actor_of(account)


def actor_of(account: Account) -> Actor:
    """The actor an account's tokens speak for."""
    return Actor(account.username, Role(account.role), account.dealer_code, None, frozenset(account.scopes))
