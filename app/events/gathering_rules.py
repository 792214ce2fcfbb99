"""Around an event: answers to invitations, who is of the control group, and whom to compare with whom. Pure."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID


class Answer(StrEnum):
    """What an invited member says."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


def is_control(event_id: UUID, member_id: UUID, percent: int) -> bool:
    """Whether a member of a segment is left uninvited, to compare with: by chance, and the same whenever asked."""
    digest = sha256(event_id.bytes + member_id.bytes).digest()
    return int.from_bytes(digest[:8], "big") % 100 < percent


# --- the comparison of those who came with those who did not ---


class Visits(NamedTuple):
    """An invited member's workshop visits in the year before an event, and in the days after it; money in fen."""

    member_id: UUID
    came: bool
    dealer_code: str | None
    before: int
    before_fen: int
    after: int
    after_fen: int


class Pair(NamedTuple):
    """Somebody who came, and who is most alike of those who did not."""

    came: Visits
    absent: Visits


_MANY = 3
"""Visits in the year before from which on members are of one sort."""


def matched(invited: Iterable[Visits]) -> list[Pair]:
    """Each who came with one invited member who did not, each of whom is taken once.

    Both are of one chapter and came to the workshop as often in the year before (0, 1, 2, or 3 and more times); among
    such, the one whose spending then was nearest. Who has no such counterpart is left out.
    """
    sorts: dict[tuple[str | None, int], tuple[list[Visits], list[Visits]]] = {}
    for one in sorted(invited, key=lambda one: (one.before_fen, one.member_id)):
        came, absent = sorts.setdefault((one.dealer_code, min(one.before, _MANY)), ([], []))
        (came if one.came else absent).append(one)
    return [pair for came, absent in sorts.values() for pair in _nearest(came, absent)]


def _nearest(came: Sequence[Visits], absent: list[Visits]) -> list[Pair]:
    pairs = []
    for one in came:
        if not absent:
            break
        nearest = min(absent, key=lambda other: (abs(other.before_fen - one.before_fen), other.member_id))
        absent.remove(nearest)
        pairs.append(Pair(one, nearest))
    return pairs


class Mean(NamedTuple):
    """What some members did after an event: how many they are, how many came to the workshop, visits, fen."""

    members: int
    visitors: int
    visits: int
    paid_fen: int

    @classmethod
    def of(cls, some: Sequence[Visits]) -> "Mean":
        """Added up."""
        return cls(
            len(some), sum(one.after > 0 for one in some), sum(one.after for one in some),
            sum(one.after_fen for one in some),
        )  # fmt: skip


def per_head(fen: int, heads: int) -> int | None:
    """Whole fen a head, half-even; None of nobody."""
    if not heads:
        return None
    whole, rest = divmod(fen, heads)
    return whole + (rest * 2 > heads or (rest * 2 == heads and whole % 2 == 1))
