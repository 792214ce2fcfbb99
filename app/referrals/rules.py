"""The life of a referral and of the lead it brought: pure, no I/O.

Sources: domain.md, "Referral purchases" and "Leads with a deadline".
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum


class ReferralStatus(StrEnum):
    """Where a referral stands."""

    ASKED = "asked"
    REFUSED = "refused"
    APPEALED = "appealed"
    OPEN = "open"
    FOLLOWING = "following"
    ORDERED = "ordered"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    LOST = "lost"
    LAPSED = "lapsed"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


_S = ReferralStatus
_ENDS = frozenset({_S.LOST, _S.WITHDRAWN, _S.SUPERSEDED, _S.DELIVERED})
REFERRAL_TRANSITIONS: Mapping[ReferralStatus, frozenset[ReferralStatus]] = {
    _S.ASKED: frozenset({_S.OPEN, _S.REFUSED, _S.WITHDRAWN, _S.LAPSED}),
    _S.REFUSED: frozenset({_S.APPEALED}),
    _S.APPEALED: frozenset({_S.OPEN, _S.REFUSED, _S.WITHDRAWN}),
    _S.OPEN: _ENDS | {_S.FOLLOWING, _S.ORDERED, _S.LAPSED},
    _S.FOLLOWING: _ENDS | {_S.FOLLOWING, _S.ORDERED, _S.LAPSED},
    _S.ORDERED: _ENDS | {_S.FOLLOWING},
    _S.DELIVERED: frozenset({_S.CANCELLED, _S.SUPERSEDED}),
    _S.CANCELLED: frozenset({_S.APPEALED}),
    _S.LOST: frozenset({_S.APPEALED}),
    _S.LAPSED: frozenset({_S.APPEALED, _S.DELIVERED}),
    _S.SUPERSEDED: frozenset({_S.APPEALED}),
    _S.WITHDRAWN: frozenset(),
}
"""One step at a time. What lapsed is a success all the same when the car turns out to have been delivered in time."""

LIVE = (ReferralStatus.OPEN, ReferralStatus.FOLLOWING, ReferralStatus.ORDERED)
"""It holds its buyer: nobody else's referral of the same phone is valid meanwhile."""
AWAITED = (ReferralStatus.ASKED, *LIVE)
"""The dealer owes an answer."""
LAPSING = (ReferralStatus.OPEN, ReferralStatus.FOLLOWING)
"""They hold their buyer until the window is over; of what is ordered the window no longer matters."""
TIME_OUT = "time-out"
"""Who ends what nobody ended."""
ENDED = tuple(status for status in ReferralStatus if status not in (*AWAITED, ReferralStatus.APPEALED))


class Horizon(StrEnum):
    """When the buyer means to buy; each has its own rhythm."""

    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    LATER = "later"


class Escalation(StrEnum):
    """Who looks after a lead whose feedback is overdue."""

    CHAPTER = "chapter"
    HEADQUARTERS = "headquarters"


def follow_up_on(today: date, horizon: Horizon, rhythm_days: Sequence[int]) -> date:
    """The day of the next report of a lead.

    Args:
        rhythm_days: days between reports, in the order of `Horizon`.
    """
    return today + timedelta(days=rhythm_days[list(Horizon).index(horizon)])


def window_end(registered_on: date, window_days: int) -> date:
    """The last day on which the car may be delivered, or ordered, for the referral to count."""
    return registered_on + timedelta(days=window_days)
