"""The ledger's door: the only caller of ledger.sql. One call, one round trip, one cause, whole or not at all.

Every operation takes an executor that lends a connection (a pool posts and commits in one round trip; a connection
inside a transaction posts with it) and returns the `Posting`, the same one for a retry under the same key.
Points are whole numbers. Business dates are China dates. Refusals are raised here as problems, never in the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from app.core import problems as core
from app.core.clock import china_date
from app.core.db import Connection, copy_rows
from app.points import problems

HQ = "HQ"
"""Headquarters as a funder and as a place."""


class Kind(StrEnum):
    """What a posting does."""

    EARN = "earn"
    MATURE = "mature"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    REDEEM = "redeem"
    REFUND = "refund"
    REVERSE = "reverse"
    EXPIRE = "expire"
    ADJUST = "adjust"
    WRITE_OFF = "write_off"
    MERGE = "merge"
    UNMERGE = "unmerge"
    RENEW = "renew"


class Request(NamedTuple):
    """Who asks, under which idempotency key, and when. Keys are scoped to their actor.

    `sent` is the request as it came, which tells a retry from another request under the same key; without it the
    operation's arguments do. (They may hold the day's date for one left out, which a retry after midnight changes.)
    """

    actor: str
    key: str
    now: datetime
    sent: str | None = None

    @property
    def key_id(self) -> UUID:
        """The key as the ledger stores it."""
        return _digest(self.actor, self.key)

    def content(self, kind: Kind, member_id: UUID, *arguments: object) -> UUID:
        """What the ledger keeps of the request to compare a later one with."""
        return _digest(kind.value, member_id, *(arguments if self.sent is None else (self.sent,)))


@dataclass(frozen=True, slots=True)
class Posting:
    """One accepted cause and the balances (points) it left. `replayed`: this is the first answer again."""

    member_id: UUID
    posting_no: int
    kind: Kind
    points: int
    cause: str
    booked_on: date
    period: date
    posted_at: datetime
    available: int
    pending: int
    held: int
    owed: int
    replayed: bool


class Code(NamedTuple):
    """A member's one-time code as judged outside: the TOTP step it belongs to, if any, and its digest."""

    step: int | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class Earning:
    """What one business document earns. `cause` is `type:key` and has at most one live earning."""

    member_id: UUID
    points: int
    funder: str
    place: str
    cause: str
    booked_on: date
    spendable_from: date
    expires_on: date
    reason: str | None = None

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The member, then everything else."""
        return (
            self.member_id, self.points, self.funder, self.place, self.cause, self.reason,
            self.booked_on, self.spendable_from, self.expires_on,
        )  # fmt: skip


async def earn(db: Connection, earning: Earning, request: Request) -> Posting:
    """Grant a lot; what the member owes is repaid from it first.

    Raises:
        DocumentConflict: the cause has a live earning with other content.
        KeyConflict, NotFound, WalletClosed, FutureDate.
    """
    e = earning
    content = request.content(Kind.EARN, *e.arguments)
    return await _post(
        db, e.member_id, "SELECT * FROM ledger.earn($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)",
        e.member_id, e.points, e.funder, e.place, e.cause, e.reason, e.booked_on, e.spendable_from, e.expires_on,
        request.actor, request.key_id, content, request.now,
    )  # fmt: skip


async def redeem(
    db: Connection, member_id: UUID, points: int, *, place: str, cause: str, request: Request,
    booked_on: date | None = None, confirm: bool = False, code: Code | None = None,
) -> Posting:  # fmt: skip
    """Spend points at a place, earliest expiry first; `booked_on` is today unless the past is being loaded.

    Raises:
        InsufficientPoints: fewer are spendable on the business date.
        ConfirmationRequired, ConfirmationWrong, ConfirmationLocked: only with `confirm`.
        KeyConflict, NotFound, WalletClosed, FutureDate.
    """
    return await _take(db, Kind.REDEEM, member_id, points, place, cause, request, booked_on, None, confirm, code)


async def hold(
    db: Connection, member_id: UUID, points: int, *, place: str, cause: str, until: datetime, request: Request,
    confirm: bool = False, code: Code | None = None,
) -> Posting:  # fmt: skip
    """Set points aside for one purchase until it is captured, released or `until` has come.

    Raises: as `redeem`.
    """
    return await _take(db, Kind.HOLD, member_id, points, place, cause, request, None, until, confirm, code)


async def _take(
    db: Connection, kind: Kind, member_id: UUID, points: int, place: str, cause: str, request: Request,
    booked_on: date | None, until: datetime | None, confirm: bool, code: Code | None,
) -> Posting:  # fmt: skip
    content = request.content(kind, member_id, points, place, cause, booked_on)
    return await _post(
        db, member_id, "SELECT * FROM ledger.redeem($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)",
        kind, member_id, points, place, cause, None, booked_on or china_date(request.now), until,
        confirm, code and code.step, code and code.digest, request.actor, request.key_id, content, request.now,
        needed=points,
    )  # fmt: skip


async def capture(
    db: Connection, member_id: UUID, hold_no: int, points: int, *, cause: str, request: Request
) -> Posting:
    """Spend `points` of a hold; the rest goes back to its lots.

    Raises:
        ExceedsOriginal: more than was held.
        HoldResolved, HoldExpired, KeyConflict, NotFound, WalletClosed.
    """
    return await _resolve(db, Kind.CAPTURE, member_id, hold_no, points, cause, request)


async def release(db: Connection, member_id: UUID, hold_no: int, *, cause: str, request: Request) -> Posting:
    """Give a hold's points back to their lots; those of a lapsed lot expire.

    Raises:
        HoldResolved, KeyConflict, NotFound, WalletClosed.
    """
    return await _resolve(db, Kind.RELEASE, member_id, hold_no, 0, cause, request)


async def _resolve(
    db: Connection, kind: Kind, member_id: UUID, hold_no: int, points: int, cause: str, request: Request
) -> Posting:
    return await _post(
        db, member_id, "SELECT * FROM ledger.resolve_hold($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
        kind, member_id, hold_no, points, cause, china_date(request.now),
        request.actor, request.key_id, request.content(kind, member_id, hold_no, points, cause), request.now,
    )  # fmt: skip


async def refund(
    db: Connection, member_id: UUID, original: int, points: int | None, *, grace_until: date, cause: str, reason: str,
    request: Request,
) -> Posting:  # fmt: skip
    """Give points of a redemption or capture back to their lots; None: all that is left of it.

    Points of a lapsed lot live on in a child lot of the same funder until `grace_until`.

    Raises:
        ExceedsOriginal: more than is left to refund.
        WrongKind, KeyConflict, NotFound, WalletClosed.
    """
    return await _post(
        db, member_id, "SELECT * FROM ledger.refund($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
        member_id, original, points, grace_until, cause, reason, china_date(request.now),
        request.actor, request.key_id, request.content(Kind.REFUND, member_id, original, points, reason), request.now,
    )  # fmt: skip


async def reverse(
    db: Connection, member_id: UUID, original: int, *, cause: str, reason: str, request: Request
) -> Posting:
    """Take an earning back from its own lot; what was spent or held is then owed to the same funder.

    Raises:
        AlreadyReversed, WrongKind, KeyConflict, NotFound, WalletClosed.
    """
    return await _post(
        db, member_id, "SELECT * FROM ledger.reverse($1,$2,$3,$4,$5,$6,$7,$8,$9)",
        member_id, original, cause, reason, china_date(request.now),
        request.actor, request.key_id, request.content(Kind.REVERSE, member_id, original, reason), request.now,
    )  # fmt: skip


async def adjust(
    db: Connection, member_id: UUID, points: int, *, reason: str, expires_on: date, request: Request
) -> Posting:
    """Correct a balance by a person's decision: above zero granted by headquarters, below zero taken back.

    Raises:
        InsufficientPoints: fewer are available than are to be taken back.
        KeyConflict, NotFound, WalletClosed.
    """
    return await _post(
        db, member_id, "SELECT * FROM ledger.adjust($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
        member_id, points, HQ, f"correction:{request.key_id}", reason, china_date(request.now), expires_on,
        request.actor, request.key_id, request.content(Kind.ADJUST, member_id, points, expires_on, reason), request.now,
        needed=-points,
    )  # fmt: skip


async def merge(db: Connection, from_id: UUID, into_id: UUID, *, cause: str, reason: str, request: Request) -> Posting:
    """Carry a wallet's lots and debts to another's, which goes on for both; answers the posting in that one.

    What undoes an older posting of the merged wallet (a refund, a reversal) still works there and is carried on.

    Raises:
        SameMember, AlreadyMerged, HoldsOpen, KeyConflict, NotFound, WalletClosed.
    """
    return await _post(
        db, into_id, "SELECT * FROM ledger.merge_wallets($1,$2,$3,$4,$5,$6,$7,$8)", from_id, into_id, cause, reason,
        request.actor, request.key_id, request.content(Kind.MERGE, into_id, from_id, reason), request.now,
    )  # fmt: skip


async def unmerge(
    db: Connection, from_id: UUID, into_id: UUID, *, cause: str, reason: str, request: Request
) -> Posting:
    """Part two wallets: what is left of what came from the one goes back; what was spent of it since stays spent.

    Raises:
        NotMerged: they are not merged, or not with each other.
        MergedSince: the one that goes on was itself merged; undo that first.
        KeyConflict, WalletClosed.
    """
    return await _post(
        db, into_id, "SELECT * FROM ledger.unmerge_wallets($1,$2,$3,$4,$5,$6,$7,$8)", from_id, into_id, cause, reason,
        request.actor, request.key_id, request.content(Kind.UNMERGE, into_id, from_id, reason), request.now,
    )  # fmt: skip


async def write_off(db: Connection, member_id: UUID, points: int, *, reason: str, request: Request) -> Posting:
    """Forgive points a member owes, oldest debt first.

    Raises:
        ExceedsOwed, KeyConflict, NotFound, WalletClosed.
    """
    return await _post(
        db, member_id, "SELECT * FROM ledger.write_off($1,$2,$3,$4,$5,$6,$7,$8,$9)",
        member_id, points, f"correction:{request.key_id}", reason, china_date(request.now),
        request.actor, request.key_id, request.content(Kind.WRITE_OFF, member_id, points, reason), request.now,
    )  # fmt: skip


class BatchEarning(NamedTuple):
    """One earning of a batch. `attempt` rises when a cause earns anew after its reversal.

    `spendable_from`: None: at once. `activity_months`: None, or they live to the end of so many months after the
    member's newest earning; `expires_on` is then the first day on which they may lapse.
    """

    member_id: UUID
    points: int
    funder: str
    place: str
    cause: str
    attempt: int
    booked_on: date
    expires_on: date
    spendable_from: date | None = None
    activity_months: int | None = None


async def stage_batch(db: asyncpg.Connection, earnings: Sequence[BatchEarning]) -> None:
    """Send a batch into the caller's transaction, for `earn_staged` to post."""
    # rows travel by COPY: encoding them as array parameters took four times as long
    await db.execute(_STAGE)
    await copy_rows(db, "staged_earning", earnings)


