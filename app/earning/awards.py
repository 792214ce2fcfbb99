"""What rules give is posted and kept: each lot with the rule's version and the inputs it was computed from.

Other domains tell of an event by `award`, in their own transaction; `reverse` takes back what a document earned, by the
awards on record and never by today's rules. Batches (`app.visits.service`) judge many events and post them together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from app.core.actors import HEADQUARTERS
from app.core.db import insert_rows, new_id
from app.core.problems import InvalidPayload, NotFound
from app.earning import book as books
from app.earning import engine, limits, tiers
from app.earning.awards_models import CaseKind
from app.earning.book import Book, Judged
from app.earning.definitions import UntilEvent
from app.earning.engine import Considered, Rule, Verdict
from app.earning.tiers_models import Measure
from app.earning.triggers import EVENT, Trigger, Value, day_values, read
from app.points import ledger
from app.points.ledger import BatchEarning, Request
from app.points.problems import DocumentConflict

_CASES = {
    Verdict.FAILED: CaseKind.PARKED, Verdict.BUDGET_USED_UP: CaseKind.BUDGET, Verdict.HELD: CaseKind.REVIEW,
}  # fmt: skip


class Event(NamedTuple):
    """Something that happened once. `document` is `type:key`; `fields` are the trigger's own, others take defaults."""

    trigger: Trigger
    document: str
    member_id: UUID
    dealer_code: str | None
    on: date
    fields: Mapping[str, Any]
    attempt: int = 1

    def typed(self, book: Book) -> engine.Event:
        """The event as rules see it.

        Raises:
            InvalidPayload: a field is unknown, missing or of another kind; or the dealer is not known.
        """
        code = self.dealer_code or ""
        if code and not book.knows(code):
            raise InvalidPayload.at("/dealer_code", "unknown_dealer", value=code)
        values, faults = read("event", EVENT[self.trigger], self.fields, "/fields")
        if faults:
            raise InvalidPayload(errors=faults)
        dealer = {"dealer.code": code, "dealer.region": book.dealers.get(code, "")}
        return engine.Event(
            self.trigger, self.document, self.member_id, self.dealer_code, self.on, values | dealer, self.attempt
        )


