"""Sign-in by an OpenID Connect provider: to it, and back."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.core.http import Config, Now, Session, documented
from app.core.problems import InvalidPayload, NotFound, Unexpected
from app.identity import grants, oidc, service
from app.identity.credentials_router import Sealing
from app.identity.problems import ProviderUnavailable, SecondFactorMissing, SignInFailed
from app.identity.schemas import AccessToken
from app.identity.session_router import Device, LoginSessions
from app.identity.sessions import SignedIn

router = APIRouter(tags=["identity"])

FLOW_COOKIE = "club_oidc"
_COOKIE_PATH = "/api/v1/sign-in/oidc"


async def _provider(request: Request) -> oidc.Provider:
    provider: oidc.Provider = request.app.state.oidc
    return provider


OpenId = Annotated[oidc.Provider, Depends(_provider)]


@router.get(
    "/sign-in/oidc",
    status_code=302,
    response_class=RedirectResponse,
    responses=documented(NotFound, ProviderUnavailable, Unexpected),
)
async def identity_oidc(provider: OpenId, seals: Sealing, settings: Config, now: Now) -> RedirectResponse:
    """Go to the identity provider and sign in there."""
    flow = oidc.Flow.begin(now)
    response = RedirectResponse(await provider.authorization_url(flow, now), 302, {"Cache-Control": "no-store"})
    # lax: the provider's redirect back is a navigation from another site
    response.set_cookie(
        FLOW_COOKIE, flow.sealed(seals), max_age=int(oidc.FLOW_LIFE.total_seconds()), path=_COOKIE_PATH,
        secure=settings.https, httponly=True, samesite="lax",
    )  # fmt: skip
    return response


@router.get(
    "/sign-in/oidc/callback",
    response_model=AccessToken,
    responses=documented(SignInFailed, SecondFactorMissing, NotFound, InvalidPayload, ProviderUnavailable, Unexpected),
)
async def identity_oidc_callback(
    state: Annotated[str, Query(max_length=200)], response: Response, session: Session, login: LoginSessions,
    device: Device, provider: OpenId, seals: Sealing, settings: Config, now: Now,
    code: Annotated[str, Query(max_length=4000)] = "", club_oidc: Annotated[str | None, Cookie()] = None,
) -> SignedIn:  # fmt: skip
    """Come back from the identity provider: answers as a sign-in by password does."""
    flow = oidc.Flow.opened(seals, club_oidc, state, now)
    if not code:
        # the provider says why in `error`: somebody declined, or was refused
        raise SignInFailed
    claims = await provider.claims(flow, code, now)
    account = await oidc.account_of(
        session, provider, claims, asserts_second_factor=settings.oidc_asserts_second_factor, now=now
    )
    grant = await service.acting_under(session, account, None, now=now)
    response.delete_cookie(FLOW_COOKIE, path=_COOKIE_PATH)
    response.headers["Cache-Control"] = "no-store"
    return await login.open_session(
        session, grants.actor_of(account, grant), account_id=account.id, now=now, device=device
    )
