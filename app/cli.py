"""The `club` command. Any command starts the embedded server when CLUB_DATABASE_URL names no other."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from app import demo as demonstration
from app import wiring, worker
from app.chapters import imports as dealers
from app.core import embedded, migrations, tabular
from app.core.clock import china_date, system_clock
from app.core.db import Database
from app.core.problems import Problem
from app.identity import service as identity
from app.identity.tokens import Tokens
from app.members import imports as members
from app.members import queries as member_queries
from app.points import ledger, totals
from app.settings import Settings
from app.settlement import service as settlement
from app.visits import service as visits
from app.visits.rules import COLUMNS as ORDER_COLUMNS

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The owner club's service and its books.",
)
console = Console()
Result = TypeVar("Result")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


class ImportKind(StrEnum):
    """What a file holds."""

    DEALERS = "dealers"
    MEMBERS = "members"
    ORDERS = "orders"


def fail(message: str, code: int = 1) -> NoReturn:
    """Leave with a word on stderr."""
    Console(stderr=True).print(f"club: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def main() -> None:
    """Run the command line; SIGTERM ends it like Ctrl-C, through every `finally`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    app()


@contextmanager
def books(settings: Settings) -> Iterator[str]:
    """The DSN of a migrated database: the one configured, or the embedded server's, held while in use."""
    with _server(settings) as dsn:
        if settings.database_url is None:
            run(_migrate(dsn, settings))
        elif not run(migrations.is_current(dsn)):
            fail("the database's schema is not this release's: run `club migrate`")
        yield dsn


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    try:
        with embedded.server(settings.data_dir) as dsn:
            yield dsn
    except embedded.EmbeddedServerError as error:
        fail(str(error))


async def _migrate(dsn: str, settings: Settings) -> None:
    await migrations.migrate(dsn)
    await wiring.open_books(dsn, settings.first_period, settings.rate_fen_per_thousand)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run async work; a refusal or an unreachable database leaves with a clear word."""
    try:
        return asyncio.run(work)
    except Problem as problem:
        fail(str(problem))
    except (tabular.Unreadable, migrations.UnsuitableServer) as error:
        fail(str(error))
    except OSError as error:
        fail(f"the database cannot be reached: {error}")


async def _with_database(dsn: str, work: Callable[[Database], Coroutine[Any, Any, Result]]) -> Result:
    async with Database.open(dsn) as database:
        return await work(database)


def _period(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise typer.BadParameter("must be a month such as 2026-10") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("must be a date such as 2026-10-31") from None


@app.command()
def migrate() -> None:
    """Bring the database's schema up to this release and open the books."""
    settings = Settings()
    with _server(settings) as dsn:
        run(_migrate(dsn, settings))
    console.print("schema up to date")


@app.command()
def serve() -> None:
    """Serve the API on CLUB_HOST:CLUB_PORT with CLUB_WORKERS processes."""
    settings = Settings()
    with books(settings) as dsn:
        serve_api(settings, dsn)


def serve_api(settings: Settings, dsn: str) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    _require_free_port(settings)
    # worker processes read their settings anew
    os.environ |= {
        "CLUB_DATABASE_URL": dsn,
        "CLUB_SECRET": settings.signing_key.decode(),
        "CLUB_SMS": settings.sms,
    }
    uvicorn.run(
        "app.main:from_environment", factory=True, host=settings.host, port=settings.port, workers=settings.workers,
        loop="uvloop", http="httptools", access_log=False, log_level="warning", timeout_graceful_shutdown=10,
        server_header=False,
    )  # fmt: skip


def _require_free_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            fail(f"port {settings.port} on {settings.host} cannot be used ({error.strerror}): set CLUB_PORT to another")


@app.command(name="worker")
def work() -> None:
    """Work off imports and run the nightly schedule, until Ctrl-C or SIGTERM."""
    with books(Settings()) as dsn:
        run(worker.run(dsn))


@app.command()
def demo(serve: Annotated[bool, typer.Option(help="serve the API when the past is settled")] = True) -> None:
    """Load the shipped network and purchases, settle every past month, then serve the API."""
    settings = Settings().model_copy(update={"sms": "console"})
    if serve:
        _require_free_port(settings)
    with books(settings) as dsn:
        run(demonstration.run(dsn, settings, console))
        if serve:
            with demonstration.background_worker(dsn, settings):
                console.print(run(demonstration.welcome(dsn, settings)), highlight=False, soft_wrap=True)
                serve_api(settings, dsn)


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="a username, a program's name or a member number")],
) -> None:
    """Print a short access token for an existing account or member."""
    settings = Settings()

    async def issue(database: Database) -> str | None:
        async with database.session() as session:
            account = await identity.find(session, subject)
        actor = (
            identity.actor_of(account)
            if account and account.is_active
            else await member_queries.actor(database.pool, subject)
        )
        lifetime = timedelta(minutes=settings.access_token_minutes)
        return Tokens(settings.signing_key, clock=system_clock).issue(actor, lifetime)[0] if actor else None

    with books(settings) as dsn:
        issued = run(_with_database(dsn, issue))
    if issued is None:
        fail(f"there is no active account or member {subject!r}")
    print(issued)