class Lot(NamedTuple):
    """What a rule gives for an event to be funded by one party; `part` counts the document's lots from 1."""

    event: engine.Event
    rule: Rule
    part: int
    funder: str
    points: int
    status_points: int

    @property
    def cause(self) -> str | None:
        """The lot's document in the ledger: the first has the event's own, the others `type.PART:key`."""
        return cause_of(self.event.document, self.part) if self.points else None

    @property
    def earning(self) -> BatchEarning:
        """The lot as it is posted."""
        event = self.event
        first, last, activity_months = engine.days(self.rule, event.on)
        return BatchEarning(
            event.member_id, self.points, self.funder, event.place, cause_of(event.document, self.part), event.attempt,
            event.on, last, first, activity_months,
        )  # fmt: skip

    @property
    def inputs(self) -> dict[str, Value]:
        """What the rule was computed from."""
        values, day = self.event.values, day_values(self.event.on)
        return {name: values[name] if name in values else day[name] for name in sorted(self.rule.fields)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an event: every rule considered, the lots it gave and their posting numbers.

    `cases` wait for a person; `released` are points that had waited for this event. `replayed`: the first answer again.
    """

    document: str
    attempt: int
    considered: Sequence[Considered] = ()
    lots: Sequence[Lot] = ()
    posting_nos: Sequence[int] = ()
    cases: Sequence[UUID] = ()
    released: int = 0
    replayed: bool = False

    @property
    def points(self) -> int:
        """The points given."""
        return sum(lot.points for lot in self.lots)


def cause_of(document: str, part: int) -> str:
    """The ledger's cause of a document's lot. No caller's document can be mistaken for it: types have no dot."""
    if part == 1:
        return document
    kind, _, key = document.partition(":")
    return f"{kind}.{part}:{key}"


def lots_of(event: engine.Event, considered: Sequence[Considered], first: int = 1) -> list[Lot]:
    """What the rules give for an event, each funder's share apart; status points go with a rule's first lot."""
    lots: list[Lot] = []
    for one in considered:
        if one.verdict is not Verdict.GIVES:
            continue
        status = one.status_points
        for funder, points in engine.shared(one.points, one.rule.definition.funders, event.dealer_code):
            lots.append(Lot(event, one.rule, first + len(lots), funder, points, status))
            status = 0
    return lots


# --- one event ---


async def award(connection: asyncpg.Connection, event: Event, request: Request, *, every: bool = False) -> Outcome:
    """Post what an event earns, in the caller's transaction; once for each document and attempt.

    Args:
        request: who asks, and when; its key is not used, since the document is known again.
        every: tell also of rules that hold elsewhere or on other days.

    Raises:
        InvalidPayload: a field is unknown, missing or of another kind; or the dealer is not known.
        DocumentConflict: the document was brought before for another member or dealer, or from other inputs.
        NotFound: there is no such member.
        WalletClosed, FutureDate.
    """
    await lock(connection, event.document)
    book = await books.book(connection)
    typed = await _typed(connection, event, book)
    if (first := await _first_outcome(connection, typed, book)) is not None:
        return first
    before = await books.considered(connection, book, [typed], every=every)
    ((typed, judged),) = await limits.within_limits(connection, before)
    lots = lots_of(typed, judged)
    posting_nos = await post(connection, lots, request)
    cases = await keep_cases(connection, kept([(typed, judged)]), request.now)
    released = await _release(connection, typed, request.now)
    return Outcome(typed.document, typed.attempt, judged, lots, posting_nos, cases, released)


async def lock(connection: asyncpg.Connection, document: str) -> None:
    """Have whoever brings the document meanwhile wait for this transaction's end."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 3))", document)


async def park(connection: asyncpg.Connection, event: Event, reason: str, now: datetime) -> list[UUID]:
    """Keep what an event would earn as cases, when it cannot be posted for a reason of its member; the cases' ids.

    Raises:
        InvalidPayload, NotFound: as `award`.
    """
    book = await books.book(connection)
    typed = await _typed(connection, event, book)
    ((typed, judged),) = await books.considered(connection, book, [typed])
    parked = [one._replace(verdict=Verdict.FAILED, reason=reason) if one.gives else one for one in judged]
    return await keep_cases(connection, kept([(typed, parked)]), now)


async def _typed(connection: asyncpg.Connection, event: Event, book: Book) -> engine.Event:
    member_id = await connection.fetchval("SELECT coalesce(merged_into, id) FROM member WHERE id = $1", event.member_id)
    if member_id is None:
        raise NotFound("member")
    return event._replace(member_id=member_id).typed(book)


_AWARDS = """
SELECT a.part, a.rule_no, coalesce(m.merged_into, a.member_id) AS member_id, a.funder, a.place, a.points,
       a.status_points, a.inputs::text AS inputs, a.waits_for, a.cause, p.posting_no
  FROM award a LEFT JOIN member m ON m.id = a.member_id LEFT JOIN ledger.posting p
    ON p.member_id = a.member_id AND p.request_key = md5(a.cause || '#' || a.attempt)::uuid
 WHERE a.document = $1 AND a.attempt = $2 ORDER BY a.part"""

_CASES_OF = f"""
SELECT c.id, coalesce(m.merged_into, c.member_id) AS member_id, coalesce(c.dealer_code, '{HEADQUARTERS}') AS place
  FROM earning_case c LEFT JOIN member m ON m.id = c.member_id
 WHERE c.document = $1 AND c.attempt = $2 ORDER BY c.id"""  # noqa: S608 (a constant of ours)


async def _first_outcome(connection: asyncpg.Connection, event: engine.Event, book: Book) -> Outcome | None:
    rows = await connection.fetch(_AWARDS, event.document, event.attempt)
    cases = await connection.fetch(_CASES_OF, event.document, event.attempt)
    if not rows and not cases:
        return None
    if any((one["member_id"], one["place"]) != (event.member_id, event.place) for one in (*rows, *cases)):
        raise DocumentConflict
    values = {**day_values(event.on), **event.values}
    for row in rows:
        inputs = {name: value for name, value in orjson.loads(row["inputs"]).items() if not name.startswith("member.")}
        if any(values[name] != value for name, value in inputs.items()):
            raise DocumentConflict
    lots = [
        Lot(event, book.version(row["rule_no"]), row["part"], row["funder"], row["points"], row["status_points"])
        for row in rows
    ]
    return Outcome(
        event.document, event.attempt, lots=lots, posting_nos=[row["posting_no"] for row in rows if row["posting_no"]],
        cases=[row["id"] for row in cases], replayed=True,
    )  # fmt: skip


async def post(
    connection: asyncpg.Connection, lots: Sequence[Lot], request: Request, case_id: UUID | None = None
) -> list[int]:
    """Post lots and put their awards on record, in the caller's transaction; the posting numbers.

    Raises:
        WalletClosed, FutureDate, DocumentConflict.
    """
    earnings = [lot.earning for lot in lots if lot.points]
    posting_nos = await ledger.earn_all(connection, earnings, actor=request.actor, now=request.now)
    await keep(connection, lots, request.now, case_id)
    return posting_nos


async def keep(connection: asyncpg.Connection, lots: Sequence[Lot], now: datetime, case_id: UUID | None = None) -> None:
    """Put awards on record, in the transaction that posts them."""
    records = [
        (
            lot.event.document, lot.event.attempt, lot.part, lot.event.trigger, lot.event.member_id, lot.rule.no,
            lot.cause, lot.funder, lot.event.place, lot.points, lot.status_points, lot.event.on, _waits_for(lot.rule),
            orjson.dumps(lot.inputs).decode(), case_id, now,
        )
        for lot in lots
    ]  # fmt: skip
    if records:
        await insert_rows(connection, "award", _COLUMNS, records)
    if lifted := {lot.event.member_id for lot in lots if lot.status_points}:
        await tiers.rise(connection, (Measure.STATUS_POINTS,), lifted, now)


_COLUMNS = (
    "document", "attempt", "part", "trigger", "member_id", "rule_no", "cause", "funder", "place", "points",
    "status_points", "booked_on", "waits_for", "inputs", "case_id", "posted_at",
)  # fmt: skip


def _waits_for(rule: Rule) -> str | None:
    pending = rule.definition.pending
    return pending.event if isinstance(pending, UntilEvent) else None


Kept = tuple[engine.Event, Considered]
"""An event, and a rule that could not give by itself."""


def kept(judged: Sequence[Judged]) -> list[Kept]:
    """What a person has to decide."""
    return [(event, one) for event, considered in judged for one in considered if one.verdict in engine.KEPT]


async def keep_cases(connection: asyncpg.Connection, kept: Sequence[Kept], now: datetime) -> list[UUID]:
    """Keep what rules could not give by themselves as cases; their ids."""
    cases = [
        (
            new_id(), _CASES[one.verdict], "open", event.document, event.attempt, event.trigger, event.member_id,
            event.dealer_code, event.on, orjson.dumps(dict(event.values)).decode(), one.rule.no, one.points,
            one.status_points, one.reason, now,
        )
        for event, one in kept
    ]  # fmt: skip
    if cases:
        await insert_rows(connection, "earning_case", _CASE_COLUMNS, cases)
    return [case[0] for case in cases]


_CASE_COLUMNS = (
    "id", "kind", "status", "document", "attempt", "trigger", "member_id", "dealer_code", "booked_on", "values",
    "rule_no", "points", "status_points", "reason", "created_at",
)  # fmt: skip


async def _release(connection: asyncpg.Connection, event: engine.Event, now: datetime) -> int:
    """Points that waited for a custom event of this name, whose key is their document, become spendable."""
    if event.trigger is not Trigger.CUSTOM:
        return 0
    rows = await connection.fetch(
        """SELECT member_id, cause FROM award WHERE document = $1 AND waits_for = $2 AND reversed_at IS NULL
              AND cause IS NOT NULL ORDER BY part""",
        event.document.partition(":")[2], event.values["event.name"],
    )  # fmt: skip
    return sum([await ledger.ripen(connection, *row, on=event.on, now=now) for row in rows])


# --- back ---


async def reverse(connection: asyncpg.Connection, document: str, *, reason: str, request: Request) -> int:
    """Take back all that a document earned, by its awards on record; the points. Open cases of it are refused.

    What it earned without an award on record (`document` itself is the lot's cause) is the caller's to reverse.

    Raises:
        WalletClosed: a wallet that is to give it back is closed.
    """
    return await _reverse(connection, document, reason, request)


async def reverse_with(
    connection: asyncpg.Connection, member_id: UUID, posting_no: int, reason: str, request: Request
) -> None:
    """Take back what else a posting's document earned: its lots stand and fall together."""
    document = await connection.fetchval(
        """SELECT a.document FROM ledger.posting p JOIN award a ON a.member_id = p.member_id AND a.cause = p.cause
            WHERE p.member_id = $1 AND p.posting_no = $2 AND p.kind = 'earn' AND a.reversed_at IS NULL
              AND p.request_key = md5(a.cause || '#' || a.attempt)::uuid""",
        member_id, posting_no,
    )  # fmt: skip
    if document is not None:
        await _reverse(connection, document, reason, request, but=(member_id, posting_no))


async def _reverse(
    connection: asyncpg.Connection, document: str, reason: str, request: Request,
    but: tuple[UUID, int] | None = None,
) -> int:  # fmt: skip
    await lock(connection, document)
    await connection.execute(
        """UPDATE earning_case SET status = 'refused', decided_at = $2, decided_by = $3, decision = $4
            WHERE document = $1 AND status = 'open'""",
        document, request.now, request.actor, reason,
    )  # fmt: skip
    rows = await connection.fetch(_LIVE, document)
    if not rows:
        return 0
    await _give_back(connection, rows)
    for row in rows:
        if row["posting_no"] is not None and (row["member_id"], row["posting_no"]) != but:
            await ledger.reverse(
                connection, row["member_id"], row["posting_no"], cause=document, reason=reason,
                request=Request(request.actor, f"{request.key}:{row['attempt']}.{row['part']}", request.now),
            )  # fmt: skip
    await connection.execute(
        "UPDATE award SET reversed_at = $2 WHERE document = $1 AND reversed_at IS NULL", document, request.now
    )
    return sum(row["points"] for row in rows)


# only lots that live still: one that was carried on in a merge does
_LIVE = """
SELECT a.*, l.posting_no FROM award a
  LEFT JOIN ledger.lot l ON l.document = a.cause AND l.member_id = a.member_id AND l.is_live
 WHERE a.document = $1 AND a.reversed_at IS NULL ORDER BY a.attempt, a.part"""


async def _give_back(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> None:
    book = await books.book(connection)
    given: dict[tuple[int, int], tuple[engine.Event, Considered]] = {}
    for row in rows:
        rule, place = book.version(row["rule_no"]), row["place"]
        event = engine.Event(
            Trigger(row["trigger"]), row["document"], row["member_id"], None if place == HEADQUARTERS else place,
            row["booked_on"], {}, row["attempt"],
        )  # fmt: skip
        _, before = given.get((row["attempt"], rule.no), (event, Considered(rule, Verdict.GIVES)))
        given[row["attempt"], rule.no] = event, Considered(rule, Verdict.GIVES, before.points + row["points"])
    await limits.give_back(connection, list(given.values()))
