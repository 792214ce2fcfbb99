"""Deliveries enter the books: set-based, a chunk a transaction, idempotent; the database matches them at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

import asyncpg

from app.chapters import queries as chapters
from app.core.actors import Actor
from app.core.clock import china_date
from app.core.db import Database
from app.core.problems import InvalidPayload, NotFound
from app.core.tabular import Rejection, Report, Row
from app.core.unreadable import Unreadable
from app.core.vault import Vault
from app.members import bulk
from app.visits import deliveries_queries as queries
from app.visits.delivered import tell_delivered
from app.visits.deliveries_queries import Known
from app.visits.deliveries_rules import EARLIEST, Delivered, OwnerKind, parse_delivery
from app.visits.problems import DeliveryConflict
from app.visits.service import MOST_REFUSED, Done, OrderReport, Sink

CHUNK = 5_000


async def import_deliveries(
    db: Database, rows: Iterable[Row], *, now: datetime, only_dealers: frozenset[str] | None = None,
    sink: Sink | None = None, dry_run: bool = False, most_refused: int | None = None,
) -> tuple[Report, list[Rejection]]:  # fmt: skip
    """Take in the deliveries of a file; good rows are taken whatever the others are.

    Args:
        only_dealers: refuse the deliveries of every other dealer.
        sink: called in each chunk's transaction.
        dry_run: judge and write, then undo.
        most_refused: stop before more rows are refused.

    Raises:
        Unreadable: the file ended in damage, or too much was refused; the chunks before that are in the books.
    """
    rows, total, rejections = iter(rows), Report(), list[Rejection]()
    feed = _Feed(db.vault, now, only_dealers, keeps=dry_run)
    while chunk := list(islice(rows, CHUNK)):
        async with db.transaction(undo=dry_run) as connection:
            await bulk.lock(connection)
            done = await feed.take(connection, chunk)
            if most_refused is not None and len(rejections) + len(done.rejections) > most_refused:
                raise Unreadable("too_many_refused", limit=MOST_REFUSED, line=chunk[0].line)
            if sink is not None:
                await sink(connection, done)
        rejections += done.rejections
        for field in Report.model_fields:
            setattr(total, field, getattr(total, field) + getattr(done.report, field))
    return total, rejections


class _Feed:
    """Judges rows against what is known and writes the new ones.

    `keeps`: what a rehearsal undoes is remembered here, since the database forgets it.
    """

    def __init__(self, vault: Vault, now: datetime, only_dealers: frozenset[str] | None, *, keeps: bool) -> None:
        self.vault, self.now, self.only_dealers, self.keeps = vault, now, only_dealers, keeps
        self.today = china_date(now)
        self.kept: dict[str, Known] = {}
        self.cancelled: frozenset[queries.Sale] = frozenset()

    async def take(self, connection: asyncpg.Connection, chunk: Sequence[Row]) -> Done:
        """One chunk, in the caller's transaction, which has locked the roll."""
        dealers = frozenset(await chapters.dealer_regions(connection))
        judged = [(row, row.fault or self._judge(row, dealers)) for row in chunk]
        vins = [delivered.vin for _, delivered in judged if isinstance(delivered, Delivered)]
        known = self.kept | await queries.known(connection, vins)
        self.cancelled = await queries.cancelled(connection, vins)
        new, rejections = list[Delivered](), list[Rejection]()
        for row, delivered in judged:
            fault = self._note(delivered, known, new) if isinstance(delivered, Delivered) else delivered
            if fault is not None:
                rejections.append(Rejection.of(row, fault))
        await queries.insert(connection, self.vault, new, self.now)
        await tell_delivered(connection, [delivered.vin for delivered in new], self.now)
        if self.keeps:
            self.kept |= {delivered.vin: known[delivered.vin] for delivered in new}
        report = OrderReport(read=len(chunk), posted=len(new), refused=len(rejections))
        report.already_known = report.read - report.posted - report.refused
        return Done(report, rejections, chunk[-1].line)

    def _judge(self, row: Row, dealers: frozenset[str]) -> Delivered | str:
        delivered = parse_delivery(row.cells, self.today)
        if isinstance(delivered, str):
            return delivered
        code = delivered.dealer_code
        if code not in dealers:
            return f"dealer_code: there is no dealer {code!r}"
        if self.only_dealers is not None and code not in self.only_dealers:
            return f"dealer_code: {code} is not your dealer {', '.join(sorted(self.only_dealers))}"
        return delivered

    def _note(self, delivered: Delivered, known: dict[str, Known], new: list[Delivered]) -> str | None:
        if queries.sale(delivered) in self.cancelled:
            return None
        first = known.get(delivered.vin)
        if first is not None:
            return self.conflict(first, delivered)
        index = self.vault.index(delivered.phone) if delivered.phone else None
        known[delivered.vin] = Known(
            delivered.dealer_code, delivered.delivered_on, delivered.owner_kind, delivered.owner_name, index
        )
        new.append(delivered)
        return None

    def conflict(self, first: Known, second: Delivered) -> str | None:
        """What a car's second delivery says otherwise; consultant and model change in the service, not by the feed."""
        same = {
            "dealer_code": first.dealer_code == second.dealer_code,
            "delivered_on": first.delivered_on == second.delivered_on,
            "owner_kind": first.owner_kind == second.owner_kind,
            "owner_name": first.owner_name in (None, second.owner_name),
            "phone": first.phone_index is None or first.phone_index in self.vault.indexes(second.phone or ""),
        }
        if all(same.values()):
            return None
        fields = ", ".join(field for field, agrees in same.items() if not agrees)
        return f"vin: {second.vin} is known with another {fields}; the first stands"


async def record(db: Database, actor: Actor, delivered: Delivered, *, now: datetime) -> bool:
    """Take in one delivery; false when the same is known already.

    Raises:
        NotFound: it is another dealer's.
        InvalidPayload: an unknown dealer, a day in the future, an individual without a name.
        DeliveryConflict: the car's delivery is known with other content, or this sale was cancelled.
    """
    if not await chapters.reaches(db.pool, actor, delivered.dealer_code):
        raise NotFound("dealer")
    await chapters.require_dealer(db, "/dealer_code", delivered.dealer_code)
    if delivered.delivered_on > china_date(now):
        raise InvalidPayload.at("/delivered_on", "date_in_future")
    if delivered.delivered_on < EARLIEST:
        raise InvalidPayload.at("/delivered_on", "date_too_early", earliest=EARLIEST)
    if delivered.owner_kind is OwnerKind.INDIVIDUAL and delivered.owner_name is None:
        raise InvalidPayload.at("/owner_name", "missing")
    feed = _Feed(db.vault, now, None, keeps=False)
    async with db.transaction() as connection:
        await bulk.lock(connection)
        first = (await queries.known(connection, [delivered.vin])).get(delivered.vin)
        if queries.sale(delivered) in await queries.cancelled(connection, [delivered.vin]):
            raise DeliveryConflict(reason="this sale was cancelled")
        if first is None:
            await queries.insert(connection, db.vault, [delivered], now)
            await tell_delivered(connection, [delivered.vin], now)
            return True
    if reason := feed.conflict(first, delivered):
        raise DeliveryConflict(reason=reason)
    return False