async def stage_from(db: asyncpg.Connection, query: str, *arguments: object) -> None:
    """Add to a staged batch what a query of the caller's gives: a BatchEarning a row, `spendable_from` a day."""
    await db.execute(f"INSERT INTO staged_earning {query}", *arguments)


async def earn_staged(db: asyncpg.Connection, *, actor: str, now: datetime) -> list[int]:
    """Post the staged batch set-based; the caller keeps each cause unique. Answers the indexes of those refused.

    The key of each is its cause and attempt, so a batch sent twice posts once.
    """
    rows = await db.fetch(_EARN_STAGED, actor, now)
    return [index for (index,) in rows]


_STAGE = """
CREATE TEMPORARY TABLE staged_earning (
  member_id uuid, points bigint, funder text, place text, cause text, attempt int,
  booked_on date, expires_on date, spendable_from date, activity_months smallint
) ON COMMIT DROP"""

_EARN_STAGED = """
SELECT posted.idx - 1 FROM (
  SELECT array_agg(member_id) AS members, array_agg(points) AS points, array_agg(funder) AS funders,
         array_agg(place) AS places, array_agg(cause) AS causes, array_agg(attempt) AS attempts,
         array_agg(booked_on) AS booked_on, array_agg(coalesce(spendable_from, booked_on)) AS spendable_from,
         array_agg(expires_on) AS expires_on, array_agg(activity_months) AS activity_months
    FROM (SELECT * FROM staged_earning ORDER BY ctid) ordered
) s, ledger.earn_batch(s.members, s.points, s.funders, s.places, s.causes, s.attempts, s.booked_on, s.spendable_from,
                       s.expires_on, $1, $2, s.activity_months) AS posted
 WHERE posted.posting_no IS NULL"""


