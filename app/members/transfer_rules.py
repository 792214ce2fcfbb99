"""The life of a transfer: pure, no I/O."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum


class AskedAs(StrEnum):
    """On whose side a transfer was asked for."""

    MEMBER = "member"
    CHAPTER = "chapter"
    HEADQUARTERS = "headquarters"


class TransferStatus(StrEnum):
    """Where a transfer stands; an accepted one waits for its day."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    DONE = "done"


TRANSFER_TRANSITIONS: Mapping[TransferStatus, frozenset[TransferStatus]] = {
    TransferStatus.ASKED: frozenset({TransferStatus.ACCEPTED, TransferStatus.REFUSED, TransferStatus.WITHDRAWN}),
    TransferStatus.ACCEPTED: frozenset({TransferStatus.DONE, TransferStatus.WITHDRAWN}),
    TransferStatus.REFUSED: frozenset(),
    TransferStatus.WITHDRAWN: frozenset(),
    TransferStatus.DONE: frozenset(),
}
"""A transfer is answered once; what is done is undone by another transfer only."""

OPEN = (TransferStatus.ASKED, TransferStatus.ACCEPTED)


def is_due(effective_on: date | None, today: date) -> bool:
    """Whether an accepted transfer takes effect now."""
    return effective_on is None or effective_on <= today
