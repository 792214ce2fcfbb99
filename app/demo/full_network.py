"""The full-size network enters the books by the same imports as any other, then its past is lived through."""

import asyncio
import csv
import gzip
import time as stopwatch
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from functools import partial
from importlib.resources import as_file
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from app.chapters.imports import COLUMNS as DEALER_COLUMNS
from app.chapters.imports import import_dealers
from app.core import tabular
from app.core.actors import Actor, Role
from app.core.clock import CHINA, add_months, system_clock
from app.core.db import Database
from app.core.vault import vault_of
from app.demo import full, full_events, full_partners, full_referrals, past
from app.demo.full import Application, Dealer, Network, Owner
from app.demo.full_referrals import Referred
from app.members import applications as joining
from app.members.imports import COLUMNS as MEMBER_COLUMNS
from app.members.schemas import ApplicationCreate
from app.referrals import service as referrals
from app.referrals.problems import AlreadyReferred, BuyerIsOwner
from app.referrals.schemas import ReferralCreate
from app.reports import service as reports
from app.settings import Settings
from app.visits.deliveries import import_deliveries
from app.visits.deliveries_rules import COLUMNS as DELIVERY_COLUMNS

AT_ONCE = 100
"""Applications, or referrals, in one transaction."""
DESKS = 4
"""Sessions that register referrals side by side."""
DEALERS_SYSTEMS = Actor(past.HEADQUARTERS.subject, Role.API_CLIENT)
"""Who registers referrals: consultants are named as dealers' systems name them, without accounts here."""


async def run(dsn: str, settings: Settings, console: Console) -> None:
    """Load the full-size network and live through the shipped purchases; see `past.run`.

    Raises:
        ForeignBooks: nothing was loaded.
    """
    dealers = shipped_dealers()
    also = partial(live, settings, console, dealers)
    await past.run(dsn, settings, console, load=partial(load, console), also=also)
    async with Database.open(dsn, vault=vault_of(settings)) as database:
        await full_events.plan_ahead(database, settings, dealers, system_clock())


async def live(
    settings: Settings, console: Console, dealers: Sequence[Dealer], database: Database, month: date, last: date
) -> None:
    """A month's events, then its perks."""
    begun = stopwatch.monotonic()
    # partners first: one of them gives points at an event
    await full_partners.offer(database, dealers, last)
    held = await full_events.live(database, settings, dealers, month, last)
    claimed = await full_partners.live(database, settings, dealers, month, last)
    if held or claimed:
        seconds = stopwatch.monotonic() - begun
        console.print(f"{held} events, {claimed} vouchers ({seconds:.1f} s)", highlight=False)


async def load(console: Console, database: Database, first: date, last: date) -> None:
    """The network as it is at the end of the month `last`; broken off, it is taken up again.

    Args:
        first: when the chapters opened, unless that is less than a year before `last`.
    """
    opened_on = min(first, add_months(last, -12))
    network = full.network(shipped_dealers(), shipped_members(), opened_on, last)
    await _open_new_chapters(database, full.opening_day(last))
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, network)
        # its dealers that are known stay as they are: the new chapters keep their day
        await past.load_network(console, folder, database, opened_on, last)
        await _move_in(database, full.opening_day(last))
        await _refer(database, console, full_referrals.referred(network))
        await _deliver(database, console, folder)
    await _apply(database, network.applications)
    console.print(f"{len(network.applications):,} open applications\n", highlight=False)
    over = datetime.combine(add_months(last, 1), time(2), CHINA)
    await reports.freeze_due(database, now=over, after_days=0)


def shipped_dealers() -> list[Dealer]:
    """The dealers of dealers.csv."""
    return [Dealer(code, region, chapter == "true") for code, region, _, _, chapter in _shipped_rows("dealers")]


def shipped_members() -> list[Owner]:
    """The members of members.csv."""
    return [
        Owner(chapter, name, phone, vin, date.fromisoformat(day))
        for chapter, name, phone, vin, day in _shipped_rows("members")
    ]


