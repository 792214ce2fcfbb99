"""Sessions: going on, signing out, and which ones there are."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.core.actors import Actor
from app.core.http import GUARDED, Cursor, Db, Limit, Now, Requires, Session, documented
from app.core.paging import Page, id_after, paged
from app.core.problems import InvalidPayload, MalformedBody, NotFound, Unexpected
from app.identity import session_queries as queries
from app.identity import sessions
from app.identity.problems import SessionEnded
from app.identity.schemas import AccessToken
from app.identity.session_models import Ending, LoginSession
from app.identity.session_schemas import JsonWebKeys, Refresh, SessionRead

router = APIRouter(tags=["identity"])
keys = APIRouter(tags=["service"])
"""Stands outside /api/v1, where RFC 8615 wants it."""


async def _sessions(request: Request) -> sessions.Sessions:
    found: sessions.Sessions = request.app.state.sessions
    return found


async def _device(request: Request) -> str:
    return request.headers.get("User-Agent", "")


LoginSessions = Annotated[sessions.Sessions, Depends(_sessions)]
"""For every route that signs somebody in: `await sessions.open_session(session, actor, account_id=…, …)`."""

Device = Annotated[str, Depends(_device)]
"""What a session is shown as in its owner's list."""

Anyone = Annotated[Actor, Depends(Requires())]


@router.post(
    "/sign-in/refresh",
    response_model=AccessToken,
    responses=documented(SessionEnded, MalformedBody, InvalidPayload, Unexpected),
)
async def identity_refresh(
    body: Refresh, response: Response, login: LoginSessions, db: Db, now: Now
) -> sessions.SignedIn:
    """Trade a refresh token, good once, for the next one and a new access token.

    A token that was used before ends the session it belongs to: one of its two holders has no right to it.
    """
    async with db.session() as session:
        signed_in = await login.refresh(session, body.refresh_token.get_secret_value(), now)
    # only after the commit: what the refusal ended stays ended
    if signed_in is None:
        raise SessionEnded
    response.headers["Cache-Control"] = "no-store"
    return signed_in


@router.post("/sign-out", status_code=204, responses=GUARDED)
async def identity_sign_out(actor: Anyone, session: Session, login: LoginSessions, now: Now) -> None:
    """End the session of the access token; an operator's token has none, and simply ends in time."""
    own = await queries.own(session, actor, actor.session_id) if actor.session_id else None
    if own is not None:
        await login.end(session, own, Ending.SIGNED_OUT, now)


@router.post("/sign-out-everywhere", status_code=204, responses=GUARDED)
async def identity_sign_out_everywhere(actor: Anyone, session: Session, login: LoginSessions, now: Now) -> None:
    """End all of one's sessions, this one too."""
    await login.end_everywhere(session, actor, now)


@router.get("/sessions", response_model=Page[SessionRead], responses=GUARDED)
async def identity_sessions(
    actor: Anyone, session: Session, now: Now, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """One's own sessions that go on, oldest first."""
    found = await queries.live(session, actor, now, after=id_after(cursor), limit=limit + 1)
    page = paged(found, limit, lambda login: (str(login.id),))
    return page | {"items": [_shown(login, actor) for login in found[:limit]]}


def _shown(login: LoginSession, actor: Actor) -> dict[str, Any]:
    kept = {name: getattr(login, name) for name in SessionRead.model_fields.keys() - {"current"}}
    return kept | {"current": login.id == actor.session_id}


@router.delete("/sessions/{session_id}", status_code=204, responses=GUARDED | documented(NotFound))
async def identity_end_session(
    session_id: UUID, actor: Anyone, session: Session, login: LoginSessions, now: Now
) -> None:
    """End one of one's own sessions, such as that of a lost telephone."""
    own = await queries.own(session, actor, session_id)
    if own is None:
        raise NotFound("session")
    await login.end(session, own, Ending.SIGNED_OUT, now)


@keys.get("/.well-known/jwks.json", response_model=JsonWebKeys)
async def service_keys(request: Request, response: Response) -> dict[str, Any]:
    """The public keys that verify access tokens, for servers that want to do so themselves."""
    response.headers["Cache-Control"] = "public, max-age=300"
    found: dict[str, Any] = request.app.state.tokens.jwks()
    return found
