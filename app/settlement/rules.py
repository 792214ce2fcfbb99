"""Settlement arithmetic and the statement's life: pure, no I/O. Source: domain.md, "Settlement"."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from hashlib import sha256
from itertools import groupby
from typing import NamedTuple

CONFIRM_DAYS = 5
"""Days a dealer has to confirm or dispute a statement, unless its contract says otherwise."""


class Charging(StrEnum):
    """When a funder is charged for its points."""

    REDEMPTION = "redemption"
    ISSUANCE = "issuance"


class Direction(StrEnum):
    """In whose favour a line is: credit, headquarters owes the dealer; charge, the dealer owes."""

    CREDIT = "credit"
    CHARGE = "charge"


class Basis(StrEnum):
    """What the line's points did."""

    REDEMPTION = "redemption"
    REFUND = "refund"
    ISSUANCE = "issuance"
    REVERSAL = "reversal"
    REPAYMENT = "repayment"


class StatementStatus(StrEnum):
    """Where a statement stands."""

    ISSUED = "issued"
    CONFIRMED = "confirmed"
    DISPUTED = "disputed"
    PAID = "paid"


TRANSITIONS: Mapping[StatementStatus, frozenset[StatementStatus]] = {
    StatementStatus.ISSUED: frozenset({StatementStatus.CONFIRMED, StatementStatus.DISPUTED}),
    StatementStatus.DISPUTED: frozenset({StatementStatus.ISSUED, StatementStatus.DISPUTED}),
    StatementStatus.CONFIRMED: frozenset({StatementStatus.PAID}),
    StatementStatus.PAID: frozenset(),
}
"""Disputes may join one another; headquarters' last answer puts the statement up for confirmation again."""


class Flow(NamedTuple):
    """A month's points, above zero, that are money between one dealer and headquarters."""

    dealer_code: str
    direction: Direction
    basis: Basis
    funder: str
    place: str
    rate_fen_per_thousand: int
    points: int


class Line(NamedTuple):
    """A flow on its dealer's statement, with its money; headquarters' mirror has the other sign."""

    dealer_code: str
    line_no: int
    direction: Direction
    basis: Basis
    funder: str
    place: str
    rate_fen_per_thousand: int
    points: int
    amount_fen: int


class Sums(NamedTuple):
    """Money of lines, in fen; `net_fen` above zero: headquarters owes."""

    credit_fen: int
    charge_fen: int

    @property
    def net_fen(self) -> int:
        """Credits less charges."""
        return self.credit_fen - self.charge_fen


def lines(flows: Iterable[Flow]) -> list[Line]:
    """Flows as lines, numbered from 1 in each statement, in one order whatever order they come in."""
    return [
        Line(dealer, line_no, *flow[1:], amount_fen(flow.points, flow.rate_fen_per_thousand))
        for dealer, own in groupby(sorted(flows), key=lambda flow: flow.dealer_code)
        for line_no, flow in enumerate(own, start=1)
    ]


def sums(of: Iterable[Line]) -> Sums:
    """What lines add up to."""
    by_direction = dict.fromkeys(Direction, 0)
    for line in of:
        by_direction[line.direction] += line.amount_fen
    return Sums(by_direction[Direction.CREDIT], by_direction[Direction.CHARGE])


def funded_fen(of: Iterable[Line]) -> Counter[str]:
    """What points came to (fen) for who funded them, by dealer or partner; what came back is taken off.

    Where a funder is the place as well, its lines as the place have the other direction.
    """
    by_funder: Counter[str] = Counter()
    for line in of:
        is_back = line.basis in (Basis.REFUND, Basis.REVERSAL)
        if line.funder == line.dealer_code and line.direction is (Direction.CREDIT if is_back else Direction.CHARGE):
            by_funder[line.funder] += -line.amount_fen if is_back else line.amount_fen
    return by_funder


def digest(period: date, of: Iterable[Line]) -> bytes:
    """SHA-256 over a month's lines, ordered by dealer and line: what the month's seal covers."""
    rows = [f"{period:%Y-%m}", *("|".join(map(str, line)) for line in of)]
    return sha256("\n".join(rows).encode()).digest()


def amount_fen(points: int, rate_fen_per_thousand: int) -> int:
    """Money for points at a contract rate, in whole fen, rounded half to even.

    Args:
        points: whole points, zero or more; refunds are lines of their own direction, never a negative count.
        rate_fen_per_thousand: fen for 1,000 points, in force on the business date.
    """
    whole, rest = divmod(points * rate_fen_per_thousand, 1000)
    return whole + (rest > 500 or (rest == 500 and whole % 2 == 1))
