"""The token endpoint for programs. It stands outside /api/v1 and answers as RFC 6749 says, not with problems."""

from datetime import timedelta
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from app.audit import service as audit
from app.audit.models import Action
from app.core.http import Config, Now, Session
from app.identity import grants, oauth, programs
from app.identity.account_schemas import ClientRefusal, ClientToken

router = APIRouter(tags=["programs"])

_REFUSED = {"model": ClientRefusal}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            oauth.FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        "scope": {"type": "string", "description": "separated by blanks; all it has when left out"},
                        "client_id": {"type": "string", "description": "or by HTTP Basic"},
                        "client_secret": {"type": "string", "format": "password", "description": "or by HTTP Basic"},
                    },
                }
            }
        },
    }
}


@router.post(
    "/oauth/token",
    response_model=ClientToken,
    responses={
        400: _REFUSED | {"description": "`invalid_request`, `unsupported_grant_type`, `invalid_scope`"},
        401: _REFUSED | {"description": "`invalid_client`"},
    },
    openapi_extra=_FORM,
)
async def programs_token(request: Request, session: Session, now: Now, settings: Config) -> Response:
    """Trade a program's client id and secret for a short access token (grant type `client_credentials`)."""
    headers = request.headers
    try:
        asked = oauth.read(headers.get("Content-Type", ""), headers.get("Authorization", ""), await request.body())
        account = await programs.authenticate(session, asked.client_id, asked.client_secret, now)
        if account is None:
            raise asked.refused("invalid_client", "the client is unknown, or its secret is wrong or has ended")
        scopes = frozenset(account.scopes) if asked.scopes is None else asked.scopes
        if not scopes <= frozenset(account.scopes):
            raise asked.refused("invalid_scope", "the client does not have all of these scopes")
    except oauth.Refused as refusal:
        await request.app.state.refusals.keep(request, refusal.error.replace("_", "-"))
        return _refusal(refusal)
    life = grants.program_lifetime(account, now, timedelta(minutes=settings.access_token_minutes))
    program = grants.program_of(account, sorted(scopes))
    token, _ = request.app.state.tokens.issue(program, life)
    await audit.record(session, Action.TOKEN_ISSUED, "account", [account.id], actor=program)
    answer = ClientToken(access_token=token, expires_in=int(life.total_seconds()), scope=" ".join(sorted(scopes)))
    return _answer(200, answer.model_dump())


def _refusal(refusal: oauth.Refused) -> Response:
    body = ClientRefusal(error=refusal.error, error_description=refusal.description)
    response = _answer(401 if refusal.error == "invalid_client" else 400, body.model_dump())
    if refusal.by_basic and response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="programs"'
    return response


def _answer(status: int, body: dict[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(orjson.dumps(body), status, headers, "application/json")
