"""How staff prove who they are: a password of their own, and for headquarters and finance a second factor.

What is counted and used up on the way (attempts, one-time codes) is written in transactions of its own, so that it
stands though the sign-in is refused; the caller's session is first used when the proof is good, and so holds no
connection while a password is hashed.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from app.audit import refusals
from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Actor
from app.core.clock import china_date
from app.core.problems import InvalidPayload
from app.identity import accounts, attempts, grants, passwords, second_factor
from app.identity.attempts import Origin
from app.identity.credential_models import Credential
from app.identity.models import Account
from app.identity.problems import InitialPasswordEnded, PasswordChangeRequired, SecondFactorRequired, SignInFailed
from app.identity.rules import PASSWORD_MIN_LENGTH, SECOND_FACTOR_ROLES, password_fault
from app.identity.seals import Seals
from app.identity.second_factor import Enrolment
from app.identity.session_models import Ending
from app.identity.sessions import end_all


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody shows to be let in, and from where. `otp`: a generator's code or a recovery code."""

    username: str
    password: SecretStr
    otp: str | None
    origin: Origin


# --- signing in ---


async def authenticate(
    session: AsyncSession, seals: Seals, proof: Proof, *, initial_life: timedelta, now: datetime
) -> Account:
    """The account of somebody who proved to be its owner, and may go on with it; locked until commit.

    Args:
        initial_life: how long a password is good that somebody else set.

    Raises:
        SignInFailed: unknown, inactive, wrong password or code: told apart for nobody.
        TooManyAttempts: too many failures from there; nothing was looked at.
        InitialPasswordEnded: somebody else set the password, too long ago.
        PasswordChangeRequired: somebody else set the password.
        SecondFactorRequired: a code is missing, or the account's role needs a second factor and has none yet.
    """
    account = await _proven(session, seals, proof, initial_life, now)
    credential = await session.get(Credential, account.id)
    if credential is not None and credential.is_demo:
        return account
    if credential is None or credential.must_change:
        raise PasswordChangeRequired
    if await needs_second_factor(session, account.id, now) and not await second_factor.confirmed(session, account.id):
        raise SecondFactorRequired(is_set_up=False)
    return account


async def needs_second_factor(session: AsyncSession, account_id: UUID, now: datetime) -> bool:
    """Whether one of the account's current roles asks for a second factor."""
    return any(
        grant.role in SECOND_FACTOR_ROLES for grant in await grants.current(session, account_id, china_date(now))
    )


async def _proven(session: AsyncSession, seals: Seals, proof: Proof, initial_life: timedelta, now: datetime) -> Account:
    """The account whose password, and code if it has a confirmed second factor, this is."""
    async with _apart(session) as own:
        account: Account | None = await own.scalar(select(Account).where(Account.username == proof.username))
        refusals.concern("account", account.id if account else None)
        counted = await attempts.charge(
            own, seals, proof.username, account.id if account else None, proof.origin, now=now
        )
        await attempts.sweep(own, now=now)
        asks = account is not None and await second_factor.confirmed(own, account.id)
    good = await passwords.verify(proof.password.get_secret_value(), account.password_hash if account else None)
    if account is None or not good or not account.is_active:
        raise SignInFailed
    async with _apart(session) as own:
        if asks and proof.otp is None:
            await attempts.refund(own, counted)
        elif asks and not await _code_is_good(own, seals, account.id, proof.otp or "", now):
            account = None
        else:
            await attempts.forgive(own, counted, now=now)
    if account is None:
        raise SignInFailed
    if asks and proof.otp is None:
        raise SecondFactorRequired(is_set_up=True)
    current = await _still(session, account)
    await _require_in_time(session, current, initial_life, now)
    return current


async def _still(session: AsyncSession, proven: Account) -> Account:
    """The same account, locked: what was proven while its password changed, or it was deactivated, proves nothing."""
    account = await session.get(Account, proven.id, with_for_update=True, populate_existing=True)
    if account is None or not account.is_active or account.password_hash != proven.password_hash:
        raise SignInFailed
    return account


async def _require_in_time(session: AsyncSession, account: Account, initial_life: timedelta, now: datetime) -> None:
    credential = await session.get(Credential, account.id)
    set_at = account.created_at if credential is None else credential.changed_at
    if (credential is None or credential.must_change) and now - set_at >= initial_life:
        raise InitialPasswordEnded


async def _code_is_good(session: AsyncSession, seals: Seals, account_id: UUID, code: str, now: datetime) -> bool:
    counter = await attempts.charge_code(session, seals, account_id, now=now)
    good = await second_factor.use(session, seals, account_id, code, now=now)
    if good:
        await attempts.forgive(session, [counter], now=now)
    return good


