"""Repair orders enter the books: judged one by one, posted a chunk at a time, each chunk whole or not at all."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

import asyncpg

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import queries as chapters
from app.core.actors import Actor, Reach, Role
from app.core.db import Database
from app.core.problems import NotFound
from app.core.tabular import Rejection, Report, Row
from app.core.unreadable import Unreadable
from app.earning import awards, limits, tiers
from app.earning import book as books
from app.earning.awards import Kept
from app.earning.book import Book
from app.earning.book import Judged as Earning
from app.members import vehicle_queries as vehicles
from app.members.vehicle_queries import WorkshopReading
from app.points import ledger
from app.points import queries as points
from app.points.ledger import Request
from app.visits import earnings, queries
from app.visits.problems import OrderConflict, OrderRefused, OrderTooLarge
from app.visits.queries import Accepted, Known, Owner
from app.visits.rules import COLUMNS, Order, mileage_km, parse_order
from app.visits.tiers import MEASURES

FIRST_CHUNK, CHUNK = 1_000, 5_000
_PIECE = 250
"""Rows that are judged before the chunks under way are served again."""
MOST_REFUSED = 10_000
"""Refused rows that are kept of an upload: one that has more is not what its sender takes it for."""
_ATTEMPTS = 5
"""How often a chunk is written in vain: each time another import was first leaves fewer orders and does not count."""


class OrderReport(Report):
    """What became of a file of orders; `points` were earned by those posted (earning 0 counts as posted).

    `parked` earnings of posted orders wait for a person: a budget was used up, a rule failed or asks for a review.
    """

    points: int = 0
    parked: int = 0

    def add(self, other: "OrderReport") -> None:
        """Count another chunk's rows in."""
        for field in OrderReport.model_fields:
            setattr(self, field, getattr(self, field) + getattr(other, field))


Document = tuple[str, str]
"""A dealer's code and its order number."""


class Judged(NamedTuple):
    """A chunk read from the file: orders with their lines, rows refused already, and the last line."""

    orders: list[tuple[Row, Order]]
    rejections: list[Rejection]
    last_line: int


class Done(NamedTuple):
    """A chunk in the books."""

    report: OrderReport
    rejections: list[Rejection]
    last_line: int


Sink = Callable[[asyncpg.Connection, Done], Awaitable[None]]
"""Told of each chunk inside its transaction: what it writes stands or falls with the chunk."""


async def import_orders(
    db: Database, rows: Iterable[Row], *, actor: str, now: datetime, only_dealers: frozenset[str] | None = None,
    sink: Sink | None = None, dry_run: bool = False, most_fen: int | None = None, most_refused: int | None = None,
) -> tuple[OrderReport, list[Rejection]]:  # fmt: skip
    """Post the orders of a file; good rows are posted whatever the others are.

    Args:
        only_dealers: refuse the orders of every other dealer.
        sink: called in each chunk's transaction.
        dry_run: judge and post, then undo.
        most_fen: refuse orders of which more was paid.
        most_refused: stop before more rows are refused.

    Raises:
        Unreadable: the file ended in damage, or too much was refused; the chunks before that are posted.
    """
    writer = _Books(db, await books.book(db.pool), actor, now, sink, dry_run)
    report, rejections = OrderReport(), list[Rejection]()
    in_flight: deque[Flight] = deque()
    try:
        for chunk in _chunks(iter(rows)):
            # three at once: the database posts one chunk and has received the next while this one is read and matched
            judged = await _judge(chunk, writer.book, now, only_dealers, most_fen)
            prepared = await writer.prepare(judged, in_flight, look_up=writer.finds_known)
            under_way = (prepared, *(flight.prepared for flight in in_flight))
            refused = report.refused + sum(one.done.report.refused for one in under_way)
            if most_refused is not None and refused > most_refused:
                raise Unreadable("too_many_refused", limit=MOST_REFUSED, line=chunk[0].line)
            if len(in_flight) == 2:
                # by `wait`, which does not cancel with us what is under way
                await asyncio.wait([in_flight[0].written])
                _count(in_flight.popleft().written.result(), report, rejections)
            in_flight.append(writer.hand_over(prepared, tuple(in_flight)))
            if limits.is_limited(prepared.earning):
                # it begins when those before it have landed: to read on meanwhile would only hold it up
                await in_flight[-1].sent.wait()
    finally:
        for done in await asyncio.gather(*(flight.written for flight in in_flight)):
            _count(done, report, rejections)
    return report, sorted(rejections)


def _count(done: Done, report: OrderReport, rejections: list[Rejection]) -> None:
    report.add(done.report)
    rejections.extend(done.rejections)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    # small ones first, for the database to begin soon
    size = min(FIRST_CHUNK, CHUNK)
    while chunk := list(islice(rows, size)):
        yield chunk
        size = min(2 * size, CHUNK)