async def earn_all(db: asyncpg.Connection, earnings: Sequence[BatchEarning], *, actor: str, now: datetime) -> list[int]:
    """Post a few earnings in the caller's transaction, under the same keys as `earn_staged`; their posting numbers.

    Raises:
        DocumentConflict, NotFound, WalletClosed, FutureDate: of the first that is refused; the caller rolls back.
    """
    if not earnings:
        return []
    *before, booked_on, expires_on, first, months = (list(column) for column in zip(*earnings, strict=True))
    spendable_from = [day or booked for day, booked in zip(first, booked_on, strict=True)]
    rows = await db.fetch(_EARN_ALL, *before, booked_on, spendable_from, expires_on, actor, now, months)
    for status, _ in rows:
        if status not in ("posted", "replayed"):
            raise _refusal(status, 0, 0)
    return [posting_no for _, posting_no in rows]


_EARN_ALL = "SELECT status, posting_no FROM ledger.earn_batch($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12) ORDER BY idx"


async def ripen(db: asyncpg.Connection, member_id: UUID, cause: str, *, on: date, now: datetime) -> int:
    """Make a cause's pending points spendable from a day on, earlier than was said; the points that waited."""
    return int(await db.fetchval("SELECT ledger.ripen($1,$2,$3,$4)", member_id, cause, on, now))


