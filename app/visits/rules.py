"""What a repair order must look like: pure, no I/O. Source: docs/imports.md."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from app.core.clock import CHINA

COLUMNS = ("dealer_code", "order_no", "vin", "closed_at", "kind", "labour_fen", "parts_fen", "paid_fen")
MILEAGE = "mileage_km"
"""A column that files of orders may have besides: what the car had run when it came."""
KINDS = frozenset({"maintenance", "repair"})
_CHINA_OFFSET = timedelta(hours=8)
_EARLIEST = datetime(2000, 1, 1, tzinfo=CHINA)
_MOST_FEN = 10**12
_is_fen = re.compile(r"[0-9]{1,12}").fullmatch
_are_fen = re.compile(r"[0-9]{1,12}(?:,[0-9]{1,12}){2}").fullmatch


class Order(NamedTuple):
    """A repair order as sent. Money in fen; `business_date` is the China date of `closed_at`."""

    dealer_code: str
    order_no: str
    vin: str
    closed_at: datetime
    business_date: date
    kind: str
    labour_fen: int
    parts_fen: int
    paid_fen: int


def parse_order(cells: Sequence[str], now: datetime) -> Order | str:
    """The order in a row's cells (in the order of COLUMNS), or what is wrong with it and what would be right."""
    dealer_code, order_no, vin, closed_at, kind, labour_fen, parts_fen, paid_fen, *mileage = cells
    if not order_no or len(order_no) > 64 or not order_no.isprintable() or order_no != order_no.strip():
        return f"order_no: {order_no!r} must be 1 to 64 printable characters"
    if len(vin) != 17 or not vin.isascii() or not vin.isalnum():
        return f"vin: {vin!r} must be 17 letters and digits"
    if kind not in KINDS:
        return f"kind: {kind!r} must be maintenance or repair"
    moment = _parse_moment(closed_at, now)
    if isinstance(moment, str):
        return moment
    if not _are_fen(f"{labour_fen},{parts_fen},{paid_fen}"):
        return _fen_fault(labour_fen, parts_fen, paid_fen)
    labour, parts, paid = int(labour_fen), int(parts_fen), int(paid_fen)
    if paid > labour + parts:
        return f"paid_fen: {paid} is more than labour_fen + parts_fen = {labour + parts}"
    if mileage and (fault := _mileage_fault(*mileage)):
        return fault
    at, on = moment
    return Order(dealer_code, order_no, vin.upper(), at, on, kind, labour, parts, paid)


def mileage_km(cells: Sequence[str]) -> int | None:
    """What the car had run, of a row that `parse_order` takes; None: it does not say."""
    return int(cells[-1]) if len(cells) > len(COLUMNS) and cells[-1] else None


def _mileage_fault(text: str) -> str | None:
    if not text or (text.isascii() and text.isdigit() and len(text) <= 7):
        return None
    return f"{MILEAGE}: {text!r} must be whole km, 0 to 9999999, or empty"


def _parse_moment(text: str, now: datetime) -> tuple[datetime, date] | str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return f"closed_at: {text!r} must be a time such as 2026-10-31T09:30:00+08:00"
    offset = at.utcoffset()
    if offset is None:
        return f"closed_at: {text!r} must carry its offset, such as +08:00"
    # days first: to compare moments of two offsets takes longer than all the rest of this
    day = at.date()
    if (now.date() - day).days <= 2 and at > now:
        return f"closed_at: {text} lies in the future"
    if day.year <= _EARLIEST.year and at < _EARLIEST:
        return f"closed_at: {text} lies before {_EARLIEST.year}"
    return at, (day if offset == _CHINA_OFFSET else at.astimezone(CHINA).date())


def _fen_fault(*amounts: str) -> str:
    named = zip(COLUMNS[5:], amounts, strict=True)
    return "; ".join(
        f"{name}: {text!r} must be whole fen, 0 to {_MOST_FEN - 1}, without sign or fraction"
        for name, text in named
        if not _is_fen(text)
    )