async def _judge(
    chunk: Sequence[Row], book: Book, now: datetime, only_dealers: frozenset[str] | None, most_fen: int | None
) -> Judged:
    orders: list[tuple[Row, Order]] = []
    rejections: list[Rejection] = []
    for at, row in enumerate(chunk):
        if at % _PIECE == 0:
            await asyncio.sleep(0)
        order = row.fault or parse_order(row.cells, now)
        if isinstance(order, str):
            rejections.append(Rejection.of(row, order))
        elif order.dealer_code not in book.dealers:
            rejections.append(Rejection.of(row, f"dealer_code: there is no dealer {order.dealer_code!r}"))
        elif only_dealers is not None and order.dealer_code not in only_dealers:
            own = ", ".join(sorted(only_dealers))
            rejections.append(Rejection.of(row, f"dealer_code: {order.dealer_code} is not your dealer {own}"))
        elif most_fen is not None and order.paid_fen > most_fen:
            rejections.append(Rejection.of(row, f"paid_fen: {order.paid_fen} exceeds {most_fen}: ask headquarters"))
        else:
            orders.append((row, order))
    return Judged(orders, rejections, chunk[-1].line)


class Prepared(NamedTuple):
    """A chunk matched with owners and known orders, ready to be written."""

    judged: Judged
    accepted: list[Accepted]
    earning: list[Earning]
    known: dict[Document, Known]
    done: Done


class Flight(NamedTuple):
    """A chunk on its way into the database."""

    prepared: Prepared
    sent: asyncio.Event
    """Its orders and earnings are in the database, though not yet for others to see; or it has ended."""
    written: asyncio.Task[Done]


class _Stale(Exception):
    """What the chunk was matched against has changed meanwhile."""


class _Books:
    """Matches chunks and writes them, each in one transaction."""

    def __init__(self, db: Database, book: Book, actor: str, now: datetime, sink: Sink | None, dry_run: bool) -> None:
        self.db, self.book, self.actor, self.now, self.sink, self.dry_run = db, book, actor, now, sink, dry_run
        self.finds_known = True
        """Whether the last chunk that was looked up had known orders: while none has, their key tells."""

    async def prepare(self, judged: Judged, in_flight: Iterable[Flight], *, look_up: bool) -> Prepared:
        """Match a chunk.

        Args:
            in_flight: chunks still being written, whose orders the database may not show yet.
            look_up: ask for orders that are known; else their key refuses them when they are written.
        """
        documents = [order[:2] for _, order in judged.orders]
        async with self.db.connection() as connection:
            owners = await queries.owners(connection, {order.vin for _, order in judged.orders})
            known = await queries.known_orders(connection, documents) if look_up else {}
        if look_up:
            self.finds_known = bool(known)
        for sent in (flight.prepared.known for flight in in_flight):
            # a dry run's orders never come to stand in the database: all of them are carried along
            known |= sent if self.dry_run else {d: sent[d] for d in documents if d in sent}
        report = OrderReport(read=len(judged.orders) + len(judged.rejections))
        rejections = list(judged.rejections)
        accepted: list[Accepted] = []
        for row, order in judged.orders:
            document = order[:2]
            first = known.get(document)
            if order.vin not in owners:
                rejections.append(Rejection.of(row, f"vin: {order.vin} is not known"))
            elif first is None or (not first.stands and order not in first.revisions):
                revision, earlier = (first.revision + 1, first.revisions) if first else (1, ())
                accepted.append(_accept(row, order, revision, owners[order.vin]))
                known[document] = Known(order, revision, True, (*earlier, order))
            elif first.order == order or not first.stands:
                # also what was taken out of the books: an old file sent again does not bring it back
                report.already_known += 1
            else:
                rejections.append(Rejection.of(row, _conflict(first.order, order)))
        report.posted, report.refused = len(accepted), len(rejections)
        async with self.db.connection() as connection:
            earning = await earnings.judged(connection, self.book, accepted)
        return Prepared(judged, accepted, earning, known, Done(report, rejections, judged.last_line))

    def hand_over(self, prepared: Prepared, before: Sequence[Flight]) -> Flight:
        """Begin to send a chunk to the database; it is posted after those before it, and has ended with its commit."""
        sent = asyncio.Event()
        written = asyncio.create_task(self._write(prepared, before, sent.set))
        written.add_done_callback(lambda _: sent.set())
        return Flight(prepared, sent, written)

    async def _write(self, prepared: Prepared, before: Sequence[Flight], sent: Callable[[], None]) -> Done:
        for flight in before:
            # else two imports of one file could each wait for orders that a later chunk of the other has written
            await flight.sent.wait()
        vain = 0
        while True:
            try:
                return await self._write_once(prepared, before, sent)
            except (asyncpg.UniqueViolationError, _Stale):
                # one of the orders is known after all, or a wallet was closed: match the chunk anew
                again = await self.prepare(prepared.judged, before, look_up=True)
                vain += len(again.accepted) == len(prepared.accepted)
                if vain == _ATTEMPTS:
                    raise
                prepared = again

    async def _write_once(self, prepared: Prepared, before: Sequence[Flight], sent: Callable[[], None]) -> Done:
        async with self.db.transaction(undo=self.dry_run) as connection:
            return await self._post(connection, prepared, before, sent)

    async def _post(
        self, connection: asyncpg.Connection, prepared: Prepared, before: Sequence[Flight], sent: Callable[[], None]
    ) -> Done:
        judged = prepared.earning
        if limits.is_limited(judged):
            # a limit is judged when all before it is posted, and keeps others waiting until the commit
            await _landed(before)
            judged = await limits.within_limits(connection, judged)
        given = earnings.given(judged)
        incoming = await queries.insert_orders(connection, prepared.accepted, given.earned, self.now)
        await earnings.stage(connection, given, incoming)
        sent()
        await _landed(before)
        if await ledger.earn_staged(connection, actor=self.actor, now=self.now):
            raise _Stale
        await awards.keep(connection, given.lots, self.now)
        visitors = {one.member_id for one in prepared.accepted if one.member_id is not None}
        await tiers.rise(connection, MEASURES, visitors, self.now)
        kept = awards.kept(judged)
        await awards.keep_cases(connection, kept, self.now)
        await self._note_mileages(connection, prepared.accepted)
        done = _posted(prepared, kept, given)
        if self.sink is not None:
            await self.sink(connection, done)
        return done

    async def _note_mileages(self, connection: asyncpg.Connection, accepted: Sequence[Accepted]) -> None:
        # last of all: from here on the cars are locked, and no chunk waits for one that has locked some
        read = [
            WorkshopReading(order.vin, km, order.business_date, f"{cause}#{revision}")
            for _, order, cause, revision, _, km in accepted
            if km is not None
        ]
        if read:
            await vehicles.note_workshop(connection, read, actor=self.actor, now=self.now)


