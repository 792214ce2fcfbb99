"""How long a sign-in code is good, and how often one may be asked for. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

CODE_LIFE = timedelta(minutes=5)
MOST_TRIES = 5
LINK_LIFE = timedelta(minutes=10)
"""How long a WeChat user may take to show its phone number."""

LIMITS = ((timedelta(minutes=1), 1), (timedelta(hours=1), 5), (timedelta(days=1), 10))
"""Codes for one number in any such span; the provider keeps to the same numbers."""
REMEMBERED = max(count for _, count in LIMITS)
FORGOTTEN_AFTER = max(span for span, _ in LIMITS)


def wait_for_code(sent_at: Sequence[datetime], now: datetime) -> timedelta:
    """How long until a number may be sent another code; zero: now.

    Args:
        sent_at: when earlier codes were asked for, oldest first.
    """
    ends = (sent_at[-count] + span for span, count in LIMITS if len(sent_at) >= count)
    return max((end - now for end in ends if end > now), default=timedelta(0))
