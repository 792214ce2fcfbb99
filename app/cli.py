"""The `club` command. Any command starts the embedded server when CLUB_DATABASE_URL names no other."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import asyncpg
import typer
from alembic.util import CommandError
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app import demo as demonstration
from app import serving, wiring, worker
from app.chapters import imports as dealers
from app.chapters import queries as chapters
from app.core import db, embedded, migrations, process, tabular
from app.core.actors import Actor, Role
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

HELP = "The owner club's service and its books."
app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console()
Result = TypeVar("Result")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


class ImportKind(StrEnum):
    """What a file holds."""

    DEALERS = "dealers"
    MEMBERS = "members"
    ORDERS = "orders"


def fail(message: str) -> NoReturn:
    """Leave with a word on stderr and exit code 1."""
    Console(stderr=True).print(f"club: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line. SIGTERM ends it as Ctrl-C does, through every `finally`."""
    process.begin()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()


def configured() -> Settings:
    """The settings; a wrong one leaves with a clear word."""
    try:
        return Settings()
    except ValidationError as error:
        # what was given stays unsaid: it may be a password
        words = [f"CLUB_{fault['loc'][0]}".upper() + f": {fault['msg']}" for fault in error.errors()]
        fail("; ".join(words).replace("Value error, ", ""))


def _key(settings: Settings) -> bytes:
    try:
        return settings.signing_key
    except OSError as error:
        fail(f"CLUB_SECRET is not set, and {error.filename} cannot be used: {error.strerror}")


@contextmanager
def books(settings: Settings, *, migrated: bool = False) -> Iterator[str]:
    """The DSN of a migrated database: the one configured, or the embedded server's, held while in use.

    Args:
        migrated: migrate the configured one too (the embedded server's always is).
    """
    with _server(settings) as dsn:
        if migrated or settings.database_url is None:
            run(_migrate(dsn, settings))
        elif not run(migrations.is_current(dsn)):
            fail("the database's schema is not this release's: run `club migrate`")
        yield dsn


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        run(_reach(dsn))
        yield dsn
        return
    try:
        with embedded.server(settings.data_dir) as dsn, process.undisturbed_end():
            yield dsn
    except embedded.EmbeddedServerError as error:
        fail(str(error))


async def _reach(dsn: str) -> None:
    try:
        connection = await db.connect(dsn, role=None)
    # ValueError: a URL that is none
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        fail(f"the database of CLUB_DATABASE_URL cannot be reached: {str(error) or type(error).__name__}")
    await connection.close()


async def _migrate(dsn: str, settings: Settings) -> None:
    try:
        await migrations.migrate(dsn)
    except (migrations.UnsuitableServer, CommandError) as error:
        fail(f"the database cannot be migrated: {error}")
    await wiring.open_books(dsn, settings.first_period, settings.rate_fen_per_thousand)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run async work; a refusal or a lost database leaves with a clear word."""
    try:
        return asyncio.run(work)
    except Problem as problem:
        fail(str(problem))
    except (ConnectionError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError) as error:
        fail(f"the database was lost: {error}")


def on_books(work: Callable[[Database], Coroutine[Any, Any, Result]]) -> Result:
    """Run async work on the books' database."""

    async def opened(dsn: str) -> Result:
        async with Database.open(dsn) as database:
            return await work(database)

    with books(configured()) as dsn:
        return run(opened(dsn))


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
    settings = configured()
    with _server(settings) as dsn:
        run(_migrate(dsn, settings))
    console.print("schema up to date")


@app.command()
def serve() -> None:
    """Serve the API on CLUB_HOST:CLUB_PORT with CLUB_WORKERS processes, until Ctrl-C or SIGTERM (exit 0)."""
    settings = configured()
    with _listening(settings) as port, books(settings) as dsn:
        _key(settings)
        serving.serve(settings, dsn, port)


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """The port, taken before anything else is done."""
    try:
        port = serving.listen(settings)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        fail(f"port {settings.port} on {settings.host} cannot be used ({why}): set CLUB_PORT to another")
    with port:
        yield port


