"""The command that takes in files."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import imports as dealers
from app.cli.opening import on_books
from app.cli.terminal import Json, answer, fail, sums
from app.core import tabular
from app.core.clock import system_clock
from app.core.db import Database
from app.core.unreadable import Unreadable
from app.members import imports as members
from app.members.import_extras import OPTIONAL as MEMBER_EXTRAS
from app.visits import deliveries
from app.visits import service as visits
from app.visits.deliveries_rules import COLUMNS as DELIVERY_COLUMNS
from app.visits.rules import COLUMNS as ORDER_COLUMNS
from app.visits.rules import MILEAGE


class ImportKind(StrEnum):
    """What a file holds."""

    DEALERS = "dealers"
    MEMBERS = "members"
    ORDERS = "orders"
    DELIVERIES = "deliveries"


def import_file(
    kind: ImportKind, file: Path, as_json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="judge every row and write nothing")] = False,
) -> None:  # fmt: skip
    """Take in a .csv, .csv.gz or .xlsx file; refused rows go to FILE.rejected.csv. Exit 1: the file is unreadable."""
    damage: list[Unreadable] = []
    report, rejections = on_books(lambda database: _import(database, kind, file, damage, dry_run))
    if damage and report.read == 0:
        fail(str(damage[0]))
    answer(report.model_dump_json(), sums(file.name, report.model_dump()), as_json=as_json)
    _leave_rejected(file, rejections)
    if damage:
        fail(f"{damage[0]}: only the {report.read:,} rows before it were read")


async def _import(
    database: Database, kind: ImportKind, file: Path, damage: list[Unreadable], dry_run: bool
) -> tuple[tabular.Report, list[tabular.Rejection]]:
    report, rejections = await _taken_in(database, kind, file, damage, dry_run)
    if not dry_run:
        counts = {name: (None, count) for name, count in report.model_dump().items()}
        await audit.record(database.pool, Action.IMPORTED, "file", [kind], changes=counts)
    return report, rejections


async def _taken_in(
    database: Database, kind: ImportKind, file: Path, damage: list[Unreadable], dry_run: bool
) -> tuple[tabular.Report, list[tabular.Rejection]]:
    now = system_clock()
    match kind:
        case ImportKind.DEALERS:
            rows = _rows(file, dealers.COLUMNS, damage)
            return await dealers.import_dealers(database, rows, now=now, dry_run=dry_run)
        case ImportKind.MEMBERS:
            rows = _rows(file, members.COLUMNS, damage, MEMBER_EXTRAS)
            return await members.import_members(database, rows, now=now, dry_run=dry_run)
        case ImportKind.ORDERS:
            rows = _rows(file, ORDER_COLUMNS, damage, MILEAGE)
            return await visits.import_orders(database, rows, actor="cli", now=now, dry_run=dry_run)
        case ImportKind.DELIVERIES:
            rows = _rows(file, DELIVERY_COLUMNS, damage)
            return await deliveries.import_deliveries(database, rows, now=now, dry_run=dry_run)


def _rows(
    file: Path, columns: Sequence[str], damage: list[Unreadable], optional: Sequence[str] = ()
) -> Iterator[tabular.Row]:
    """The file's rows, up to where it is damaged: they are taken all the same, and counted."""
    try:
        yield from tabular.open_rows(file, columns, optional=optional)
    except Unreadable as error:
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
