"""Commands on the books: sealing a month, expiry, the proof of every invariant, the points there are."""

import json
from datetime import date
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from app import wiring
from app.cli import opening
from app.cli.opening import configured, on_books, run
from app.cli.terminal import Json, answer, console, day, month, sums
from app.core.clock import china_date, system_clock
from app.core.vault import vault_of
from app.points import ledger
from app.points import totals as programme
from app.settlement import service as settlement


def close(
    period: Annotated[date, typer.Argument(parser=month, metavar="PERIOD", help="a month, e.g. 2026-10")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="compute, write nothing")] = False,
    as_json: Json = False,
) -> None:
    """Seal a month and issue its statements; a sealed month is shown as it is."""
    closing = on_books(lambda database: settlement.close(database, period, now=system_clock(), dry_run=dry_run))
    answer(closing.model_dump_json(), sums(f"{period:%Y-%m}", closing.model_dump()), as_json=as_json)


def expire() -> None:
    """Book what has matured or lapsed by today (the worker does so every night)."""
    swept = on_books(lambda database: ledger.sweep(database.pool, now=system_clock()))
    console.print(f"{swept.members:,} members touched, {swept.points:,} points expired")


def verify(
    as_json: Json = False,
    phones: Annotated[bool, typer.Option("--phones", help="also open every stored phone number")] = False,
) -> None:
    """Re-derive every invariant of the books; exit 1 and name the rows when one fails."""
    settings = configured()
    with opening.books(settings) as dsn:
        results = run(wiring.verify(dsn, vault_of(settings) if phones else None))
    holds = not any(rows for _, rows in results)
    document = {"ok": holds, "checks": {check.name: rows for check, rows in results}}
    answer(json.dumps(document, ensure_ascii=False), _checks(results), verdict(results), as_json=as_json)
    raise typer.Exit(0 if holds else 1)


def _checks(results: wiring.Results) -> Table:
    table = Table.grid(padding=(0, 2))
    for check, rows in results:
        table.add_row("[red]fails[/]" if rows else "[green]holds[/]", check.name, Text(check.description))
        for row in rows:
            table.add_row("", "", Text(row, "red"))
    return table


def verdict(results: wiring.Results) -> str:
    """One line, in the console's markup: whether all invariants hold, else which do not."""
    if failing := [check.name for check, rows in results if rows]:
        return f"[bold red]{len(failing)} of {len(results)} invariants fail: {', '.join(failing)}[/]"
    return f"[bold green]all {len(results)} invariants hold[/]"


def totals(
    as_of: Annotated[date | None, typer.Option("--as-of", parser=day, metavar="DATE", help="business date")] = None,
    as_json: Json = False,
) -> None:
    """The programme's points by business date."""
    found = on_books(lambda database: programme.read(database.pool, as_of))
    table = sums(f"as of {as_of or china_date(system_clock())}", found.model_dump(exclude={"as_of"}))
    answer(found.model_dump_json(), table, as_json=as_json)
