"""Uploads of orders and deliveries: taken in as a stream, worked off by the worker, resumed where a crash left them."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from io import SEEK_END
from itertools import islice
from typing import BinaryIO, NamedTuple
from uuid import UUID

import asyncpg
import orjson
from pgqueuer import AsyncpgDriver, Queries
from pgqueuer.models import Job

from app.audit import service as audit
from app.audit.models import Action
from app.core import uploads, workbooks
from app.core.db import Connection, Database, insert_rows, new_id
from app.core.tabular import MOST_LINE, Rejection, Row, lines, rows_of
from app.core.unreadable import Unreadable, row_fault
from app.core.vault import Vault
from app.settings import Settings
from app.visits import deliveries_rules, queries
from app.visits.deliveries import import_deliveries
from app.visits.problems import TooManyImports
from app.visits.rules import COLUMNS, MILEAGE
from app.visits.service import MOST_REFUSED, Done, OrderReport, Sink, import_orders

ENTRYPOINT = "import_orders"
FORMATS = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/gzip": "csv",
    workbooks.MEDIA_TYPE: "csv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}
_PIECE = 1 << 20
MOST_REHEARSED = 200_000
"""Rows of a dry run, which keeps all its orders in memory."""
MOST_TAKEN_OVER = 5
"""Workers that may die over one job."""


class Limits(NamedTuple):
    """What a job is held to: the most of one order (fen), and of the file once unpacked (MiB); None: anything."""

    most_fen: int | None = None
    most_mib: int | None = None


UNLIMITED = Limits()


Imported = tuple[OrderReport, list[Rejection]]


async def _orders(
    db: Database, rows: Iterator[Row], job: asyncpg.Record, now: datetime, sink: Sink | None, limits: Limits
) -> Imported:
    return await import_orders(
        db, rows, actor=job["owner"], now=now, only_dealers=_dealers_of(job), sink=sink, dry_run=job["dry_run"],
        most_fen=limits.most_fen, most_refused=MOST_REFUSED - job["refused"],
    )  # fmt: skip


async def _deliveries(
    db: Database, rows: Iterator[Row], job: asyncpg.Record, now: datetime, sink: Sink | None, _: Limits
) -> Imported:
    report, rejections = await import_deliveries(
        db, rows, now=now, only_dealers=_dealers_of(job), sink=sink, dry_run=job["dry_run"],
        most_refused=MOST_REFUSED - job["refused"],
    )  # fmt: skip
    return OrderReport(**report.model_dump()), rejections


class Kind(NamedTuple):
    """What an upload can hold. Objects of JSON lines may leave out or null what is `optional`; of `personal` ones
    the pieces and the refused rows are kept sealed."""

    columns: Sequence[str]
    run: Callable[[Database, Iterator[Row], asyncpg.Record, datetime, Sink | None, Limits], Awaitable[Imported]]
    optional: frozenset[str] = frozenset()
    is_personal: bool = False
    extra: str | None = None
    """A column that files may have besides, the last."""


ORDERS, DELIVERIES = "orders", "deliveries"
KINDS = {
    ORDERS: Kind(COLUMNS, _orders, extra=MILEAGE),
    DELIVERIES: Kind(deliveries_rules.COLUMNS, _deliveries, deliveries_rules.OPTIONAL, is_personal=True),
}


class Overtaken(Exception):
    """Another worker goes on with the job: this one's chunk was not posted."""


