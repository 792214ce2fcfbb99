"""FastAPI glue: what routers depend on, and what they document."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import asyncpg
import orjson
from fastapi import Depends, Header, Query, Request, Response
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import catalogue, db, problems
from app.core.actors import Actor, Right, acting
from app.core.answers import refusal_of
from app.core.catalogue import Language
from app.core.editing import Versioned
from app.core.idempotency import Keyed
from app.core.problems import InvalidPayload, Problem
from app.core.sms import SmsSender
from app.settings import Settings

Schema = dict[str, Any]


# --- what a route may ask for ---


# async even where nothing is awaited: FastAPI runs plain functions in a thread
async def _pool(request: Request) -> asyncpg.Pool:
    pool: asyncpg.Pool = request.app.state.db.pool
    return pool


async def _db(request: Request) -> db.Database:
    database: db.Database = request.app.state.db
    return database


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.db.session() as session:
        yield session


async def _now(request: Request) -> datetime:
    now: datetime = request.app.state.clock()
    return now


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _sms(request: Request) -> SmsSender:
    sender: SmsSender = request.app.state.sms
    return sender


async def _language(request: Request) -> Language:
    return catalogue.preferred(request.headers.get("Accept-Language", ""))


Postings = Annotated[asyncpg.Pool, Depends(_pool)]
"""The raw pool: one call, one round trip, no session."""

Db = Annotated[db.Database, Depends(_db)]
"""Both ways in, for use cases that choose their own transactions."""

# scope "function": the commit runs before the answer is sent, so a failed commit is a 500 and never a 200
Session = Annotated[AsyncSession, Depends(_session, scope="function")]
Now = Annotated[datetime, Depends(_now)]
Config = Annotated[Settings, Depends(_settings)]
Speaks = Annotated[Language, Depends(_language)]
Sms = Annotated[SmsSender, Depends(_sms)]
DryRun = Annotated[bool, Query(description="compute the answer, change nothing")]
Limit = Annotated[int, Query(ge=1, le=200, description="items a page")]
Cursor = Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before")]
RequiredKey = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
OptionalKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
IfMatch = Annotated[str, Header(alias="If-Match", description="the record's ETag as last read")]
Format = Annotated[Literal["json", "csv"], Query(description="how the answer is written")]


async def _keyed(request: Request, session: Session, now: Now, key: OptionalKey = None) -> Keyed:
    actor: Actor | None = request.scope["actor"]
    if actor is None:
        raise problems.Unauthenticated
    # the same content for another path is other content
    target = "/".join(request.path_params.values())
    return Keyed(session, actor.subject, key, now, request.scope["route"].status_code or 200, target)


Once = Annotated[Keyed, Depends(_keyed)]
"""`once(body, action)`: what a guarded write answers, done once under the request's Idempotency-Key, if it has one."""


class Requires(SecurityBase):
    """A dependency that yields the caller when it has one of these rights; without any, every signed-in caller.

    `also` is a right that the caller needs besides, such as to take records away.
    """

    def __init__(self, *rights: Right, also: Right | None = None) -> None:
        self.model = HTTPBearer(description="a short access token: POST /api/v1/sign-in, or `club token SUBJECT`")
        self.scheme_name = "bearer"
        self.rights = frozenset(rights)
        self.also = also

    async def __call__(self, request: Request) -> Actor:
        actor: Actor | None = request.scope["actor"]  # core/edge.py has read the token
        if actor is None:
            raise problems.Unauthenticated
        acting.set(actor)
        if self.rights and not any(map(actor.may, self.rights)):
            raise problems.Forbidden
        if self.also is not None and not actor.may(self.also):
            raise problems.Forbidden
        return actor


@dataclass(frozen=True, slots=True)
class Errand:
    """A request to post: who asks, under which key, when, and the connections to do it with."""

    actor: Actor
    key: str
    now: datetime
    db: db.Database


PostingKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="1 to 255 characters", json_schema_extra={"x-required": True}),
]
"""Declared as if it could be left out, so that who may not post is told so first; `Errands` requires it."""


class Errands(Requires):
    """As `Requires`, for routes that post: one dependency, since each costs a twentieth of an earning."""

    async def __call__(self, request: Request, key: PostingKey = None) -> Errand:  # type: ignore[override]
        actor = await super().__call__(request)
        key = request.headers.get("Idempotency-Key")
        if key is None:
            raise InvalidPayload.at("/header/Idempotency-Key", "missing")
        if not 1 <= len(key) <= 255:
            raise InvalidPayload.at("/header/Idempotency-Key", "string_too_long", max_length=255)
        state = request.app.state
        return Errand(actor, key, state.clock(), state.db)


class DirectRoute(APIRoute):
    """A route whose arguments are read here and not by FastAPI's solver, which took half of an earning's time.

    It is declared and documented like any other. Its parameters may be dependencies that ask for the request alone,
    one body model, and `DryRun`. Dependencies come first, so that who may not call learns nothing of the body.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        hints = get_type_hints(self.endpoint, include_extras=True)
        readers = [(name, _reader(hint)) for name, hint in hints.items() if name != "return"]
        readers.sort(key=lambda reader: isinstance(reader[1], _Body))
        self.readers = readers
        return self.answer

    async def answer(self, request: Request) -> Response:
        """The endpoint's answer to a request."""
        response: Response = await self.endpoint(**{name: await read(request) for name, read in self.readers})
        return response


class _Body:
    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    async def __call__(self, request: Request) -> BaseModel:
        try:
            return self.model.model_validate_json(await request.body())
        except ValidationError as error:
            faults = [fault | {"loc": ("body", *fault["loc"])} for fault in error.errors(include_input=False)]
            raise refusal_of(faults) from None


def _reader(hint: Any) -> Callable[[Request], Awaitable[Any]]:
    if hint is DryRun:
        return _dry_run
    if get_origin(hint) is Annotated:
        dependency: Callable[[Request], Awaitable[Any]] = get_args(hint)[1].dependency
        return dependency
    return _Body(hint)


async def _dry_run(request: Request) -> bool:
    if not request.scope["query_string"]:
        return False
    text = request.query_params.get("dry_run", "false").lower()
    if text not in {"true", "1", "false", "0"}:
        raise InvalidPayload.at("/query/dry_run", "bool_parsing")
    return text in {"true", "1"}


def documented(*kinds: type[Problem]) -> dict[int | str, Schema]:
    """OpenAPI `responses` for the problems a route can answer."""
    by_status: dict[int | str, Schema] = {}
    for kind in kinds:
        entry = by_status.setdefault(
            kind.status,
            {
                "description": "",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        )
        entry["description"] = ", ".join(filter(None, [entry["description"], f"`{kind.type}`"]))
    return by_status


GUARDED = documented(
    problems.Unauthenticated,
    problems.Forbidden,
    problems.MalformedBody,
    problems.InvalidPayload,
    problems.Unexpected,
)
"""What every guarded route can answer besides its own problems."""


def etag(version: int) -> str:
    """A record's ETag, from its version."""
    return f'"{version}"'


Record = TypeVar("Record", bound=Versioned)


def tagged(response: Response, record: Record) -> Record:
    """What is answered about a record; the answer's ETag is its version."""
    response.headers["ETag"] = etag(record.version)
    return record


def version_of(if_match: str) -> int:
    """The version an If-Match header names.

    Raises:
        PreconditionFailed: the header is not one of our ETags, so it cannot match.
    """
    digits = if_match.strip().removeprefix("W/").strip('"')
    # a version is an integer of PostgreSQL, and no record is changed a thousand million times
    if len(digits) > 9 or not digits.isascii() or not digits.isdigit():
        raise problems.PreconditionFailed
    return int(digits)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON by orjson, for hot routes and prepared answers."""
    return Response(orjson.dumps(content), status, headers, "application/json")
