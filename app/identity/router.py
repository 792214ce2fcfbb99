"""Sign-in."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.core.actors import Actor
from app.core.http import GUARDED, Config, Requires, Session, documented
from app.core.problems import InvalidPayload, MalformedBody, Unexpected
from app.identity import service
from app.identity.problems import SignInFailed
from app.identity.schemas import AccessToken, Me, SignIn

router = APIRouter(tags=["identity"])

Anyone = Annotated[Actor, Depends(Requires())]


@router.post(
    "/sign-in",
    response_model=AccessToken,
    responses=documented(SignInFailed, MalformedBody, InvalidPayload, Unexpected),
)
async def identity_sign_in(
    body: SignIn, request: Request, response: Response, session: Session, settings: Config
) -> AccessToken:
    """Trade a staff username and password for a short access token."""
    actor = await service.sign_in(session, body.username, body.password.get_secret_value())
    token, expires_at = request.app.state.tokens.issue(actor, timedelta(minutes=settings.access_token_minutes))
    response.headers["Cache-Control"] = "no-store"
    return AccessToken(access_token=token, expires_at=expires_at)


@router.get("/me", response_model=Me, responses=GUARDED)
async def identity_me(actor: Anyone) -> Me:
    """Who am I?"""
    return Me(subject=actor.subject, role=actor.role, dealer_code=actor.dealer_code, scopes=sorted(actor.scopes))
