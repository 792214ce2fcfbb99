"""Lists by cursor: stable order, no totals unless asked."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel

from app.core.problems import InvalidPayload

Item = TypeVar("Item")
Row = TypeVar("Row")


class Page(BaseModel, Generic[Item]):
    """One page; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None


def encode_cursor(*position: str | int) -> str:
    """An opaque cursor for the position after the last item shown."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> list[str | int]:
    """The position in a cursor, one value of each of `kinds`.

    Raises:
        InvalidPayload: it is not a cursor of this list.
    """
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise InvalidPayload.at("/query/cursor", "cursor_invalid") from None
    if not isinstance(position, list) or [type(value) for value in position] != list(kinds):
        raise InvalidPayload.at("/query/cursor", "cursor_invalid")
    if not all(_storable(value) for value in position):
        raise InvalidPayload.at("/query/cursor", "cursor_invalid")
    return position


def _storable(value: str | int) -> bool:
    # PostgreSQL takes neither; such a cursor was not made here
    return "\0" not in value if isinstance(value, str) else abs(value) < 1 << 63


def id_after(cursor: str | None) -> UUID | None:
    """The resource id in the cursor of a list ordered by id; None at the start.

    Raises:
        InvalidPayload: it is not a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        return UUID(str(decode_cursor(cursor, str)[0]))
    except ValueError:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid") from None


def next_cursor(rows: Sequence[Row], limit: int, position: Callable[[Row], tuple[str | int, ...]]) -> str | None:
    """Where the next page begins, by rows fetched with one more than `limit`, which only tells that there is one."""
    return encode_cursor(*position(rows[limit - 1])) if len(rows) > limit else None


def paged(rows: Sequence[Row], limit: int, position: Callable[[Row], tuple[str | int, ...]]) -> dict[str, object]:
    """A page of rows that are shown as they are, fetched as `next_cursor` says."""
    return {"items": rows[:limit], "next_cursor": next_cursor(rows, limit, position)}