@app.command(name="worker")
def work() -> None:
    """Work off imports and run the nightly schedule, until Ctrl-C or SIGTERM."""
    with books(configured()) as dsn:
        run(worker.run(dsn))


@app.command()
def demo(serve: Annotated[bool, typer.Option(help="serve the API when the past is settled")] = True) -> None:
    """Load the shipped network and purchases, settle every past month, then serve the API."""
    settings = configured().model_copy(update={"sms": "console"})
    with _listening(settings) if serve else nullcontext() as port, books(settings, migrated=True) as dsn:
        _key(settings)
        run(_live_through_the_past(dsn, settings))
        if port is not None:
            with demonstration.background_worker(dsn):
                console.print(run(demonstration.welcome(dsn, settings)), highlight=False, soft_wrap=True)
                serving.serve(settings, dsn, port)


async def _live_through_the_past(dsn: str, settings: Settings) -> None:
    try:
        await demonstration.run(dsn, settings, console)
    except demonstration.ForeignBooks as error:
        fail(str(error))
    results = await wiring.verify(dsn)
    console.print(_verdict(results))
    if any(rows for _, rows in results):
        fail("the books are not in order: `club verify` names the rows")


@app.command()
def token(subject: Annotated[str, typer.Argument(help="a username, program or member number")]) -> None:
    """Print a short access token for an existing account or member."""
    settings = configured()
    actor = on_books(lambda database: _actor(database, subject))
    if actor is None:
        fail(f"there is no active account or member {subject!r}")
    lifetime = timedelta(minutes=settings.access_token_minutes)
    print(Tokens(_key(settings), clock=system_clock).issue(actor, lifetime)[0])


async def _actor(database: Database, subject: str) -> Actor | None:
    async with database.session() as session:
        account = await identity.find(session, subject)
    if account is None:
        return await member_queries.actor(database.pool, subject)
    return identity.actor_of(account) if account.is_active else None


@app.command()
def account(
    username: str,
    role: Annotated[Role, typer.Option(help="what it may do")],
    dealer: Annotated[str | None, typer.Option(help="dealer code, for dealer staff")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="for a program, as often as needed")] = None,
) -> None:
    """Make an account, such as the first of headquarters; its password is asked for (a program has none)."""
    if role is Role.MEMBER or role.is_dealer_staff != (dealer is not None):
        raise typer.BadParameter("members enrol; dealer staff, and they alone, need --dealer")
    password = None if role is Role.API_CLIENT else typer.prompt("Password", hide_input=True, confirmation_prompt=True)

    async def make(database: Database) -> None:
        if dealer is not None:
            await chapters.require_dealer(database, "--dealer", dealer)
        async with database.session() as session:
            await identity.create_account(
                session, username=username, name=username, role=role, dealer_code=dealer, password=password,
                scopes=scope or (), now=system_clock(),
            )  # fmt: skip

    on_books(make)
    console.print(f"account {username} made", highlight=False)


@app.command(name="import")
def import_file(kind: ImportKind, file: Path, as_json: Json = False) -> None:
    """Take in a .csv or .csv.gz file; refused rows go to FILE.rejected.csv. Exit 1 when the file is unreadable."""
    damage: list[tabular.Unreadable] = []
    report, rejections = on_books(lambda database: _import(database, kind, file, damage))
    if damage and report.read == 0:
        fail(str(damage[0]))
    if as_json:
        print(report.model_dump_json())
    else:
        console.print(_sums(file.name, report.model_dump()))
    _leave_rejected(file, rejections)
    if damage:
        fail(f"{damage[0]}: only the {report.read:,} rows before it were read")


async def _import(
    database: Database, kind: ImportKind, file: Path, damage: list[tabular.Unreadable]
) -> tuple[tabular.Report, list[tabular.Rejection]]:
    now = system_clock()
    match kind:
        case ImportKind.DEALERS:
            return await dealers.import_dealers(database, _rows(file, dealers.COLUMNS, damage), now=now)
        case ImportKind.MEMBERS:
            return await members.import_members(database, _rows(file, members.COLUMNS, damage), now=now)
        case ImportKind.ORDERS:
            return await visits.import_orders(database, _rows(file, ORDER_COLUMNS, damage), actor="cli", now=now)


