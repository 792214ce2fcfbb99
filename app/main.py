"""The API: create_app() joins routers, problems, and the connections that live as long as the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from sqlalchemy.orm import configure_mappers
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

import app.wiring  # noqa: F401 (what upper domains give to lower ones)
from app.audit import refusals
from app.audit.router import router as audit
from app.chapters.documents_router import router as documents
from app.chapters.materials_router import router as materials
from app.chapters.officers_router import router as officers
from app.chapters.router import router as chapters
from app.core import answers, edge, express, http, process
from app.core.clock import Clock, system_clock
from app.core.db import Database
from app.core.outbound import Detached, client
from app.core.sms import sender
from app.core.vault import vault_of
from app.earning.awards_router import router as awards
from app.earning.router import router as earning
from app.earning.rules_router import router as rules
from app.earning.tiers_router import router as tiers
from app.events.aftermath_router import router as aftermath
from app.events.calendar_router import router as calendar
from app.events.check_in_router import router as check_ins
from app.events.contests_router import router as contests
from app.events.desk import Desk
from app.events.finding_router import router as found_events
from app.events.invitations_router import router as invitations
from app.events.money_router import router as event_money
from app.events.registration_router import busiest as seats
from app.events.registration_router import router as registrations
from app.events.router import router as events
from app.identity.accounts_router import router as accounts
from app.identity.credentials_router import router as credentials
from app.identity.oauth_router import router as oauth
from app.identity.oidc import Provider
from app.identity.oidc_router import router as oidc
from app.identity.router import router as identity
from app.identity.seals import Seals
from app.identity.session_router import keys
from app.identity.session_router import router as sessions
from app.identity.sessions import Sessions
from app.identity.tokens import Tokens
from app.members.attributes_router import router as attributes
from app.members.cards_router import router as cards
from app.members.claims_router import router as claims
from app.members.files_router import router as member_files
from app.members.merging_router import router as merges
from app.members.profiles_router import router as profiles
from app.members.queries import actor_by_id
from app.members.reviews_router import router as reviews
from app.members.router import router as members
from app.members.segments_router import router as segments
from app.members.sign_in_router import access as member_access
from app.members.sign_in_router import router as member_sign_in
from app.members.transfers_router import router as transfers
from app.members.vehicles_router import router as vehicles
from app.members.wechat import mini_program
from app.partners.claims_router import router as perk_claims
from app.partners.figures_router import router as perk_figures
from app.partners.perks_router import router as perks
from app.partners.router import router as partners
from app.partners.vouchers_router import page as till
from app.partners.vouchers_router import router as vouchers
from app.points.router import router as points
from app.privacy.router import router as privacy
from app.referrals.figures_router import router as referral_figures
from app.referrals.incentives_router import router as incentives
from app.referrals.router import router as referrals
from app.reports.router import router as reports
from app.reports.signals_router import router as signals
from app.rewards.catalogue_router import router as rewards_catalogue
from app.rewards.codes import Codes
from app.rewards.guard import Guard
from app.rewards.orders_router import router as reward_orders
from app.rewards.router import busiest as redemptions
from app.rewards.router import router as rewards
from app.rewards.vouchers_router import router as counter_vouchers
from app.settings import Settings
from app.settlement.router import router as settlement
from app.visits.deliveries_router import router as deliveries
from app.visits.recruitment_router import router as recruitment
from app.visits.router import router as visits

PREFIX = "/api/v1"
# tried in this order, so the busiest come first
ROUTERS = (
    earning, redemptions, seats,
    rewards, points, visits, member_files, reviews, members, chapters, settlement, identity,
    sessions, accounts, credentials, oidc, audit, privacy, member_sign_in, member_access, segments,
    rules, awards, tiers, profiles, attributes, cards, vehicles, claims,
    deliveries, recruitment, transfers, merges, officers,
    registrations, check_ins, events, event_money, invitations, found_events, aftermath, contests, calendar,
    referral_figures, incentives, signals, reports, materials, documents, rewards_catalogue, reward_orders,
    counter_vouchers, referrals,
    partners, perks, vouchers, perk_figures, perk_claims,
)  # fmt: skip


def create_app(settings: Settings, dsn: str, *, clock: Clock = system_clock) -> FastAPI:
    """The service over the database at `dsn`."""
    app = FastAPI(
        title="Owner club API",
        version="1",
        summary="Members, points, redemption and settlement of an owner club (车友汇).",
        lifespan=partial(_connected, settings=settings, dsn=dsn, clock=clock),
        generate_unique_id_function=_operation_id,
        docs_url=None,
        redoc_url=None,
        # spans that nobody collects cost a twentieth of a posting
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    _equip(app, settings, clock)
    express.install(app, ROUTERS, PREFIX)
    edge.install(app, settings)
    answers.install(app, edge.headers(settings))
    edge.open_to(app, settings.cors_origins)
    refusals.watch(app)
    for router in ROUTERS:
        # not by way of a router of their own: FastAPI matches a request twice on each level
        app.include_router(router, prefix=PREFIX)
    app.include_router(keys)
    app.include_router(oauth)
    app.include_router(till)
    app.get("/health", tags=["service"], name="service_health", response_model=dict[str, str])(_health)
    app.mount("/docs/assets", StaticFiles(packages=[("swagger_ui", "static")]))
    app.get("/docs", include_in_schema=False, response_class=HTMLResponse)(_docs)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _connected(app: FastAPI, *, settings: Settings, dsn: str, clock: Clock) -> AsyncIterator[None]:
    """What lives as long as the process: connections to the database, to others, and who watches for ended sessions."""
    async with (
        Database.open(
            dsn,
            vault=vault_of(settings),
            pool_size=settings.pool_size,
            session_pool_size=settings.session_pool_size,
        ) as app.state.db,
        app.state.sessions.watching(app.state.db, clock),
    ):
        # else the first request to use the tables would wait for it
        configure_mappers()
        process.settle_heap()
        async with client(settings.outbound_seconds) as calls:
            app.state.sms = sender(settings, calls, clock)
            app.state.wechat = mini_program(settings, calls, clock)
            yield
            await app.state.detached.finish()


def _equip(app: FastAPI, settings: Settings, clock: Clock) -> None:
    """Give the app what its routes ask it for, as far as it needs no connection."""
    app.state.settings = settings
    app.state.clock = clock
    app.state.tokens = Tokens(*settings.signing_keys, clock=clock)
    app.state.seals = Seals(settings.signing_keys)
    app.state.oidc = Provider(settings)
    app.state.sessions = Sessions(app.state.tokens, settings, actor_by_id)
    app.state.authenticate = app.state.tokens.actor
    app.state.codes = Codes(settings.signing_key)
    app.state.guard = Guard(app.state.seals, settings)
    app.state.desk = Desk()
    app.state.detached = Detached()


def from_environment() -> FastAPI:
    """The app as uvicorn's processes make it: CLUB_DATABASE_URL names the database."""
    settings = Settings()
    process.begin(settings.log_format)
    assert settings.database_url is not None
    return create_app(settings, settings.database_url.get_secret_value())


async def _health(pool: http.Postings) -> dict[str, str]:
    """Whether the service answers and reaches its database."""
    await pool.fetchval("SELECT 1")
    return {"status": "ok"}


async def _docs() -> HTMLResponse:
    """Swagger UI from our own disk: FastAPI's page would fetch it from another host."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Owner club API",
        swagger_js_url="/docs/assets/swagger-ui-bundle.js",
        swagger_css_url="/docs/assets/swagger-ui.css",
        swagger_favicon_url="/docs/assets/favicon-32x32.png",
    )
    page.headers["Content-Security-Policy"] = edge.page_policy(bytes(page.body))
    return page


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = answers.PROBLEM_SCHEMA
        # FastAPI's own validation answer is not what we send
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        edge.document(schema)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for parameter in operation.get("parameters", ()):
                    parameter["required"] |= parameter["schema"].pop("x-required", False)
        app.openapi_schema = schema
    return app.openapi_schema
