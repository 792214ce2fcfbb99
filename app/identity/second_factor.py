"""The second factor: a generator of one-time codes (TOTP, RFC 6238: 30 s, six digits) and codes for when it is lost."""

import base64
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import pyotp
import segno
from sqlalchemy import Update, delete, literal, or_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.identity.credential_models import RecoveryCode, SecondFactor
from app.identity.problems import SecondFactorExists, SignInFailed
from app.identity.seals import Seals

STEP = 30
RECOVERY_CODES = 10
_ISSUER = "Owner club"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a generator is set up with: the otpauth URI, and the same as a QR code (SVG in a data URI)."""

    uri: str
    qr_svg: str


async def confirmed(session: AsyncSession, account_id: UUID) -> bool:
    """Whether the account has a second factor that is asked for."""
    factor = await session.get(SecondFactor, account_id)
    return factor is not None and factor.confirmed_at is not None


async def begin(session: AsyncSession, seals: Seals, account_id: UUID, username: str, *, now: datetime) -> Enrolment:
    """Give an account a new generator, to be confirmed by its first code.

    Raises:
        SecondFactorExists: it has a confirmed one.
    """
    factor = await session.get(SecondFactor, account_id, with_for_update=True)
    if factor is not None and factor.confirmed_at is not None:
        raise SecondFactorExists
    secret = pyotp.random_base32()
    sealed = seals.seal(secret.encode())
    # two at the same moment: the later one stands
    await session.merge(SecondFactor(account_id=account_id, sealed_secret=sealed, created_at=now))
    uri = pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=_ISSUER)
    return Enrolment(uri, segno.make(uri, micro=False).svg_data_uri(scale=4))


async def confirm(session: AsyncSession, seals: Seals, account_id: UUID, code: str, *, now: datetime) -> Sequence[str]:
    """Put a generator into force by its first code; the recovery codes, shown this once.

    Raises:
        SecondFactorExists: it was confirmed before.
        SignInFailed: the code is wrong, or there is nothing to confirm.
    """
    factor = await session.get(SecondFactor, account_id, with_for_update=True)
    if factor is not None and factor.confirmed_at is not None:
        raise SecondFactorExists
    step = _step_of(seals, factor, code, now) if factor is not None else None
    if factor is None or step is None:
        raise SignInFailed
    factor.confirmed_at, factor.last_step = now, step
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(account_id=account_id, digest=_digest(fresh)) for fresh in codes)
    await session.flush()
    return codes


async def use(session: AsyncSession, seals: Seals, account_id: UUID, code: str, *, now: datetime) -> bool:
    """Whether the code is good; it is used up by this. Six digits are the generator's, else it is a recovery code."""
    if not (len(code) == 6 and code.isascii() and code.isdigit()):
        spent = update(RecoveryCode).where(
            col(RecoveryCode.account_id) == account_id,
            col(RecoveryCode.digest) == _digest(code),
            col(RecoveryCode.used_at).is_(None),
        )
        return await _changed(session, spent.values(used_at=now))
    factor = await session.get(SecondFactor, account_id)
    step = _step_of(seals, factor, code, now) if factor is not None else None
    if factor is None or step is None:
        return False
    unused = update(SecondFactor).where(
        col(SecondFactor.account_id) == account_id,
        or_(col(SecondFactor.last_step).is_(None), col(SecondFactor.last_step) < step),
    )
    return await _changed(session, unused.values(last_step=step))


async def remove(session: AsyncSession, account_id: UUID) -> None:
    """Take an account's generator and recovery codes away: it sets up anew at the next sign-in."""
    for table in (RecoveryCode, SecondFactor):
        await session.execute(delete(table).where(col(table.account_id) == account_id))


def _step_of(seals: Seals, factor: SecondFactor, code: str, now: datetime) -> int | None:
    """Which half minute's code this is: the present one's, or a neighbour's, for clocks that are a little off."""
    secret = seals.opened(factor.sealed_secret)
    if secret is None:
        return None
    generator, this = pyotp.TOTP(secret.decode()), int(now.timestamp()) // STEP
    steps = (this, this - 1, this + 1)
    return next((step for step in steps if hmac.compare_digest(generator.generate_otp(step), code)), None)


async def _changed(session: AsyncSession, statement: Update) -> bool:
    # of two that show the same code at once, the second finds it used
    return (await session.execute(statement.returning(literal(1)))).first() is not None


def _recovery_code() -> str:
    """80 random bits, as four groups of four."""
    letters = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))


def _digest(recovery_code: str) -> bytes:
    # random enough that a plain digest cannot be searched
    return sha256(recovery_code.strip().lower().replace("-", "").encode()).digest()
