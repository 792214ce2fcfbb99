"""Uploads over HTTP, whatever they hold: taken in, asked after, and their refused rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import queries as chapters
from app.core import workbooks
from app.core.actors import Actor, Reach, Role
from app.core.db import Connection, Database, raw
from app.core.http import documented
from app.core.problems import NotFound, PayloadTooLarge
from app.core.tabular import rejected_csv
from app.core.vault import Vault
from app.settings import Settings
from app.visits import jobs, queries
from app.visits.problems import TooManyImports, UnknownFormat

TAKEN = documented(PayloadTooLarge, UnknownFormat, TooManyImports)
REJECTED = documented(NotFound) | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


def upload(columns: Sequence[str]) -> dict[str, Any]:
    """The OpenAPI of a request whose body is a file with these columns."""
    content = {
        "text/csv": {"schema": {"type": "string"}, "example": ",".join(columns)},
        "application/gzip": {"schema": {"type": "string", "format": "binary"}},
        workbooks.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
    }
    return {"requestBody": {"required": True, "content": content}}


async def take(
    request: Request, actor: Actor, db: Database, settings: Settings, now: datetime, kind: str, *,
    dry_run: bool, most_fen: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Keep the file in a request's body and queue its job.

    Raises:
        UnknownFormat: it is none of `jobs.FORMATS`.
        PayloadTooLarge, TooManyImports: as `jobs.accept` says.
    """
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in jobs.FORMATS:
        raise UnknownFormat
    job_id = await jobs.accept(
        db, request.stream(), kind=kind, format=jobs.FORMATS[media_type], owner=actor.subject,
        dealer_code=actor.dealer_code, only_dealers=await chapters.reached(db.pool, actor), dry_run=dry_run,
        most_fen=most_fen, settings=settings, now=now,
    )  # fmt: skip
    return dict(await queries.job(db.pool, job_id, kind=kind))


async def read(connection: Connection, actor: Actor, job_id: UUID, kind: str) -> asyncpg.Record:
    """A job of a kind: one's own, headquarters sees all.

    Raises:
        NotFound.
    """
    is_headquarters = actor.reach is Reach.ALL and actor.role is not Role.API_CLIENT
    owner = None if is_headquarters else actor.subject
    return await queries.job(connection, job_id, owner, await chapters.reached(connection, actor), kind)


async def rejected(session: AsyncSession, vault: Vault, actor: Actor, job_id: UUID, kind: str) -> Response:
    """A job's refused rows as CSV, which is an export.

    Raises:
        NotFound.
    """
    connection = await raw(session)
    await read(connection, actor, job_id, kind)
    rows = await jobs.rejections(connection, vault, job_id, kind)
    await audit.record(connection, Action.EXPORTED, "import_job", [job_id], changes={"rows": (None, len(rows))})
    return Response(
        rejected_csv(rows),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="rejected.csv"'},
    )
