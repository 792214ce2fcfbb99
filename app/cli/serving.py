"""Commands that run the service: its schema, its processes, the demonstration, the benchmark."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from app import demo as demonstration
from app import serving, wiring, worker
from app.cli import opening
from app.cli.books import verdict
from app.cli.opening import books, configured, require_keys, run
from app.cli.terminal import Json, answer, console, fail, say
from app.core import logs
from app.core.commands import on_full_network
from app.core.vault import vault_of
from app.settings import Settings


def migrate() -> None:
    """Bring the database's schema up to this release and open the books."""
    settings = configured()
    with opening.server(settings, make=True) as dsn:
        opening.migrate(dsn, settings)
    console.print("schema up to date")


def serve() -> None:
    """Serve the API on CLUB_HOST:CLUB_PORT with CLUB_WORKERS processes, until Ctrl-C or SIGTERM (exit 0)."""
    settings = configured()
    with _listening(settings) as port, books(settings) as dsn:
        require_keys(settings)
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


def work() -> None:
    """Work off imports and run the nightly schedule, until Ctrl-C or SIGTERM."""
    settings = configured()
    logs.install(settings.log_format)
    with books(settings) as dsn:
        run(worker.run(dsn, vault=vault_of(settings)))


def demo(serve: Annotated[bool, typer.Option(help="serve the API when the past is settled")] = True) -> None:
    """Load the shipped network and purchases, settle every past month, then serve the API."""
    settings = configured().model_copy(update={"sms": "console"})
    with _listening(settings) if serve else nullcontext() as port, books(settings, migrated=True) as dsn:
        require_keys(settings)
        run(_live_through_the_past(dsn, settings))
        if port is not None:
            # the worker reads its settings anew
            os.environ["CLUB_SMS"] = settings.sms
            with demonstration.background_worker(dsn):
                say(run(demonstration.welcome(dsn, settings)))
                serving.serve(settings, dsn, port)


async def _live_through_the_past(dsn: str, settings: Settings) -> None:
    try:
        await (demonstration.run_full if on_full_network.get() else demonstration.run)(dsn, settings, console)
    except demonstration.ForeignBooks as error:
        fail(str(error))
    results = await wiring.verify(dsn)
    console.print(verdict(results))
    if any(rows for _, rows in results):
        fail("the books are not in order: `club verify` names the rows")


class Measured(StrEnum):
    """What `club bench` measures."""

    POINTS = "points"
    EVENTS = "events"


def bench(
    what: Annotated[
        Measured, typer.Argument(help="the points' paths, or 2,000 members who rush for an event's 500 seats")
    ] = Measured.POINTS,
    rounds: Annotated[int, typer.Option(min=1, help="how often each path is measured")] = 3,
    seconds: Annotated[int, typer.Option(min=1, max=15, help="how long each time")] = 8,
    connections: Annotated[int, typer.Option(min=1, max=256, help="to the service")] = 32,
    as_json: Json = False,
) -> None:
    """Measure the service against its limit (bench/); exit 1 when a mark is missed. docs/performance.md explains it."""
    try:
        from bench import run as benchmark
        from bench import rush
        from bench.figures import BenchError
    except ImportError:
        fail("bench/ is not installed here: run it from a checkout, `make bench`")
    with opening.server(configured()) as dsn:
        try:
            options, progress = benchmark.Options(rounds, seconds, connections), Console(stderr=True)
            measure = rush.measure if what is Measured.EVENTS else benchmark.run
            report = measure(dsn, options, progress)
        except BenchError as error:
            fail(str(error))
    answer(json.dumps(report.document(), ensure_ascii=False), report.table(), as_json=as_json)
    raise typer.Exit(0 if report.passes else 1)
