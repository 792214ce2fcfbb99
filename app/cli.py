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
from app.audit import service as audit
from app.audit.models import Action
from app.chapters import imports as dealers
from app.core import db, embedded, logs, migrations, process, tabular
from app.core.actors import PROGRAM_SCOPES, Actor, Reach, Role
from app.core.catalogue import Language, text
from app.core.clock import china_date, system_clock
from app.core.commands import FULL_DATABASE, Commands, on_full_network
from app.core.db import Database
from app.core.origin import Commanded, origin
from app.core.problems import Problem
from app.core.vault import KeyFile, WrongKeys, vault_of
from app.identity import grants, programs
from app.identity import service as identity
from app.identity.models import USERNAME, AccountKind
from app.identity.rules import PASSWORD_MIN_LENGTH, is_reserved, password_fault
from app.identity.tokens import Tokens
from app.members import imports as members
from app.members import queries as member_queries
from app.members import sealing
from app.points import ledger, totals
from app.reports import service as reports
from app.reports.schemas import Figures, NetworkRead
from app.settings import Settings, rotate_secret
from app.settlement import service as settlement
from app.visits import deliveries
from app.visits import service as visits
from app.visits.deliveries_rules import COLUMNS as DELIVERY_COLUMNS
from app.visits.rules import COLUMNS as ORDER_COLUMNS
from app.visits.rules import MILEAGE