_SHIPPED = {"dealers": DEALER_COLUMNS, "members": MEMBER_COLUMNS}


def _shipped_rows(name: str) -> list[list[str]]:
    with as_file(past.DATA / f"{name}.csv.gz") as file:
        return [row.cells for row in tabular.open_rows(file, _SHIPPED[name])]


def write(folder: Path, network: Network) -> None:
    """Leave dealers.csv.gz, members.csv.gz and deliveries.csv.gz in a folder."""
    with as_file(past.DATA / "dealers.csv.gz") as file:
        copyfile(file, folder / "dealers.csv.gz")
    _write(folder / "members.csv.gz", MEMBER_COLUMNS, network.members)
    _write(folder / "deliveries.csv.gz", DELIVERY_COLUMNS, network.deliveries)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


async def _open_new_chapters(database: Database, day: date) -> None:
    with as_file(past.DATA / "dealers.csv.gz") as file:
        rows = [row for row in tabular.open_rows(file, DEALER_COLUMNS) if row.cells[0] in full.NEW_CHAPTERS]
    await import_dealers(database, iter(rows), now=system_clock(), opened_on=day)


async def _move_in(database: Database, day: date) -> None:
    """A new chapter's owners who were members before stood on headquarters' roll until then."""
    waiting = [(owner.vin, owner.chapter) for owner in shipped_members() if owner.chapter in full.NEW_CHAPTERS]
    async with database.transaction() as connection:
        await connection.execute("SELECT set_config('club.moved_on', $1, true)", day.isoformat())
        await connection.execute(
            """UPDATE member SET dealer_code = w.chapter, version = version + 1
                 FROM unnest($1::text[], $2::text[]) AS w (vin, chapter)
                 JOIN ownership o ON o.vin = w.vin AND o.until IS NULL
                WHERE member.id = o.member_id AND member.dealer_code IS NULL""",
            *zip(*waiting, strict=True),
        )


async def _refer(database: Database, console: Console, referred: Sequence[Referred]) -> None:
    """Register the buyers before their cars are delivered; taken up again, those on record stay as they are."""
    begun, settings = stopwatch.monotonic(), Settings()
    batches = iter([referred[start : start + AT_ONCE] for start in range(0, len(referred), AT_ONCE)])

    async def desk() -> None:
        for batch in batches:
            async with database.session() as session:
                for one in batch:
                    with suppress(AlreadyReferred, BuyerIsOwner):
                        body, now = _registration(one), one.registered_at
                        await referrals.register(session, DEALERS_SYSTEMS, body, settings, now=now)

    await asyncio.gather(*(desk() for _ in range(DESKS)))
    console.print(f"{len(referred):,} referrals ({stopwatch.monotonic() - begun:.1f} s)", highlight=False)


def _registration(one: Referred) -> ReferralCreate:
    return ReferralCreate(
        referrer_phone=one.referrer.phone, buyer_name=one.buyer.name, buyer_phone=one.buyer.phone, may_contact=True,
        dealer_code=one.buyer.chapter, consultant=one.consultant,
    )  # fmt: skip


async def _deliver(database: Database, console: Console, folder: Path) -> None:
    begun = stopwatch.monotonic()
    rows = tabular.open_rows(folder / "deliveries.csv.gz", DELIVERY_COLUMNS)
    report, rejections = await import_deliveries(database, rows, now=system_clock())
    assert not rejections, rejections[0]
    console.print(f"{report.read:,} deliveries ({stopwatch.monotonic() - begun:.1f} s)", highlight=False)


async def _apply(database: Database, applications: Sequence[Application]) -> None:
    for start in range(0, len(applications), AT_ONCE):
        async with database.session() as session:
            for owner, source, applied_at in applications[start : start + AT_ONCE]:
                body = ApplicationCreate(
                    name=owner.name, phone=owner.phone, vin=owner.vin, source=source, dealer_code=owner.chapter
                )
                await joining.apply(session, past.HEADQUARTERS, body, now=applied_at)
