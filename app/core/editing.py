"""Changing a record under the version that its editor has read (If-Match)."""

from collections.abc import Mapping
from typing import Protocol

from app.core.problems import PreconditionFailed


class Versioned(Protocol):
    """A record that counts its changes."""

    version: int


def require_version(record: Versioned, version: int) -> None:
    """Refuse an editor who has read another version of the record, which is locked.

    Raises:
        PreconditionFailed.
    """
    if record.version != version:
        raise PreconditionFailed


def edit(record: Versioned, changes: Mapping[str, object], version: int) -> None:
    """Change a record, which is locked, from the version its editor has read.

    Raises:
        PreconditionFailed: it has another by now.
    """
    require_version(record, version)
    change(record, changes)


def change(record: Versioned, changes: Mapping[str, object]) -> None:
    """Change a record, which is locked and in the version its editor has read."""
    for name, value in changes.items():
        setattr(record, name, value)
    record.version += 1