def _accept(row: Row, order: Order, revision: int, owners: Iterable[Owner]) -> Accepted:
    on, km, cause = order.business_date, mileage_km(row.cells), queries.cause(order.dealer_code, order.order_no)
    for member_id, is_active, since, until in owners:
        if since <= on and (until is None or on <= until):
            return Accepted(row, order, cause, revision, member_id if is_active else None, km)
    return Accepted(row, order, cause, revision, None, km)


async def _landed(before: Iterable[Flight]) -> None:
    for flight in before:
        await asyncio.shield(flight.written)


def _posted(prepared: Prepared, kept: Sequence[Kept], given: earnings.Earnings) -> Done:
    report, rejections, last_line = prepared.done
    notes = earnings.notes(kept, prepared.accepted)
    points = sum(one.points for one in given.earned.values())
    counted = report.model_copy(update={"points": points, "parked": len(notes)})
    return Done(counted, [*rejections, *notes], last_line)


def _conflict(first: Order, second: Order) -> str:
    fields = [
        name for name, a, b in zip(Order._fields, first, second, strict=True) if a != b and name != "business_date"
    ]
    return f"order_no: {first.dealer_code} {first.order_no} is known with another {', '.join(fields)}; the first stands"


def most_fen(actor: Actor, limit_fen: int) -> int | None:
    """The most an order of this sender's may be (fen): any amount (None) only for headquarters' people."""
    is_headquarters = actor.reach is Reach.ALL and actor.role is not Role.API_CLIENT
    return None if is_headquarters else limit_fen


async def record_order(db: Database, row: Row, *, actor: Actor, now: datetime, limit_fen: int) -> bool:
    """Post one repair order; false when the same order is known already.

    Raises:
        NotFound: it is another dealer's.
        OrderConflict: the document is known with other content.
        OrderRefused: the order breaks a rule.
        OrderTooLarge: more was paid than this sender may post.
    """
    if not await chapters.reaches(db.pool, actor, row.cells[0]):
        raise NotFound("dealer")
    most = most_fen(actor, limit_fen)
    if most is not None and int(row.cells[COLUMNS.index("paid_fen")]) > most:
        raise OrderTooLarge(limit_fen=most)
    report, rejections = await import_orders(db, [row], actor=actor.subject, now=now)
    if report.refused == 0:
        return report.posted == 1
    document = (row.cells[0], row.cells[1])
    known = document in await queries.known_orders(db.pool, [document])
    raise (OrderConflict if known else OrderRefused)(reason=rejections[0].reason)


async def cancel_order(db: Database, dealer_code: str, order_no: str, reason: str, request: Request) -> None:
    """Take an order out of the books: its earning is reversed, its number is free for a corrected order.

    Cancelling twice changes nothing.

    Raises:
        NotFound: there is no such order.
    """
    async with db.transaction() as connection:
        if not await queries.mark_cancelled(connection, dealer_code, order_no, request.now):
            return
        await audit.record(connection, Action.CANCELLED, "repair_order", [f"{dealer_code}/{order_no}"])
        cause = queries.cause(dealer_code, order_no)
        documents = [f"{cause}#{revision}" for revision in await queries.revisions(connection, dealer_code, order_no)]
        await vehicles.withdraw_workshop(connection, documents, actor=request.actor, now=request.now)
        await awards.reverse(connection, cause, reason=reason, request=request)
        # what one simple rule gave has no award on record
        if (earned := await points.live_earning(connection, cause)) is not None:
            await ledger.reverse(connection, *earned, cause=cause, reason=reason, request=request)