HELP = "The owner club's service and its books."
app = Commands(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
report_app = Commands(help="The network's figures.", no_args_is_help=True)
app.add_typer(report_app, name="report")
console = Console()
Result = TypeVar("Result")
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


class ImportKind(StrEnum):
    """What a file holds."""

    DEALERS = "dealers"
    MEMBERS = "members"
    ORDERS = "orders"
    DELIVERIES = "deliveries"


def fail(message: str) -> NoReturn:
    """Leave with a word on stderr and exit code 1."""
    Console(stderr=True).print(f"club: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


@app.callback()
def _operator(context: typer.Context) -> None:
    # what the command does goes into the trail as its user's
    before = origin.set(Commanded(context.invoked_subcommand or ""))
    context.call_on_close(lambda: origin.reset(before))


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
        words = [
            "".join(f"CLUB_{name}: ".upper() for name in fault["loc"][:1]) + fault["msg"] for fault in error.errors()
        ]
        fail("; ".join(words).replace("Value error, ", ""))


def _key(settings: Settings) -> bytes:
    try:
        return settings.signing_key
    except OSError as error:
        fail(f"CLUB_SECRET is not set, and {error.filename} cannot be used: {error.strerror}")


@contextmanager
def books(settings: Settings, *, migrated: bool = False) -> Iterator[str]:
    """The DSN of a migrated database: the one configured, or the embedded server's, held while in use.

    With --full the one of the full-size network beside it.

    Args:
        migrated: migrate the configured one too (the embedded server's always is), and make the full-size one.
    """
    with _server(settings, make=migrated) as dsn:
        if migrated or settings.database_url is None:
            run(_migrate(dsn, settings))
        elif not run(migrations.is_current(dsn)):
            fail("the database's schema is not this release's: run `club migrate`")
        run(_require_fitting_keys(dsn, settings))
        yield dsn


@contextmanager
def _server(settings: Settings, *, make: bool = False) -> Iterator[str]:
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        run(_reach(dsn))
        yield _chosen(dsn, make)
        return
    try:
        with embedded.server(settings.data_dir) as dsn, process.undisturbed_end():
            yield _chosen(dsn, make)
    except embedded.EmbeddedServerError as error:
        fail(str(error))


def _chosen(dsn: str, make: bool) -> str:
    if not on_full_network.get():
        return dsn
    try:
        full = run(db.beside(dsn, FULL_DATABASE, make=make))
    except asyncpg.InsufficientPrivilegeError as error:
        fail(f"the database {FULL_DATABASE} cannot be made: {error}")
    return full or fail(f"there is no database {FULL_DATABASE} yet: run `club demo --full --no-serve`")


async def _reach(dsn: str) -> None:
    try:
        connection = await db.connect(dsn, role=None)
    # ValueError: a URL that is none
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        fail(f"the database of CLUB_DATABASE_URL cannot be reached: {str(error) or type(error).__name__}")
    await connection.close()


async def _require_fitting_keys(dsn: str, settings: Settings) -> None:
    connection = await db.connect(dsn)
    try:
        if not await sealing.fits(connection, vault_of(settings)):
            fail(str(WrongKeys()))
    finally:
        await connection.close()


def _require_data_keys(settings: Settings) -> None:
    try:
        vault_of(settings).keys()
    except OSError as error:
        fail(f"CLUB_DATA_KEYS is not set, and {error.filename} cannot be used: {error.strerror}")
    except WrongKeys as error:
        fail(str(error))


async def _migrate(dsn: str, settings: Settings) -> None:
    try:
        await migrations.migrate(dsn, vault=vault_of(settings))
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

    settings = configured()

    async def opened(dsn: str) -> Result:
        async with Database.open(dsn, vault=vault_of(settings)) as database:
            return await work(database)

    with books(settings) as dsn:
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
    with _server(settings, make=True) as dsn:
        run(_migrate(dsn, settings))
    console.print("schema up to date")


@app.command()
def serve() -> None:
    """Serve the API on CLUB_HOST:CLUB_PORT with CLUB_WORKERS processes, until Ctrl-C or SIGTERM (exit 0)."""
    settings = configured()
    with _listening(settings) as port, books(settings) as dsn:
        _key(settings)
        _require_data_keys(settings)
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
    settings = configured()
    logs.install(settings.log_format)
    with books(settings) as dsn:
        run(worker.run(dsn, vault=vault_of(settings)))


@app.command()
def demo(serve: Annotated[bool, typer.Option(help="serve the API when the past is settled")] = True) -> None:
    """Load the shipped network and purchases, settle every past month, then serve the API."""
    settings = configured().model_copy(update={"sms": "console"})
    with _listening(settings) if serve else nullcontext() as port, books(settings, migrated=True) as dsn:
        _key(settings)
        _require_data_keys(settings)
        run(_live_through_the_past(dsn, settings))
        if port is not None:
            with demonstration.background_worker(dsn):
                console.print(run(demonstration.welcome(dsn, settings)), highlight=False, soft_wrap=True)
                serving.serve(settings, dsn, port)


async def _live_through_the_past(dsn: str, settings: Settings) -> None:
    try:
        await (demonstration.run_full if on_full_network.get() else demonstration.run)(dsn, settings, console)
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
    lifetime = timedelta(minutes=settings.access_token_minutes)
    actor, lifetime = on_books(lambda database: _token_for(database, subject, lifetime))
    if actor is None:
        fail(f"there is no active account or member {subject!r}")
    print(Tokens(_key(settings), clock=system_clock).issue(actor, lifetime)[0])


async def _token_for(database: Database, subject: str, life: timedelta) -> tuple[Actor | None, timedelta]:
    """As `_actor`; on record before the token is printed."""
    actor, lifetime = await _actor(database, subject, life)
    if actor is not None:
        await audit.record(database.pool, Action.TOKEN_ISSUED, "subject", [actor.subject])
    return actor, lifetime


async def _actor(database: Database, subject: str, life: timedelta) -> tuple[Actor | None, timedelta]:
    """Whom a subject's token would speak for today, if anyone, and for how long, at most `life`."""
    now = system_clock()
    async with database.session() as session:
        account = await identity.find(session, subject)
        if account is None:
            return await member_queries.actor(database.pool, subject), life
        if account.is_active and account.kind == AccountKind.PROGRAM:
            return grants.program_of(account), grants.program_lifetime(account, now, life)
        grant = await grants.choose(session, account.id, china_date(now)) if account.is_active else None
    return (grants.actor_of(account, grant), grants.lifetime(grant, now, life)) if grant else (None, life)


@app.command(name="rotate-key")
def rotate_key(
    drop_old: Annotated[bool, typer.Option("--drop-old", help="what the old ones signed and sealed is void")] = False,
) -> None:
    """Sign with a new secret from the service's next start on; what the old ones signed stays good until it ends."""
    settings = configured()
    if settings.secret is not None:
        fail("CLUB_SECRET is set: put a new one there, and the old one into CLUB_OLD_SECRETS")

    async def rotate_on_record(database: Database) -> None:
        # the deed first: a file that cannot be written takes it back
        async with database.transaction() as connection:
            dropped = {"old_ones_dropped": (None, drop_old)}
            await audit.record(connection, Action.KEY_ROTATED, "signing-key", changes=dropped)
            rotate_secret(settings.secret_file, keep=not drop_old)

    try:
        on_books(rotate_on_record)
    except OSError as error:
        fail(f"{settings.secret_file} cannot be used: {error.strerror}")
    console.print("a new key is in place: start the service again to use it", highlight=False)


@app.command()
def account(
    username: str,
    role: Annotated[Role, typer.Option(help="what it may do")],
    dealer: Annotated[str | None, typer.Option(help="dealer code, for dealer staff")] = None,
    region: Annotated[str | None, typer.Option(help="region code, for a regional manager")] = None,
    partner: Annotated[str | None, typer.Option(help="partner code, for a partner's clerk")] = None,
    until: Annotated[date | None, typer.Option(parser=_day, metavar="DATE", help="the grant's last day")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="for a program, as often as needed")] = None,
) -> None:
    """Make an account, such as the first of headquarters; asks for its password. A program's secret is printed once."""
    places = {Reach.DEALER: dealer, Reach.REGION: region, Reach.PARTNER: partner}
    if role is Role.MEMBER or any((code is not None) != (role.reach is reach) for reach, code in places.items()):
        raise typer.BadParameter("members enrol; a role needs --dealer, --region or --partner as far as it reaches")
    if (role is Role.API_CLIENT) != bool(scope) or not set(scope or ()) <= PROGRAM_SCOPES:
        raise typer.BadParameter(f"a program, and it alone, needs --scope, of {', '.join(sorted(PROGRAM_SCOPES))}")
    if not USERNAME.fullmatch(username) or is_reserved(username):
        raise typer.BadParameter(
            "a username has 3 to 64 letters, digits and . _ @ -, the first a letter or digit;"
            " not digits alone, nor a name of the service's own"
        )
    password = "" if scope else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not scope and (fault := password_fault(password, username)) is not None:
        fail("the password " + text(Language.EN, f"field.{fault}", {"min_length": PASSWORD_MIN_LENGTH}))

    async def make(database: Database) -> str:
        async with database.session() as session:
            if scope:
                made = await programs.create(
                    session, username=username, name=username, scopes=scope, now=system_clock()
                )
                return f"client secret, shown this once: {made.secret}"
            await identity.create_account(
                session, username=username, name=username, role=role, password=password, now=system_clock(), by="cli",
                dealer_code=dealer, region_code=region, partner_code=partner, valid_until=until,
            )  # fmt: skip
            return f"account {username} made"

    console.print(on_books(make), highlight=False, soft_wrap=True)


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
    report, rejections = await _taken_in(database, kind, file, damage)
    counts = {name: (None, count) for name, count in report.model_dump().items()}
    await audit.record(database.pool, Action.IMPORTED, "file", [kind], changes=counts)
    return report, rejections


async def _taken_in(
    database: Database, kind: ImportKind, file: Path, damage: list[tabular.Unreadable]
) -> tuple[tabular.Report, list[tabular.Rejection]]:
    now = system_clock()
    match kind:
        case ImportKind.DEALERS:
            return await dealers.import_dealers(database, _rows(file, dealers.COLUMNS, damage), now=now)
        case ImportKind.MEMBERS:
            return await members.import_members(database, _rows(file, members.COLUMNS, damage), now=now)
        case ImportKind.ORDERS:
            rows = _rows(file, ORDER_COLUMNS, damage, MILEAGE)
            return await visits.import_orders(database, rows, actor="cli", now=now)
        case ImportKind.DELIVERIES:
            return await deliveries.import_deliveries(database, _rows(file, DELIVERY_COLUMNS, damage), now=now)


def _rows(
    file: Path, columns: Sequence[str], damage: list[tabular.Unreadable], optional: str | None = None
) -> Iterator[tabular.Row]:
    """The file's rows, up to where it is damaged: they are taken all the same, and counted."""
    try:
        yield from tabular.open_rows(file, columns, optional=optional)
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
def verify(
    as_json: Json = False,
    phones: Annotated[bool, typer.Option("--phones", help="also open every stored phone number")] = False,
) -> None:
    """Re-derive every invariant of the books; exit 1 and name the rows when one fails."""
    settings = configured()
    with books(settings) as dsn:
        results = run(wiring.verify(dsn, vault_of(settings) if phones else None))
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


@app.command()
def rotate_data_key() -> None:
    """Seal every phone number with the newest key, while the service runs; a key kept in a file is renewed first.

    With CLUB_DATA_KEYS put the new key in front and restart every process before. A rotation that was broken off
    is finished by the next one. Old keys stay where they are: backups made until now need them.
    """

    async def rotate(database: Database) -> int:
        unfinished = await sealing.reseal(database)
        if unfinished or not isinstance(database.vault.keys, KeyFile):
            return unfinished
        database.vault.keys.renew()
        return await sealing.reseal(database)

    async def rotate_on_record(database: Database) -> int:
        sealed = await rotate(database)
        await audit.record(database.pool, Action.KEY_ROTATED, changes={"phones": (None, sealed)})
        return sealed

    sealed = on_books(rotate_on_record)
    console.print(f"{sealed:,} phone numbers sealed anew: all are under the newest key", highlight=False)


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


@report_app.command(name="network")
def report_network(
    month: Annotated[date | None, typer.Option(parser=_period, metavar="MONTH", help="else the last over")] = None,
    as_json: Json = False,
) -> None:
    """The network's figures at a month's end, of the country and by region."""
    found = on_books(lambda database: reports.read(database.pool, month, now=system_clock()))
    figures = reports.network(found, None)
    if as_json:
        print(figures.model_dump_json(include={"national", "regions"}))
    else:
        console.print(_network(figures))


def _network(report: NetworkRead) -> Table:
    places = {"national": report.national, **report.regions}
    table = Table(box=None, pad_edge=False, title=f"at the end of {report.as_of}")
    for heading in ("", *places):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name in Figures.model_fields:
        table.add_row(name, *(_figure(getattr(figures, name)) for figures in places.values()))
    return table


def _figure(value: float | None) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "-" if value is None else f"{value:,}"


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