@app.command(name="import")
def import_file(kind: ImportKind, file: Path, as_json: Json = False) -> None:
    """Take in a .csv or .csv.gz file; refused rows go to FILE.rejected.csv."""
    with books(Settings()) as dsn:
        report, rejections = run(_with_database(dsn, lambda database: _import(database, kind, file)))
    rejected = tabular.write_rejected(file, rejections)
    if as_json:
        print(report.model_dump_json())
    else:
        console.print(_sums(f"{file.name}", report.model_dump()))
    if rejected:
        Console(stderr=True).print(f"{len(rejections)} refused rows with their reasons: {rejected}", soft_wrap=True)


async def _import(database: Database, kind: ImportKind, file: Path) -> tuple[tabular.Report, list[tabular.Rejection]]:
    now = system_clock()
    match kind:
        case ImportKind.DEALERS:
            return await dealers.import_dealers(database, tabular.open_rows(file, dealers.COLUMNS), now=now)
        case ImportKind.MEMBERS:
            return await members.import_members(database, tabular.open_rows(file, members.COLUMNS), now=now)
        case ImportKind.ORDERS:
            return await visits.import_orders(database, tabular.open_rows(file, ORDER_COLUMNS), actor="cli", now=now)


@app.command()
def close(
    period: Annotated[date, typer.Argument(parser=_period, metavar="PERIOD", help="a month, e.g. 2026-10")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="compute, write nothing")] = False,
    as_json: Json = False,
) -> None:
    """Seal a month and issue its statements; a sealed month is shown as it is."""
    with books(Settings()) as dsn:
        closing = run(
            _with_database(
                dsn, lambda database: settlement.close(database, period, now=system_clock(), dry_run=dry_run)
            )
        )
    if as_json:
        print(closing.model_dump_json())
    else:
        console.print(_sums(f"{period:%Y-%m}", closing.model_dump()))


@app.command()
def expire() -> None:
    """Book what has matured or lapsed by today (the worker does so every night)."""
    with books(Settings()) as dsn:
        swept = run(_with_database(dsn, lambda database: ledger.sweep(database.pool, now=system_clock())))
    console.print(f"{swept.members} members touched, {swept.points} points expired")


@app.command()
def verify(as_json: Json = False) -> None:
    """Re-derive every invariant of the books; exit 1 and name the rows when one fails."""
    with books(Settings()) as dsn:
        results = run(wiring.verify(dsn))
    failed = {check.name: rows for check, rows in results if rows}
    if as_json:
        print(
            json.dumps(
                {"ok": not failed, "checks": {check.name: rows for check, rows in results}},
                ensure_ascii=False,
            )
        )
    else:
        for check, rows in results:
            console.print(f"{'[red]FAILS[/]' if rows else '[green]holds[/]'}  {check.name}: {check.description}")
            for row in rows:
                console.print(f"         {row}", markup=False, soft_wrap=True)
        console.print(
            f"{len(failed)} of {len(results)} invariants fail" if failed else f"all {len(results)} invariants hold"
        )
    raise typer.Exit(1 if failed else 0)


@app.command(name="totals")
def show_totals(
    as_of: Annotated[date | None, typer.Option("--as-of", parser=_day, metavar="DATE", help="business date")] = None,
    as_json: Json = False,
) -> None:
    """The programme's points by business date."""
    with books(Settings()) as dsn:
        sums = run(_with_database(dsn, lambda database: totals.read(database.pool, as_of)))
    if as_json:
        print(sums.model_dump_json())
    else:
        console.print(_sums(f"as of {as_of or china_date(system_clock())}", sums.model_dump(exclude={"as_of"})))


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, help="how often each path is measured")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=50, help="how long each time")] = 8,
    connections: Annotated[int, typer.Option(min=1, max=256, help="to the service")] = 32,
    as_json: Json = False,
) -> None:
    """Measure the service against its limit (bench/); exit 1 when a mark is missed. docs/performance.md explains it."""
    try:
        from bench import run as benchmark
        from bench.figures import BenchError
    except ImportError:
        fail("bench/ is not installed here: run it from a checkout, `make bench`")
    with _server(Settings()) as dsn:
        try:
            report = benchmark.run(dsn, benchmark.Options(rounds, seconds, connections), Console(stderr=True))
        except BenchError as error:
            fail(str(error))
    if as_json:
        print(json.dumps(report.document(), ensure_ascii=False))
    else:
        console.print(report.table())
    raise typer.Exit(0 if report.passes else 1)


def _sums(title: str, values: dict[str, Any]) -> Table:
    table = Table(title=title, show_header=False)
    for name, value in values.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
    return table


if __name__ == "__main__":
    main()
