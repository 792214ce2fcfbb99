"""Written tables of status transitions: one step at a time, along their lines only."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from app.core.problems import WrongStatus

Status = TypeVar("Status", bound=StrEnum)


def require_step(table: Mapping[Status, frozenset[Status]], current: Status, to: Status) -> None:
    """Refuse a step that the table does not have.

    Raises:
        WrongStatus: naming the statuses from which `to` can be reached.
    """
    if to not in table[current]:
        raise WrongStatus(current=current, allowed=[status for status in table if to in table[status]])
