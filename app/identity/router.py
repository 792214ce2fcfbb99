"""Sign-in."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.core.actors import Actor
from app.core.http import GUARDED, Config, Now, Requires, Session, documented
from app.identity import grants, service
from app.identity.credentials import Proof
from app.identity.credentials_router import PROOF, From, InitialLife, Sealing, remember_device
from app.identity.problems import PasswordChangeRequired
from app.identity.schemas import AccessToken, GrantRead, Me, SignIn
from app.identity.session_router import Device, LoginSessions
from app.identity.sessions import SignedIn

router = APIRouter(tags=["identity"])

Anyone = Annotated[Actor, Depends(Requires())]


@router.post(
    "/sign-in",
    response_model=AccessToken,
    responses=PROOF | documented(PasswordChangeRequired),
)
async def identity_sign_in(
    body: SignIn, response: Response, session: Session, login: LoginSessions, device: Device, seals: Sealing,
    origin: From, initial_life: InitialLife, settings: Config, now: Now,
) -> SignedIn:  # fmt: skip
    """Trade a staff username and password, and the second factor's code, for an access token and a refresh token."""
    proof = Proof(body.username, body.password, body.otp, origin)
    account, grant = await service.sign_in(
        session, seals, proof, initial_life=initial_life, now=now, grant_id=body.grant_id
    )
    response.headers["Cache-Control"] = "no-store"
    remember_device(response, seals, account.id, https=settings.https)
    actor = grants.actor_of(account, grant)
    return await login.open_session(session, actor, account_id=account.id, now=now, device=device)


@router.get("/me", response_model=Me, responses=GUARDED)
async def identity_me(actor: Anyone, session: Session, now: Now) -> Me:
    """Who am I, and under which of my grants can I sign in today?"""
    mine = await service.grants_of(session, actor, now=now)
    return Me(
        subject=actor.subject, role=actor.role, dealer_code=actor.dealer_code, dealer_codes=sorted(actor.dealers),
        region_code=actor.region_code, partner_code=actor.partner_code, agency_code=actor.agency_code,
        scopes=sorted(actor.scopes),
        grants=[GrantRead.model_validate(grant, from_attributes=True) for grant in mine],
    )  # fmt: skip
