"""Uploads of repair orders: taken in as a stream, worked off by the worker, resumed where a crash left them."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from functools import partial
from typing import BinaryIO
from uuid import UUID

import asyncpg
import orjson
from pgqueuer import AsyncpgDriver, Queries

from app.audit import service as audit
from app.audit.models import Action
from app.core.db import Database, new_id
from app.core.problems import PayloadTooLarge
from app.core.tabular import Rejection, Row, Unreadable, csv_rows
from app.visits.rules import COLUMNS
from app.visits.service import Done, Sink, import_orders

ENTRYPOINT = "import_orders"
FORMATS = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/gzip": "csv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}
_PIECE = 1 << 20


class Overtaken(Exception):
    """Another worker goes on with the job: this one's chunk was not posted."""


async def accept(
    db: Database, stream: AsyncIterator[bytes], *, format: str, owner: str, dealer_code: str | None, dry_run: bool,
    limit_mib: int, now: datetime,
) -> UUID:  # fmt: skip
    """Keep an upload and queue its job, in one transaction; the job's id.

    Raises:
        PayloadTooLarge: more than `limit_mib`.
    """
    job_id = new_id()
    # a slow sender fills a file, not a transaction
    with tempfile.SpooledTemporaryFile(max_size=_PIECE) as file:
        size = 0
        async for part in stream:
            size += len(part)
            if size > limit_mib << 20:
                raise PayloadTooLarge(limit_mib=limit_mib)
            file.write(part)
        file.seek(0)
        async with db.transaction() as connection:
            await connection.execute(
                """INSERT INTO import_job (id, owner, dealer_code, format, dry_run, status, bytes, line, read, posted,
                                           already_known, refused, points, created_at)
                   VALUES ($1, $2, $3, $4, $5, 'queued', $6, 0, 0, 0, 0, 0, 0, $7)""",
                job_id, owner, dealer_code, format, dry_run, size, now,
            )  # fmt: skip
            for seq, piece in enumerate(iter(partial(file.read, _PIECE), b"")):
                await connection.execute(
                    "INSERT INTO import_chunk (job_id, seq, content) VALUES ($1, $2, $3)", job_id, seq, piece
                )
            await Queries(AsyncpgDriver(connection)).enqueue(ENTRYPOINT, str(job_id).encode())
            await audit.record(connection, Action.IMPORTED, "import_job", [job_id], changes={"bytes": (None, size)})
    return job_id


async def work_off(db: Database, job_id: UUID, now: datetime) -> None:
    """Post an upload's orders from where it stands; a job that has ended is left alone.

    Raises:
        Overtaken: this worker was not heard of for too long, and another goes on.
    """
    job = await db.pool.fetchrow(
        "UPDATE import_job SET status = 'running' WHERE id = $1 AND status IN ('queued', 'running') RETURNING *",
        job_id,
    )
    if job is None:
        return
    fault = None
    with tempfile.TemporaryFile() as file:
        await _spool(db.pool, job_id, file)
        rows = (row for row in _rows(file, job["format"]) if row.line > job["line"])
        note = _progress(job_id, job["line"])
        try:
            report, rejections = await import_orders(
                db, rows, actor=job["owner"], now=now, only_dealer=job["dealer_code"],
                sink=None if job["dry_run"] else note, dry_run=job["dry_run"],
            )  # fmt: skip
            rehearsed = Done(report, rejections, 0) if job["dry_run"] else None
        except Unreadable as error:
            fault, rehearsed = str(error), None
    async with db.transaction() as connection:
        if rehearsed:
            await note(connection, rehearsed)
        await connection.execute(
            "UPDATE import_job SET status = $2, fault = $3, finished_at = $4 WHERE id = $1",
            job_id, "failed" if fault else "done", fault, now,
        )  # fmt: skip
        await connection.execute("DELETE FROM import_chunk WHERE job_id = $1", job_id)


async def give_up(db: Database, job_id: UUID, now: datetime) -> None:
    """Mark a job failed that broke down: its fault is ours, not the file's."""
    await db.pool.execute(
        "UPDATE import_job SET status = 'failed', fault = $2, finished_at = $3 WHERE id = $1 AND status = 'running'",
        job_id, "an unexpected error; what was posted stands: send the file again", now,
    )  # fmt: skip


async def _spool(pool: asyncpg.Pool, job_id: UUID, file: BinaryIO) -> None:
    seq = 0
    while (
        content := await pool.fetchval("SELECT content FROM import_chunk WHERE job_id = $1 AND seq = $2", job_id, seq)
    ) is not None:
        file.write(content)
        seq += 1
    file.seek(0)


def _rows(file: BinaryIO, format: str) -> Iterator[Row]:
    return json_rows(file) if format == "jsonl" else csv_rows(file, COLUMNS)


def json_rows(file: BinaryIO) -> Iterator[Row]:
    """The rows of JSON lines: one object a line, its values as CSV would have them."""
    for number, line in enumerate(file, start=1):
        if text := line.strip():
            yield _json_row(number, text)


def _json_row(number: int, text: bytes) -> Row:
    raw = [text.decode(errors="replace")]
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Row(number, raw, f"not JSON: {error}")
    if not isinstance(values, dict):
        return Row(number, raw, "must be a JSON object")
    if missing := [name for name in COLUMNS if name not in values]:
        return Row(number, raw, f"lacks {', '.join(missing)}")
    if wrong := [name for name in COLUMNS if type(values[name]) not in (str, int, float)]:
        return Row(number, raw, f"{', '.join(wrong)}: must be text or a number")
    return Row(
        number,
        [value if isinstance(value := values[name], str) else orjson.dumps(value).decode() for name in COLUMNS],
    )


def _progress(job_id: UUID, line: int) -> Sink:
    async def note(connection: asyncpg.Connection, done: Done) -> None:
        nonlocal line
        r = done.report
        updated = await connection.execute(
            """UPDATE import_job SET line = $2, read = read + $3, posted = posted + $4,
                      already_known = already_known + $5, refused = refused + $6, points = points + $7
                WHERE id = $1 AND line = $8 AND status = 'running'""",
            job_id, done.last_line, r.read, r.posted, r.already_known, r.refused, r.points, line,
        )  # fmt: skip
        if updated != "UPDATE 1":
            raise Overtaken
        line = done.last_line
        await connection.copy_records_to_table(
            "import_rejection", records=[(job_id, *rejection) for rejection in done.rejections],
            columns=["job_id", *Rejection._fields],
        )  # fmt: skip

    return note