async def open_wallets(db: asyncpg.Connection, member_ids: Sequence[UUID]) -> None:
    """Give members a wallet (or open theirs again), in the enrolment's transaction."""
    await db.execute("SELECT ledger.open_wallets($1)", list(member_ids))


async def close_wallet(db: asyncpg.Connection, member_id: UUID) -> None:
    """Refuse further postings for a member; the points stay as they are."""
    await db.execute("SELECT ledger.close_wallet($1)", member_id)


async def expect_code(
    db: Connection, member_id: UUID, digest: bytes, *, place: str, points: int, until: datetime
) -> bool:
    """Remember the digest of a code for one redemption; false when another was noted less than a minute ago."""
    return bool(await db.fetchval("SELECT ledger.expect_code($1,$2,$3,$4,$5)", member_id, digest, place, points, until))


async def withdraw_code(db: Connection, member_id: UUID, digest: bytes) -> None:
    """Forget a code that could not be sent."""
    await db.execute("SELECT ledger.withdraw_code($1,$2)", member_id, digest)


class Swept(NamedTuple):
    """What the expiry sweep did."""

    members: int
    points: int


async def sweep(db: Connection, *, now: datetime, batch: int = 500) -> Swept:
    """Book what has matured or lapsed by today, batch by batch; each batch is a transaction of its own on a pool.

    Members whom another posting holds are left: that posting, or the next night, brings them up to the day.
    """
    today = china_date(now)
    due = [member_id for (member_id,) in await db.fetch("SELECT ledger.due($1)", today)]
    members = points = 0
    for start in range(0, len(due), batch):
        row = await db.fetchrow("SELECT * FROM ledger.sweep($1,$2,$3)", due[start : start + batch], today, now)
        assert row is not None
        members, points = members + row["members"], points + row["points"]
    return Swept(members, points)


