"""Sealed lists: what is handed out to work by without a network, and reported under later."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import orjson

from app.identity.problems import ListNotOurs
from app.identity.seals import Seals


class ListToken(NamedTuple):
    """Which list was worked by: what it is of, for whom it was made, when, and a digest of what it said."""

    of: str
    issued_to: str
    issued_at: str
    digest: str


def list_token(seals: Seals, of: str, issued_to: str, at: datetime, entries: Sequence[object]) -> str:
    """The seal of an offline list; what is done by it is uploaded under it.

    Args:
        of: what the list is of, as `event:ID`; a token is good for that alone.
        entries: what the list says, as JSON.
    """
    digest = sha256(orjson.dumps(entries)).hexdigest()
    return seals.seal(orjson.dumps([*ListToken(of, issued_to, at.isoformat(), digest)])).decode()


def require_list(seals: Seals, token: str, of: str) -> ListToken:
    """The list that a token is of.

    Raises:
        ListNotOurs: it was not sealed here, or is of something else.
    """
    opened = seals.opened(token)
    # what is sealed for another use is no list, and not of this
    found = orjson.loads(opened) if opened is not None and opened.startswith(b"[") else []
    if len(found) != len(ListToken._fields) or found[0] != of:
        raise ListNotOurs
    return ListToken(*found)
