"""Passwords and second factors: what staff change themselves, and what headquarters resets."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.core.actors import Actor, Right
from app.core.http import GUARDED, Config, Now, Requires, Session, documented
from app.core.problems import InvalidPayload, MalformedBody, NotFound, Unexpected
from app.identity import attempts, credentials, external
from app.identity.attempts import Origin
from app.identity.credential_models import ExternalIdentity
from app.identity.credential_schemas import (
    EnrolmentRead,
    ExternalIdentityRead,
    ExternalIdentitySet,
    PasswordChange,
    PasswordReset,
    Proven,
    RecoveryCodesRead,
    SecondFactorConfirm,
)
from app.identity.credentials import Proof
from app.identity.problems import (
    EmailTaken,
    InitialPasswordEnded,
    OwnAccount,
    SecondFactorExists,
    SecondFactorRequired,
    SignInFailed,
    TooManyAttempts,
)
from app.identity.seals import Seals
from app.identity.second_factor import Enrolment

router = APIRouter(tags=["identity"])

DEVICE_COOKIE = "club_device"
_DEVICE_SECONDS = 90 * 86_400
_COOKIE_PATH = "/api/v1/sign-in"
PROOF = documented(
    SignInFailed, SecondFactorRequired, InitialPasswordEnded, TooManyAttempts, MalformedBody, InvalidPayload, Unexpected
)  # fmt: skip
"""What every route can answer that takes a password."""

Administrator = Annotated[Actor, Depends(Requires(Right.ACCOUNTS_WRITE))]


async def _seals(request: Request) -> Seals:
    seals: Seals = request.app.state.seals
    return seals


async def _origin(request: Request) -> Origin:
    return Origin(request.client.host if request.client else "", request.cookies.get(DEVICE_COOKIE))


async def _initial_life(settings: Config) -> timedelta:
    return timedelta(days=settings.initial_password_days)


Sealing = Annotated[Seals, Depends(_seals)]
From = Annotated[Origin, Depends(_origin)]
InitialLife = Annotated[timedelta, Depends(_initial_life)]
"""How long a password is good that somebody else set."""


def remember_device(response: Response, seals: Seals, account_id: UUID, *, https: bool) -> None:
    """Let the device that signed in well have its own count of failures from now on."""
    response.set_cookie(
        DEVICE_COOKIE, attempts.device_cookie(seals, account_id), max_age=_DEVICE_SECONDS, path=_COOKIE_PATH,
        secure=https, httponly=True, samesite="strict",
    )  # fmt: skip


# --- one's own ---


@router.post("/sign-in/password", status_code=204, responses=PROOF)
async def identity_change_password(
    body: PasswordChange, session: Session, seals: Sealing, origin: From, initial_life: InitialLife, now: Now
) -> None:
    """Change one's own password, such as an initial one; all sessions of the account end."""
    proof = Proof(body.username, body.password, body.otp, origin)
    await credentials.change_password(session, seals, proof, body.new_password, initial_life=initial_life, now=now)


@router.post("/sign-in/second-factor", response_model=EnrolmentRead, responses=PROOF | documented(SecondFactorExists))
async def identity_begin_second_factor(
    body: Proven, response: Response, session: Session, seals: Sealing, origin: From, initial_life: InitialLife,
    now: Now,
) -> Enrolment:  # fmt: skip
    """Begin to set up a second factor: scan the QR code in an authenticator app, then confirm with its code."""
    response.headers["Cache-Control"] = "no-store"
    proof = Proof(body.username, body.password, body.otp, origin)
    return await credentials.begin_second_factor(session, seals, proof, initial_life=initial_life, now=now)


@router.post("/sign-in/second-factor/confirm", responses=PROOF | documented(SecondFactorExists))
async def identity_confirm_second_factor(
    body: SecondFactorConfirm, response: Response, session: Session, seals: Sealing, origin: From,
    initial_life: InitialLife, now: Now,
) -> RecoveryCodesRead:  # fmt: skip
    """Put the second factor into force by its first code; answers the recovery codes, once."""
    response.headers["Cache-Control"] = "no-store"
    proof = Proof(body.username, body.password, None, origin)
    codes = await credentials.confirm_second_factor(session, seals, proof, body.otp, initial_life=initial_life, now=now)
    return RecoveryCodesRead(recovery_codes=list(codes))


# --- by headquarters ---


@router.put("/accounts/{account_id}/password", status_code=204, responses=GUARDED | documented(NotFound, OwnAccount))
async def accounts_reset_password(
    account_id: UUID, body: PasswordReset, actor: Administrator, session: Session, now: Now
) -> None:
    """Give a person a new initial password; all sessions of the account end."""
    await credentials.reset_password(session, actor, account_id, body.password, now=now)


@router.delete(
    "/accounts/{account_id}/second-factor", status_code=204, responses=GUARDED | documented(NotFound, OwnAccount)
)
async def accounts_reset_second_factor(account_id: UUID, actor: Administrator, session: Session, now: Now) -> None:
    """Take a person's second factor away, such as with a lost phone; all sessions of the account end."""
    await credentials.reset_second_factor(session, actor, account_id, now=now)


@router.put(
    "/accounts/{account_id}/external-identity",
    response_model=ExternalIdentityRead,
    responses=GUARDED | documented(NotFound, OwnAccount, EmailTaken),
)
async def accounts_set_external_identity(
    account_id: UUID, body: ExternalIdentitySet, actor: Administrator, session: Session, now: Now
) -> ExternalIdentity:
    """Say under which verified e-mail a person may sign in by the identity provider; linked at the first sign-in.

    Whoever stood there before no longer does: the sessions of the account end.
    """
    return await external.expect(session, actor, account_id, body.email, now=now)


@router.delete(
    "/accounts/{account_id}/external-identity", status_code=204, responses=GUARDED | documented(NotFound, OwnAccount)
)
async def accounts_drop_external_identity(account_id: UUID, actor: Administrator, session: Session, now: Now) -> None:
    """A person no longer signs in by the identity provider; the sessions of the account end."""
    await external.unlink(session, actor, account_id, now=now)
