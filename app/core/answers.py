"""How problems are answered, whoever raised them, and the id that every request and its answer carry."""

import logging
import re
import traceback
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError, ValidationException
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import catalogue, db, problems
from app.core.actors import acting
from app.core.catalogue import Language
from app.core.origin import Requested, origin
from app.core.problems import FieldError, InvalidPayload, Problem

log = logging.getLogger("club")
request_id: ContextVar[str] = ContextVar("request_id", default="-")

_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")
"""How pydantic writes a member of an enumeration; its value is what callers know."""


def problem_response(request: Request, problem: Problem) -> Response:
    """The problem document for this request, in its language."""
    language = catalogue.preferred(request.headers.get("Accept-Language", ""))
    body = problem.body(language) | {"instance": request.url.path, "request_id": request_id.get()}
    headers = {"Content-Language": language.value}
    if problem.status == problems.Unauthenticated.status:
        headers["WWW-Authenticate"] = "Bearer"
    if "retry_after_seconds" in problem.members:
        headers["Retry-After"] = str(problem.members["retry_after_seconds"])
    return Response(orjson.dumps(body, default=str), problem.status, headers, "application/problem+json")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(request, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(request, refusal_of(error.errors()))


def refusal_of(faults: Sequence[Mapping[str, Any]]) -> Problem:
    """The problem that pydantic's faults in a request come to."""
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problems.MalformedBody()
    return InvalidPayload(errors=[_field_error(fault) for fault in faults])


def _field_error(fault: Mapping[str, Any]) -> FieldError:
    source, *path = fault["loc"]
    parts = path if source == "body" else [source, *path]
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    context = {name: value for name, value in fault.get("ctx", {}).items() if not isinstance(value, Exception)}
    if "expected" in context:
        context["expected"] = _MEMBER.sub(r"\1", context["expected"])
    known = f"field.{fault['type']}" in catalogue.texts(Language.EN)
    return FieldError(pointer, fault["type"] if known else "value_invalid", context | {"message": fault["msg"]})


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds: dict[int, Problem] = {
        404: problems.NotFound("route"),
        405: problems.MethodNotAllowed(),
        400: problems.MalformedBody(),
    }
    response = problem_response(request, kinds.get(error.status_code, problems.Unexpected()))
    response.headers.update(error.headers or {})
    return response


def _on_unexpected(request: Request, error: Exception) -> Response:
    if _sqlstate(error) == asyncpg.CharacterNotInRepertoireError.sqlstate:
        return problem_response(request, problems.InvalidPayload.at("", "nul_character"))
    log.error(
        "request %s failed: %s\n%s",
        request_id.get(),
        describe(error),
        "".join(traceback.format_tb(error.__traceback__)),
    )
    return problem_response(request, problems.Unexpected())


def describe(error: BaseException) -> str:
    """An exception for the log; those of the database and of schemas without their texts, which quote personal data."""
    if isinstance(error, DBAPIError):
        return describe(error.orig) if error.orig is not None else type(error).__name__
    if isinstance(error, asyncpg.PostgresError) or hasattr(error, "sqlstate"):
        return f"{type(error).__name__} sqlstate={_sqlstate(error)}"
    if isinstance(error, ValidationException | ValidationError):
        return f"{type(error).__name__} " + ", ".join(f"{fault['type']} at {fault['loc']}" for fault in error.errors())
    return f"{type(error).__name__}: {error}"


def _sqlstate(error: BaseException) -> str | None:
    state: str | None = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return state


class Envelope:
    """ASGI middleware: every request has an id, taken from X-Request-Id when it is tame, and an answer that carries it.

    An unexpected error ends here: the server would log its text, which may quote values.
    """

    def __init__(self, app: ASGIApp, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.app = app
        self.headers = headers
        """For every answer that does not have its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        current = given if 0 < len(given) <= 64 and given.replace("-", "").isalnum() else db.new_id().hex
        request_id.set(current)

        caller, source = acting.set(None), origin.set(Requested(scope, current))
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = message.get("headers", ())
                names = {name for name, _ in own}
                ours = (header for header in self.headers if header[0] not in names)
                message["headers"] = [*own, (b"x-request-id", current.encode()), *ours]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:
            response = _on_unexpected(Request(scope), error)
            if not started:
                await response(scope, receive, send_with_id)
        finally:
            acting.reset(caller)
            origin.reset(source)


def install(app: FastAPI, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Give an app the service's error answers, request ids, and headers that its answers carry."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_middleware(Envelope, headers=headers)


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457 problem document; some types carry more members (their figures).",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "stable, e.g. /problems/insufficient-points"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
            },
        },
    },
}