async def accept(
    db: Database, stream: AsyncIterator[bytes], *, format: str, owner: str, dealer_code: str | None,
    only_dealers: frozenset[str] | None, dry_run: bool, most_fen: int | None, settings: Settings, now: datetime,
    kind: str = ORDERS,
) -> UUID:  # fmt: skip
    """Keep an upload and queue its job, in one transaction; the job's id.

    Raises:
        PayloadTooLarge: more than the settings allow.
        TooManyImports: the owner's earlier ones wait still.
    """
    job_id = new_id()
    async with db.transaction() as connection:
        # before the body is read, too
        await _require_few(connection, owner, 0, settings)
    async with uploads.received(stream, settings.upload_max_mib) as file:
        size = file.seek(0, SEEK_END)
        async with db.transaction() as connection:
            await _require_few(connection, owner, size, settings)
            await connection.execute(
                """INSERT INTO import_job (id, owner, dealer_code, format, dry_run, status, bytes, line, read, posted,
                                           already_known, refused, points, created_at, only_dealers, kind)
                   VALUES ($1, $2, $3, $4, $5, 'queued', $6, 0, 0, 0, 0, 0, 0, $7, $8, $9)""",
                job_id, owner, dealer_code, format, dry_run, size, now,
                None if only_dealers is None else sorted(only_dealers), kind,
            )  # fmt: skip
            await _keep(connection, job_id, file, db.vault if KINDS[kind].is_personal else None)
            await Queries(AsyncpgDriver(connection)).enqueue(
                ENTRYPOINT, str(job_id).encode(), headers={} if most_fen is None else {"most_fen": str(most_fen)}
            )
            await audit.record(connection, Action.IMPORTED, "import_job", [job_id], changes={"bytes": (None, size)})
    return job_id


async def _keep(connection: asyncpg.Connection, job_id: UUID, file: BinaryIO, vault: Vault | None) -> None:
    """Write an upload's pieces, sealed if there is a vault."""
    file.seek(0)
    for seq, piece in enumerate(iter(partial(file.read, _PIECE), b"")):
        await connection.execute(
            "INSERT INTO import_chunk (job_id, seq, content) VALUES ($1, $2, $3)",
            job_id, seq, _sealed(vault, piece) if vault else piece,
        )  # fmt: skip


async def _require_few(connection: asyncpg.Connection, owner: str, size: int, settings: Settings) -> None:
    count, waiting = await queries.lock_waiting(connection, owner)
    if count >= settings.imports_waiting or waiting + size > settings.imports_waiting_mib << 20:
        raise TooManyImports(limit=settings.imports_waiting, limit_mib=settings.imports_waiting_mib)


def limits_of(queued: Job, settings: Settings) -> Limits:
    """What a queued job is held to: as its sender was, and as the worker is."""
    sent = (queued.headers or {}).get("most_fen")
    return Limits(None if sent is None else int(str(sent)), settings.unpacked_max_mib)


async def broke_off(db: Database, queued: Job, job_id: UUID) -> int:
    """How many workers have died over a job; retries that a worker asked for do not count."""
    picks = await queries.picks_of_running(db.pool, queued.id, job_id)
    return max(0, picks - 1 - queued.attempts)


async def work_off(db: Database, job_id: UUID, now: datetime, limits: Limits = UNLIMITED) -> None:
    """Post an upload's rows from where it stands; a job that has ended is left alone.

    Raises:
        Overtaken: this worker was not heard of for too long, and another goes on.
    """
    job = await db.pool.fetchrow(
        "UPDATE import_job SET status = 'running' WHERE id = $1 AND status IN ('queued', 'running') RETURNING *",
        job_id,
    )
    if job is None:
        return
    fault, kind = None, KINDS[job["kind"]]
    with tempfile.TemporaryFile() as file:
        await _spool(db, job_id, file, kind)
        rows = (row for row in _rows(file, job["format"], kind, limits.most_mib) if row.line > job["line"])
        note = _progress(job_id, job["line"])
        if kind.is_personal:
            note = _sealing(db.vault, note)
        try:
            report, rejections = await kind.run(
                db, _rehearsable(rows) if job["dry_run"] else rows, job, now, None if job["dry_run"] else note, limits
            )
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


def _dealers_of(job: asyncpg.Record) -> frozenset[str] | None:
    if job["only_dealers"] is not None:
        return frozenset(job["only_dealers"])
    # accepted by an earlier release
    return frozenset((job["dealer_code"],)) if job["dealer_code"] else None


def _rehearsable(rows: Iterator[Row]) -> Iterator[Row]:
    yield from islice(rows, MOST_REHEARSED)
    if next(rows, None) is not None:
        raise Unreadable("too_many_rehearsed", limit=MOST_REHEARSED)


