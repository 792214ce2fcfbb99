"""The service's edge: who asks, how often, what bodies, which headers go along, and a line in the log.

One ASGI middleware, since it is on every request's way: see docs/performance.md for what it costs.
"""

import re
import time
from base64 import b64encode
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import answers, http, logs, problems
from app.core.actors import Actor, acting
from app.core.bodies import Bodies, BodyRefused
from app.core.problems import Problem, TooManyRequests
from app.core.rates import Rates
from app.settings import Settings

SLOW_MS = 1_000
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_CLOSED_BY_CLIENT = 499
_YEAR_SECONDS = 31_536_000

CALLER_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-Id")
ANSWER_HEADERS = ("ETag", "Retry-After", "X-Request-Id")

_EVERYWHERE = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
_CLOSED_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
_UNKEPT = (b"cache-control", b"no-store")


class Edge:
    """ASGI middleware inside the envelope, so that what it refuses has a request id."""

    def __init__(self, app: ASGIApp, settings: Settings, rates: Rates) -> None:
        self.app = app
        self.rates = rates
        self.bodies = Bodies(settings.body_max_mib)
        self.log = _AccessLog(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._pass(scope, receive, noting)
        except ClientDisconnect:
            status = _CLOSED_BY_CLIENT
        finally:
            self.log.request(scope, status, (time.perf_counter() - started) * 1_000)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        actor = scope["actor"] = _caller(scope)
        try:
            await self.rates.count(actor, (scope.get("client") or ("-",))[0])
        except TooManyRequests as problem:
            acting.set(actor)
            await _answer(problem, scope, receive, send)
            return
        guarded = receive if scope["method"] in _BODILESS else self.bodies.guarded(scope, receive)
        await self.app(scope, guarded, send)


def _caller(scope: Scope) -> Actor | None:
    """Whose good token the request carries."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, token = value.decode("latin-1").partition(" ")
            actor: Actor | None = scope["app"].state.authenticate(token) if kind.lower() == "bearer" else None
            return actor
    return None


async def _answer(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """As the app's own handler would: what it keeps of refusals, it keeps of this."""
    request = Request(scope, receive)
    response: Response = await scope["app"].exception_handlers[Problem](request, problem)
    await response(scope, receive, send)


class _AccessLog:
    def __init__(self, settings: Settings) -> None:
        self.kept = settings.access_log
        self.key = blake2b(settings.signing_key, person=b"access log").digest()
        self.log = logs.access(settings.log_format)

    def request(self, scope: Scope, status: int, ms: float) -> None:
        """A line, without path, query and address, which may name persons; the subject as a keyed hash."""
        if self.kept == "none":
            return
        # refused floods are not written down one by one
        if self.kept == "problems" and ms < SLOW_MS and (status < 400 or status == TooManyRequests.status):
            return
        actor: Actor | None = scope.get("actor")
        self.log.info(
            "request",
            method=scope["method"] if scope["method"].isalpha() else "?",
            route=route_of(scope),
            status=status,
            ms=round(ms, 1),
            request_id=answers.request_id.get(),
            role=actor.role.value if actor else None,
            subject=blake2b(actor.subject.encode(), key=self.key, digest_size=8).hexdigest() if actor else None,
        )


def route_of(scope: Scope) -> str | None:
    """The template of the path that was found, such as /members/{member_id}; None where none was."""
    route: Any = scope.get("route")
    return getattr(route, "path_format", None) or getattr(route, "path", None)


def headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """What every answer carries that does not say otherwise itself."""
    found = [*_EVERYWHERE, _CLOSED_POLICY, _UNKEPT]
    if settings.https:
        found.append((b"strict-transport-security", f"max-age={_YEAR_SECONDS}; includeSubDomains".encode()))
    return found


def page_policy(page: bytes) -> str:
    """The Content-Security-Policy of a page of ours: what lies here, and the scripts written in it."""
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    return (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


async def _on_refused_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, BodyRefused)
    return answers.problem_response(request, error.problem)


def install(app: Starlette, settings: Settings) -> None:
    """Give an app its edge; call it before `answers.install`, whose envelope goes around it."""
    app.add_exception_handler(BodyRefused, _on_refused_body)
    app.add_middleware(Edge, settings=settings, rates=Rates(settings))


def open_to(app: Starlette, origins: Sequence[str]) -> None:
    """Let pages of these origins call an app, with tokens and never with cookies."""
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=CALLER_HEADERS, expose_headers=ANSWER_HEADERS, max_age=600,
        )  # fmt: skip


def document(schema: dict[str, Any]) -> None:
    """Add to an OpenAPI document what the edge may answer."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            kinds: list[type[Problem]] = [TooManyRequests]
            if "requestBody" in operation:
                kinds += [problems.NestedTooDeeply, problems.PayloadTooLarge, problems.UnsupportedMediaType]
            for status, added in http.documented(*kinds).items():
                _add(operation["responses"], str(status), added)


def _add(responses: dict[str, Any], status: str, added: dict[str, Any]) -> None:
    if status not in responses:
        responses[status] = added
    elif added["description"] not in (said := responses[status]["description"]):
        responses[status]["description"] = ", ".join(filter(None, [said, added["description"]]))
