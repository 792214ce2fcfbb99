"""The API as tests call it: in process, with tokens, every answer held against the OpenAPI document."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from app.core.actors import Actor, Role
from app.core.db import Database
from app.main import create_app
from app.settings import Settings
from tests.now import NOW

DATA_KEY = "dGVzdHMtc2VhbC13aXRoLXRoaXMtYW5kLW5vdGhpbmc="
UNLIMITED = "1000000/second"
SETTINGS = Settings(
    secret="tests-sign-with-this-and-nothing-else", database_url=None, data_keys=(DATA_KEY,),
    rate_address=UNLIMITED, rate_account=UNLIMITED, rate_client=UNLIMITED, access_log="none",
    rate_sign_in_codes=UNLIMITED, rate_all_sign_in_codes=UNLIMITED, rate_sign_in_failures=UNLIMITED,
    rate_lookups=UNLIMITED, rate_lookup_misses=UNLIMITED, rate_wrong_codes=UNLIMITED,
)  # fmt: skip


class Api:
    """A client for one app; `now` can be moved."""

    def __init__(self, app: FastAPI, http: httpx.AsyncClient) -> None:
        self.app = app
        self.http = http

    @property
    def db(self) -> Database:
        """The app's own connections."""
        database: Database = self.app.state.db
        return database

    def token(
        self,
        role: Role,
        *,
        dealer: str | None = None,
        member: UUID | None = None,
        region: str | None = None,
        partner: str | None = None,
        agency: str | None = None,
        scopes: str = "",
        subject: str = "",
    ) -> str:
        """A bearer token for a made-up actor."""
        name = subject or f"{role}:{dealer or member or region or partner or agency or 'all'}"
        actor = Actor(name, role, dealer, member, frozenset(scopes.split()), region, partner, agency_code=agency)
        return str(self.app.state.tokens.issue(actor, timedelta(hours=1))[0])

    async def call(
        self, method: str, path: str, token: str | None = None, *, key: str | None = None,
        headers: dict[str, str] | None = None, **options: Any,
    ) -> httpx.Response:  # fmt: skip
        """One request under /api/v1; fails when the answer's status is not documented."""
        sent = dict(headers or {})
        if key:
            sent["Idempotency-Key"] = key
        return await self.request(method, f"/api/v1{path}", token=token, headers=sent, **options)

    async def request(
        self, method: str, url: str, *, token: str | None, headers: dict[str, str], **options: Any
    ) -> httpx.Response:
        """One request to any URL; fails when the answer's status is not documented."""
        if token:
            headers = headers | {"Authorization": f"Bearer {token}"}
        response = await self.http.request(method, url, headers=headers, **options)
        self._require_documented(method, httpx.URL(url).path, response.status_code)
        return response

    def _require_documented(self, method: str, path: str, status: int) -> None:
        # a parameter may hold slashes, as an order's number does; it is the exception, so tried last
        for parameter in ("[^/]+", ".+"):
            for template, operations in self.app.openapi()["paths"].items():
                if re.fullmatch(re.sub(r"\{[^}]+\}", parameter, template), path) and method.lower() in operations:
                    responses = operations[method.lower()]["responses"]
                    assert str(status) in responses, f"{method} {template} answered {status}, undocumented"
                    return
        assert status in {404, 405}, f"{method} {path} answered {status}, and is not in the document"


@asynccontextmanager
async def running_api(dsn: str, *, now: datetime = NOW, settings: Settings = SETTINGS) -> AsyncIterator[Api]:
    """The app over a database, with its own lifespan."""
    app = create_app(settings, dsn, clock=lambda: app.state.now)
    app.state.now = now
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://club.test"
        ) as client,
    ):
        yield Api(app, client)
