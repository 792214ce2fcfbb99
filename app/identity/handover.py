"""From the identity provider back to a front end: a short code goes by URL, and the tokens never do.

The front end asks with the S256 challenge of a secret it keeps (RFC 7636), and shows the secret with the code: a code
read from a log or a history, or slipped to another browser, is good for nothing.
"""

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.problems import InvalidPayload
from app.identity.credential_models import SignInHandover
from app.identity.models import Account
from app.identity.problems import SignInFailed

LIFE = timedelta(minutes=1)


def require_front_end(return_to: str | None, challenge: str | None, origins: Collection[str]) -> None:
    """Refuse to hand a sign-in over to a page that is not one of ours, or without the page's challenge.

    Args:
        return_to: where the browser goes in the end; printable ASCII.
        origins: the front ends', such as https://club.example, as the settings name them.

    Raises:
        InvalidPayload: the address is of another origin or has a fragment; or one of the two is missing.
    """
    if (return_to is None) != (challenge is None):
        raise InvalidPayload.at("/query", "needed_together", names="return_to, challenge")
    if return_to is not None and not ("#" not in return_to and _origin(return_to) in origins):
        raise InvalidPayload.at("/query/return_to", "return_to_foreign")


def _origin(url: str) -> str | None:
    # exactly as a browser would write it: with a user name, another case or a backslash it is no known one
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}"


def back(return_to: str, **told: str) -> str:
    """The front end's address with what it is told in the query."""
    return f"{return_to}{'&' if '?' in return_to else '?'}{urlencode(told)}"


async def give(session: AsyncSession, account: Account, challenge: str, now: datetime) -> str:
    """A code that is good for this account's sign-in, once, within a minute."""
    await session.execute(delete(SignInHandover).where(col(SignInHandover.expires_at) <= now))
    code = secrets.token_urlsafe(32)
    session.add(SignInHandover(digest=_digest(code), account_id=account.id, challenge=challenge, expires_at=now + LIFE))
    await session.flush()
    return code


async def take(session: AsyncSession, code: str, now: datetime) -> SignInHandover | None:
    """What a code stands for, used up by this: commit also when the rest is refused. None: unknown, used, too late."""
    mine = delete(SignInHandover).where(col(SignInHandover.digest) == _digest(code))
    found = await session.scalar(mine.returning(SignInHandover))
    return found if found is not None and now < found.expires_at else None


async def account_of(session: AsyncSession, found: SignInHandover | None, verifier: str) -> Account:
    """The active account behind a code that was taken, for the front end that can show its secret.

    Raises:
        SignInFailed: no such code, another front end's, or an inactive account.
    """
    if found is None or not compare_digest(create_s256_code_challenge(verifier), found.challenge):
        raise SignInFailed
    account = await session.get(Account, found.account_id)
    if account is None or not account.is_active:
        raise SignInFailed
    return account


async def recall(session: AsyncSession, account_id: UUID) -> None:
    """What was given for an account is good for nothing any more."""
    await session.execute(delete(SignInHandover).where(col(SignInHandover.account_id) == account_id))


def _digest(code: str) -> bytes:
    # 256 random bits need no slow hash
    return sha256(code.encode()).digest()
