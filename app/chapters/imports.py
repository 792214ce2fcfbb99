"""dealers.csv: the network's first load. Idempotent: what is known stays, and edits go through the API."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, auto
from typing import NamedTuple

from app.chapters import queries
from app.chapters.queries import KnownDealer
from app.chapters.rules import is_dealer_code
from app.core.clock import china_date
from app.core.db import Database
from app.core.tabular import Rejection, Report, Row, joined

COLUMNS = ("dealer_code", "region_code", "region_name", "has_after_sales", "has_chapter")

_BOOLEANS = {"true": True, "false": False}
_ONE_AT_A_TIME = 7_310_000_011


class DealerLine(NamedTuple):
    """One well-formed line."""

    code: str
    region_name: str
    dealer: KnownDealer


class Outcome(Enum):
    """What becomes of a line that is not refused."""

    POSTED = auto()
    ALREADY_KNOWN = auto()


@dataclass
class Network:
    """What is known while a file is read, and what of it is new."""

    regions: dict[str, str]
    dealers: dict[str, KnownDealer]
    new_regions: list[str] = field(default_factory=list)
    new_dealers: list[str] = field(default_factory=list)


async def import_dealers(
    db: Database, rows: Iterator[Row], *, now: datetime, opened_on: date | None = None, dry_run: bool = False
) -> tuple[Report, list[Rejection]]:
    """Take the file's dealers into the network, in one transaction.

    Args:
        opened_on: the day the file's chapters opened; today (China) unless the past is being loaded.
        dry_run: judge and write, then undo.

    Raises:
        Unreadable: the file as a whole cannot be read; nothing was taken.
    """
    report, rejections = Report(), []
    async with db.transaction(undo=dry_run) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _ONE_AT_A_TIME)
        network = Network(await queries.region_names(connection), await queries.known_dealers(connection))
        for row in rows:
            report.read += 1
            match _take(network, row):
                case Outcome.POSTED:
                    report.posted += 1
                case Outcome.ALREADY_KNOWN:
                    report.already_known += 1
                case reason:
                    report.refused += 1
                    rejections.append(Rejection(row.line, reason, joined(row.cells)))
        await queries.insert_network(
            connection,
            [(code, network.regions[code]) for code in network.new_regions],
            [(code, *network.dealers[code][:2]) for code in network.new_dealers],
            [(code, opened_on or china_date(now)) for code in network.new_dealers if network.dealers[code].has_chapter],
        )
    return report, rejections


def _take(network: Network, row: Row) -> Outcome | str:
    """Note a line's dealer as known, or say why the line is refused."""
    line = _parsed(row)
    if isinstance(line, str):
        return line
    region = line.dealer.region_code
    name = network.regions.get(region)
    if name not in (None, line.region_name):
        return f"region {region} is named {name}, not {line.region_name}"
    known = network.dealers.get(line.code)
    if known is not None:
        return Outcome.ALREADY_KNOWN if known == line.dealer else _difference(line, known)
    if name is None:
        network.regions[region] = line.region_name
        network.new_regions.append(region)
    network.dealers[line.code] = line.dealer
    network.new_dealers.append(line.code)
    return Outcome.POSTED


def _parsed(row: Row) -> DealerLine | str:
    if row.fault:
        return row.fault
    code, region_code, region_name, has_after_sales, has_chapter = (cell.strip() for cell in row.cells)
    if not is_dealer_code(code):
        return f"dealer_code {code!r} is not a code such as BJ001 (2 to 16 capital letters and digits)"
    if not region_code or not region_name or not (region_code + region_name).isprintable():
        return "region_code and region_name must both be given"
    for column, cell in (("has_after_sales", has_after_sales), ("has_chapter", has_chapter)):
        if cell not in _BOOLEANS:
            return f"{column} must be true or false, not {cell!r}"
    return DealerLine(code, region_name, KnownDealer(region_code, _BOOLEANS[has_after_sales], _BOOLEANS[has_chapter]))


def _difference(line: DealerLine, known: KnownDealer) -> str:
    differing = [
        f"{column} {mine!r}, here {theirs!r}"
        for column, mine, theirs in zip(KnownDealer._fields, known, line.dealer, strict=True)
        if mine != theirs
    ]
    return f"dealer {line.code} is known with {'; '.join(differing)}: change it through the API, not by import"