async def give_up(db: Database, job_id: UUID, now: datetime) -> None:
    """Mark a job failed that broke down: its fault is ours, not the file's."""
    async with db.transaction() as connection:
        await connection.execute(
            """UPDATE import_job SET status = 'failed', fault = $2, finished_at = $3
                WHERE id = $1 AND status = 'running'""",
            job_id, "an unexpected error; what was posted stands: send the file again", now,
        )  # fmt: skip
        await connection.execute("DELETE FROM import_chunk WHERE job_id = $1", job_id)


async def _spool(db: Database, job_id: UUID, file: BinaryIO, kind: Kind) -> None:
    piece, seq = "SELECT content FROM import_chunk WHERE job_id = $1 AND seq = $2", 0
    while (content := await db.pool.fetchval(piece, job_id, seq)) is not None:
        file.write(_opened(db.vault, content) if kind.is_personal else content)
        seq += 1
    file.seek(0)


def _sealed(vault: Vault, piece: bytes) -> bytes:
    # the vault seals texts: one character a byte
    return vault.seal(piece.decode("latin-1"))


def _opened(vault: Vault, sealed: bytes) -> bytes:
    return vault.open(sealed).encode("latin-1")


def _sealing(vault: Vault, note: Sink) -> Sink:
    async def sealed(connection: asyncpg.Connection, done: Done) -> None:
        hidden = [refused._replace(row=vault.seal(refused.row).decode()) for refused in done.rejections]
        await note(connection, done._replace(rejections=hidden))

    return sealed


async def rejections(connection: Connection, vault: Vault, job_id: UUID, kind: str) -> list[Rejection]:
    """A job's refused rows by line, as they came."""
    rows = await queries.rejections(connection, job_id)
    if not KINDS[kind].is_personal:
        return rows
    return [refused._replace(row=vault.open(refused.row.encode())) for refused in rows]


def _rows(file: BinaryIO, format: str, kind: Kind, most_mib: int | None) -> Iterator[Row]:
    if format == "jsonl":
        return json_rows(file, kind, most_mib)
    return rows_of(file, kind.columns, most_mib, optional=[kind.extra] if kind.extra else [])


def json_rows(file: BinaryIO, kind: Kind, most_mib: int | None = None) -> Iterator[Row]:
    """The rows of JSON lines: one object a line, its values as CSV would have them.

    Raises:
        Unreadable: more than `most_mib`, or blank lines without end.
    """
    for number, line in enumerate(lines(file, b"\r\n", most_mib), start=1):
        if text := line.strip():
            yield _json_row(number, text, kind)


def _json_row(number: int, text: bytes, kind: Kind) -> Row:
    raw = [text.decode(errors="replace")]
    if len(text) > MOST_LINE:
        return Row(number, raw, row_fault("bytes", limit=MOST_LINE))
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Row(number, raw, row_fault("json", fault=error))
    if not isinstance(values, dict):
        return Row(number, raw, row_fault("object"))
    values |= {name: "" for name in kind.optional if values.get(name) is None}
    extra = [kind.extra] if kind.extra is not None and values.get(kind.extra) is not None else []
    columns = [*kind.columns, *extra]
    if missing := [name for name in columns if name not in values]:
        return Row(number, raw, row_fault("lacks", names=", ".join(missing)))
    if wrong := [name for name in columns if type(values[name]) not in (str, int, float)]:
        return Row(number, raw, row_fault("values", names=", ".join(wrong)))
    return Row(
        number,
        [value if isinstance(value := values[name], str) else orjson.dumps(value).decode() for name in columns],
    )


def _progress(job_id: UUID, line: int) -> Sink:
    async def note(connection: asyncpg.Connection, done: Done) -> None:
        nonlocal line
        r = done.report
        updated = await connection.execute(
            """UPDATE import_job SET line = $2, read = read + $3, posted = posted + $4,
                      already_known = already_known + $5, refused = refused + $6, points = points + $7,
                      parked = parked + $9
                WHERE id = $1 AND line = $8 AND status = 'running'""",
            job_id, done.last_line, r.read, r.posted, r.already_known, r.refused, r.points, line,
            r.parked,
        )  # fmt: skip
        if updated != "UPDATE 1":
            raise Overtaken
        line = done.last_line
        if done.rejections:
            records = [(job_id, *rejection) for rejection in done.rejections]
            await insert_rows(connection, "import_rejection", ["job_id", *Rejection._fields], records)

    return note