@asynccontextmanager
async def _apart(session: AsyncSession) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(session.bind, expire_on_commit=False) as own, own.begin():
        yield own


# --- what an owner changes ---


async def change_password(
    session: AsyncSession, seals: Seals, proof: Proof, new: SecretStr, *, initial_life: timedelta, now: datetime
) -> None:
    """Give oneself a new password; the account's sessions end.

    Raises:
        SignInFailed, TooManyAttempts, SecondFactorRequired, InitialPasswordEnded: the proof is not good.
        InvalidPayload: the new password is too short, too common, contains the username, or is the old one.
    """
    account = await _proven(session, seals, proof, initial_life, now)
    password = new.get_secret_value()
    require_good(password, account.username, "/new_password")
    if password == proof.password.get_secret_value():
        raise InvalidPayload.at("/new_password", "password_unchanged")
    credential = await session.get(Credential, account.id)
    is_demo = credential is not None and credential.is_demo
    await _set(session, account, password, must_change=False, is_demo=is_demo, now=now)


async def begin_second_factor(
    session: AsyncSession, seals: Seals, proof: Proof, *, initial_life: timedelta, now: datetime
) -> Enrolment:
    """Give oneself a generator of codes, which counts when `confirm_second_factor` saw its first one.

    Raises:
        SignInFailed, TooManyAttempts, InitialPasswordEnded: the proof is not good.
        SecondFactorRequired, SecondFactorExists: there is a confirmed one.
    """
    account = await _proven(session, seals, proof, initial_life, now)
    return await second_factor.begin(session, seals, account.id, account.username, now=now)


async def confirm_second_factor(
    session: AsyncSession, seals: Seals, proof: Proof, code: str, *, initial_life: timedelta, now: datetime
) -> Sequence[str]:
    """Put the generator into force by its first code; the recovery codes, which are shown this once.

    Raises:
        SignInFailed: the password or the code is wrong, or no generator was begun.
        TooManyAttempts, SecondFactorRequired, SecondFactorExists, InitialPasswordEnded.
    """
    account = await _proven(session, seals, proof, initial_life, now)
    return await second_factor.confirm(session, seals, account.id, code, now=now)


# --- what others change ---


async def reset_password(
    session: AsyncSession, actor: Actor, account_id: UUID, password: SecretStr, *, now: datetime
) -> None:
    """Give a person a new initial password, to be changed at the next sign-in; the account's sessions end.

    Raises:
        NotFound: there is no such person.
        OwnAccount: it is the actor's.
        InvalidPayload: the password is too short, too common or contains the username.
    """
    account = await accounts.person(session, actor, account_id)
    plain = password.get_secret_value()
    require_good(plain, account.username, "/password")
    await _set(session, account, plain, must_change=True, is_demo=False, now=now)


async def reset_second_factor(session: AsyncSession, actor: Actor, account_id: UUID, *, now: datetime) -> None:
    """Take a person's second factor away, such as with a lost phone; the account's sessions end.

    Raises:
        NotFound: there is no such person.
        OwnAccount: it is the actor's.
    """
    account = await accounts.person(session, actor, account_id)
    await second_factor.remove(session, account.id)
    await audit.record(session, Action.DELETED, "second-factor", [account.id])
    await end_all(session, Ending.REVOKED, now, account_id=account.id)


async def waive_for_demo(session: AsyncSession, account_id: UUID, *, now: datetime) -> None:
    """Let an account of the demonstration in with its printed password alone, unless it was given another since."""
    waiver = insert(Credential).values(account_id=account_id, must_change=False, is_demo=True, changed_at=now)
    await session.execute(waiver.on_conflict_do_nothing())


def require_good(password: str, username: str, pointer: str) -> None:
    """Refuse a password that is too short, too common, or contains the username.

    Raises:
        InvalidPayload: at `pointer`, naming the fault.
    """
    if (fault := password_fault(password, username)) is not None:
        raise InvalidPayload.at(pointer, fault, min_length=PASSWORD_MIN_LENGTH)


async def _set(
    session: AsyncSession, account: Account, password: str, *, must_change: bool, is_demo: bool, now: datetime
) -> None:
    account.password_hash = await passwords.hash_password(password)
    await session.merge(Credential(account_id=account.id, must_change=must_change, is_demo=is_demo, changed_at=now))
    await end_all(session, Ending.REVOKED, now, account_id=account.id)