def _rows(file: Path, columns: Sequence[str], damage: list[tabular.Unreadable]) -> Iterator[tabular.Row]:
    """The file's rows, up to where it is damaged: they are taken all the same, and counted."""
    try:
        yield from tabular.open_rows(file, columns)
    except tabular.Unreadable as error:
        damage.append(error)


def _leave_rejected(file: Path, rejections: Sequence[tabular.Rejection]) -> None:
    errors = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    try:
        if target := tabular.write_rejected(file, rejections):
            errors.print(f"{len(rejections):,} refused rows with their reasons: {target}")
    except OSError as error:
        errors.print(f"{error.filename} can be neither written nor removed: {error.strerror}")
        for rejection in rejections[:20]:
            errors.print(f"  line {rejection.line}: {rejection.reason}")


@app.command()
def close(
    period: Annotated[date, typer.Argument(parser=_period, metavar="PERIOD", help="a month, e.g. 2026-10")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="compute, write nothing")] = False,
    as_json: Json = False,
) -> None:
    """Seal a month and issue its statements; a sealed month is shown as it is."""
    closing = on_books(lambda database: settlement.close(database, period, now=system_clock(), dry_run=dry_run))
    if as_json:
        print(closing.model_dump_json())
    else:
        console.print(_sums(f"{period:%Y-%m}", closing.model_dump()))


@app.command()
def expire() -> None:
    """Book what has matured or lapsed by today (the worker does so every night)."""
    swept = on_books(lambda database: ledger.sweep(database.pool, now=system_clock()))
    console.print(f"{swept.members:,} members touched, {swept.points:,} points expired")


@app.command()
def verify(as_json: Json = False) -> None:
    """Re-derive every invariant of the books; exit 1 and name the rows when one fails."""
    with books(configured()) as dsn:
        results = run(wiring.verify(dsn))
    holds = not any(rows for _, rows in results)
    if as_json:
        checks = {check.name: rows for check, rows in results}
        print(json.dumps({"ok": holds, "checks": checks}, ensure_ascii=False))
    else:
        console.print(_checks(results), _verdict(results))
    raise typer.Exit(0 if holds else 1)


def _checks(results: wiring.Results) -> Table:
    table = Table.grid(padding=(0, 2))
    for check, rows in results:
        table.add_row("[red]fails[/]" if rows else "[green]holds[/]", check.name, Text(check.description))
        for row in rows:
            table.add_row("", "", Text(row, "red"))
    return table


def _verdict(results: wiring.Results) -> str:
    if failing := [check.name for check, rows in results if rows]:
        return f"[bold red]{len(failing)} of {len(results)} invariants fail: {', '.join(failing)}[/]"
    return f"[bold green]all {len(results)} invariants hold[/]"


@app.command(name="totals")
def show_totals(
    as_of: Annotated[date | None, typer.Option("--as-of", parser=_day, metavar="DATE", help="business date")] = None,
    as_json: Json = False,
) -> None:
    """The programme's points by business date."""
    sums = on_books(lambda database: totals.read(database.pool, as_of))
    if as_json:
        print(sums.model_dump_json())
    else:
        console.print(_sums(f"as of {as_of or china_date(system_clock())}", sums.model_dump(exclude={"as_of"})))


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(min=1, help="how often each path is measured")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=15, help="how long each time")] = 8,
    connections: Annotated[int, typer.Option(min=1, max=256, help="to the service")] = 32,
    as_json: Json = False,
) -> None:
    """Measure the service against its limit (bench/); exit 1 when a mark is missed. docs/performance.md explains it."""
    try:
        from bench import run as benchmark
        from bench.figures import BenchError
    except ImportError:
        fail("bench/ is not installed here: run it from a checkout, `make bench`")
    with _server(configured()) as dsn:
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
    table = Table(title=Text(title), show_header=False)
    for name, value in values.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
    return table


if __name__ == "__main__":
    main()
