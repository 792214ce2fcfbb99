"""Sign-in by an OpenID Connect provider: to it, and back; to a front end in the end, if one asked."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import refusals
from app.core.http import Config, Db, Now, Session, documented
from app.core.problems import InvalidPayload, MalformedBody, NotFound, Problem, Unexpected
from app.identity import external, grants, handover, oidc, service
from app.identity.credential_schemas import HandoverTake
from app.identity.credentials_router import Sealing
from app.identity.models import Account
from app.identity.problems import ProviderUnavailable, SecondFactorMissing, SignInFailed
from app.identity.schemas import AccessToken
from app.identity.session_router import Device, LoginSessions
from app.identity.sessions import Sessions, SignedIn
from app.settings import Settings

router = APIRouter(tags=["identity"])

FLOW_COOKIE = "club_oidc"
_COOKIE_PATH = "/api/v1/sign-in/oidc"
_BACK: dict[int | str, dict[str, Any]] = {
    302: {"description": "to the front end's `return_to`, with `code` to trade, or `error`: a problem's type"}
}


async def _provider(request: Request) -> oidc.Provider:
    provider: oidc.Provider = request.app.state.oidc
    return provider


OpenId = Annotated[oidc.Provider, Depends(_provider)]
ReturnTo = Annotated[
    str | None,
    Query(max_length=2000, pattern=r"^[!-~]+$", description="a front end's address, of an origin in CLUB_CORS_ORIGINS"),
]
Challenge = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9_-]{43}$", description="S256 of a secret the front end keeps (RFC 7636)")
]


@router.get(
    "/sign-in/oidc",
    status_code=302,
    response_class=RedirectResponse,
    responses=documented(NotFound, InvalidPayload, ProviderUnavailable, Unexpected),
)
async def identity_oidc(
    provider: OpenId, seals: Sealing, settings: Config, now: Now, return_to: ReturnTo = None,
    challenge: Challenge = None,
) -> RedirectResponse:  # fmt: skip
    """Go to the identity provider and sign in there; a front end says where to return to, and its challenge."""
    handover.require_front_end(return_to, challenge, settings.cors_origins)
    flow = oidc.Flow.begin(now, return_to=return_to, challenge=challenge)
    response = _to(await provider.authorization_url(flow, now))
    # lax: the provider's redirect back is a navigation from another site
    response.set_cookie(
        FLOW_COOKIE, flow.sealed(seals), max_age=int(oidc.FLOW_LIFE.total_seconds()), path=_COOKIE_PATH,
        secure=settings.https, httponly=True, samesite="lax",
    )  # fmt: skip
    return response


@router.get(
    "/sign-in/oidc/callback",
    response_model=AccessToken,
    responses=_BACK
    | documented(SignInFailed, SecondFactorMissing, NotFound, InvalidPayload, ProviderUnavailable, Unexpected),
)
async def identity_oidc_callback(
    state: Annotated[str, Query(max_length=200)], request: Request, response: Response, session: Session,
    login: LoginSessions, device: Device, provider: OpenId, seals: Sealing, settings: Config, now: Now,
    code: Annotated[str, Query(max_length=4000)] = "", club_oidc: Annotated[str | None, Cookie()] = None,
) -> Any:  # fmt: skip
    """Come back from the identity provider: answers as a sign-in by password does, or goes on to the front end."""
    flow = oidc.Flow.opened(seals, club_oidc, state, now)
    identified = _identified(session, provider, flow, code, settings, now)
    if flow.return_to is not None:
        return await _hand_over(request, session, flow, flow.return_to, identified, now)
    signed_in = await _open(session, login, await identified, device=device, now=now)
    response.delete_cookie(FLOW_COOKIE, path=_COOKIE_PATH)
    response.headers["Cache-Control"] = "no-store"
    return signed_in


async def _identified(
    session: AsyncSession, provider: oidc.Provider, flow: oidc.Flow, code: str, settings: Settings, now: datetime
) -> Account:
    if not code:
        # the provider says why in `error`: somebody declined, or was refused
        raise SignInFailed
    claims = await provider.claims(flow, code, now)
    asserts = settings.oidc_asserts_second_factor
    return await external.account_of(session, provider.issuer, claims, asserts_second_factor=asserts, now=now)


async def _hand_over(
    request: Request, session: AsyncSession, flow: oidc.Flow, return_to: str, identified: Awaitable[Account],
    now: datetime,
) -> RedirectResponse:  # fmt: skip
    """On to the front end, with a code to trade or with what was refused: it says that in its own words."""
    try:
        told = {"code": await handover.give(session, await identified, flow.challenge or "", now)}
    except Problem as problem:
        await session.rollback()
        await request.app.state.refusals.keep(request, problem.type)
        told = {"error": problem.type}
    response = _to(handover.back(return_to, **told))
    response.delete_cookie(FLOW_COOKIE, path=_COOKIE_PATH)
    return response


@router.post(
    "/sign-in/oidc/exchange",
    response_model=AccessToken,
    responses=documented(SignInFailed, MalformedBody, InvalidPayload, Unexpected),
)
async def identity_oidc_exchange(
    body: HandoverTake, response: Response, db: Db, session: Session, login: LoginSessions, device: Device, now: Now
) -> SignedIn:
    """Trade the code that a front end was given, good once and for a minute: answers as a sign-in by password does."""
    async with db.session() as own:
        # used up, whoever brought it
        found = await handover.take(own, body.code.get_secret_value(), now)
    refusals.concern("account", found.account_id if found else None)
    account = await handover.account_of(session, found, body.verifier.get_secret_value())
    response.headers["Cache-Control"] = "no-store"
    return await _open(session, login, account, device=device, now=now)


async def _open(session: AsyncSession, login: Sessions, account: Account, *, device: str, now: datetime) -> SignedIn:
    grant = await service.acting_under(session, account, None, now=now)
    return await login.open_session(
        session, grants.actor_of(account, grant), account_id=account.id, now=now, device=device
    )


def _to(url: str) -> RedirectResponse:
    return RedirectResponse(url, 302, {"Cache-Control": "no-store"})
