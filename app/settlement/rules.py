"""Settlement arithmetic and the statement's life: pure, no I/O. Source: domain.md, "Settlement"."""

from collections.abc import Mapping
from enum import StrEnum


class Charging(StrEnum):
    """When a funder is charged for its points."""

    REDEMPTION = "redemption"
    ISSUANCE = "issuance"


class Direction(StrEnum):
    """Whose favour a line is in: credit, headquarters owes the dealer; charge, the dealer owes headquarters."""

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
    StatementStatus.DISPUTED: frozenset({StatementStatus.ISSUED}),
    StatementStatus.CONFIRMED: frozenset({StatementStatus.PAID}),
    StatementStatus.PAID: frozenset(),
}
"""A dispute ends with headquarters' answer, which puts the statement up for confirmation again."""


def amount_fen(points: int, rate_fen_per_thousand: int) -> int:
    """Money for points at a contract rate, in whole fen, rounded half to even.

    Args:
        points: whole points, zero or more; refunds are lines of their own direction, never a negative count.
        rate_fen_per_thousand: fen for 1,000 points, in force on the business date.
    """
    whole, rest = divmod(points * rate_fen_per_thousand, 1000)
    return whole + (rest > 500 or (rest == 500 and whole % 2 == 1))