async def release_expired_holds(db: Connection, *, now: datetime, batch: int = 500) -> int:
    """Release holds whose time has run out; how many."""
    released = 0
    while count := await db.fetchval("SELECT ledger.release_expired_holds($1,$2)", batch, now):
        released += int(count)
    return released


async def roll_up(db: Connection) -> None:
    """Fold finished movements into the roll-up; at most one writer at a time."""
    await db.execute("SELECT ledger.roll_up()")


async def open_period(db: Connection, period: date) -> None:
    """Make a month's partition ahead of its first posting."""
    await db.execute("SELECT ledger.open_period($1)", period)


async def lock_period(db: asyncpg.Connection, period: date, *, now: datetime) -> str:
    """Keep posters out of a month until commit: ready, already_sealed, not_ended, before_first or gap."""
    return str(await db.fetchval("SELECT ledger.lock_period($1,$2)", period, now))


async def seal_period(db: asyncpg.Connection, period: date, statements: bytes, *, now: datetime) -> bytes:
    """Seal a locked month over its totals and its statements' digest; the seal, chained to the previous one."""
    seal = await db.fetchval("SELECT ledger.seal_period($1,$2,$3)", period, statements, now)
    assert isinstance(seal, bytes)
    return seal


def _digest(*parts: object) -> UUID:
    # repr quotes strings, so that ("ab", "c") and ("a", "bc") differ
    return UUID(bytes=sha256(repr(parts).encode()).digest()[:16])


_REFUSALS: dict[str, type[core.Problem]] = {
    "key_conflict": core.KeyConflict,
    "document_conflict": problems.DocumentConflict,
    "already_reversed": problems.AlreadyReversed,
    "same_member": problems.SameMember,
    "already_merged": problems.AlreadyMerged,
    "holds_open": problems.HoldsOpen,
    "not_merged": problems.NotMerged,
    "merged_since": problems.MergedSince,
    "wrong_kind": problems.WrongKind,
    "hold_resolved": problems.HoldResolved,
    "hold_expired": problems.HoldExpired,
    "wallet_closed": problems.WalletClosed,
    "future_date": problems.FutureDate,
    "dates_out_of_order": problems.DatesOutOfOrder,
    "confirmation_required": problems.ConfirmationRequired,
    "confirmation_wrong": problems.ConfirmationWrong,
    "confirmation_locked": problems.ConfirmationLocked,
}


async def _post(db: Connection, member_id: UUID, call: str, *arguments: Any, needed: int = 0) -> Posting:
    row = await _answer(db, call, *arguments)
    assert row is not None
    (
        status,
        posting_no,
        kind,
        points,
        cause,
        booked_on,
        period,
        posted_at,
        available,
        pending,
        held,
        owed,
    ) = row
    if status not in ("posted", "replayed"):
        raise _refusal(status, needed, available)
    return Posting(
        member_id, posting_no, Kind(kind), points, cause, booked_on, period, posted_at,
        available, pending, held, owed, status == "replayed",
    )  # fmt: skip


async def _answer(db: Connection, call: str, *arguments: Any) -> asyncpg.Record | None:
    try:
        return await db.fetchrow(call, *arguments)
    except asyncpg.CheckViolationError as error:
        # the month's partition was made by another just now: a transaction under way need not see it, the next one does
        if error.constraint_name is not None or not isinstance(db, asyncpg.Pool):
            raise
    return await db.fetchrow(call, *arguments)


def _refusal(status: str, needed: int, figure: int) -> core.Problem:
    match status:
        case "insufficient":
            return problems.InsufficientPoints(needed=needed, available=figure)
        case "exceeds_original":
            return problems.ExceedsOriginal(left=figure)
        case "exceeds_owed":
            return problems.ExceedsOwed(owed=figure)
        case "unknown_member":
            return core.NotFound("member")
        case "unknown_posting":
            return core.NotFound("posting")
    return _REFUSALS[status]()
