"""Why a posting gave so many points: the rule's version, and the inputs it was computed from, as they are on record."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from app.core.problems import NotFound
from app.earning.definitions import Definition


class Given(NamedTuple):
    """What a document's own row keeps of the one rule that answered it."""

    rule_no: int
    inputs: Mapping[str, Any]


ByRow = Callable[[asyncpg.Connection, str, UUID], Awaitable[Given | None]]
"""What the row of a document says, by the earning's cause and request key."""

_BY_ROW: dict[str, ByRow] = {}


def register(kind: str, by_row: ByRow) -> None:
    """Make documents known whose rows explain simple earnings by themselves, such as repair orders."""
    assert kind not in _BY_ROW, f"{kind} is there already"
    _BY_ROW[kind] = by_row


class Why(NamedTuple):
    """One earning explained."""

    posting_no: int
    document: str
    points: int
    status_points: int
    rule_no: int
    version: int
    code: str
    names: Mapping[str, str]
    definition: Definition
    inputs: Mapping[str, Any]
    funder: str | None


_POSTING = """
SELECT p.cause, p.points, p.request_key, a.document, a.status_points, a.rule_no, a.inputs::text AS inputs, l.funder
  FROM ledger.posting p
  LEFT JOIN award a ON a.member_id = p.member_id AND a.cause = p.cause
                   AND p.request_key = md5(a.cause || '#' || a.attempt)::uuid
  LEFT JOIN ledger.lot l ON l.member_id = p.member_id AND l.posting_no = p.posting_no
 WHERE p.member_id = $1 AND p.posting_no = $2 AND p.kind = 'earn' LIMIT 1"""

_RULE = """
SELECT v.version, r.code, r.label_zh, r.label_en, v.definition::text AS definition
  FROM rule_version v JOIN rule r ON r.id = v.rule_id WHERE v.no = $1"""


async def why(connection: asyncpg.Connection, member_id: UUID, posting_no: int) -> Why:
    """Explain an earning.

    Raises:
        NotFound: there is no such posting, or no rule gave it: somebody decided it, and it names its reason itself.
    """
    row = await connection.fetchrow(_POSTING, member_id, posting_no)
    if row is None:
        raise NotFound("posting")
    if row["rule_no"] is not None:
        given: Given | None = Given(row["rule_no"], orjson.loads(row["inputs"]))
    else:
        by_row = _BY_ROW.get(row["cause"].partition(":")[0])
        given = await by_row(connection, row["cause"], row["request_key"]) if by_row else None
    if given is None:
        raise NotFound("award")
    rule = await connection.fetchrow(_RULE, given.rule_no)
    assert rule is not None
    return Why(
        posting_no, row["document"] or row["cause"], row["points"], row["status_points"] or 0, given.rule_no,
        rule["version"], rule["code"], {"zh": rule["label_zh"], "en": rule["label_en"]},
        Definition.model_validate_json(rule["definition"]), given.inputs, row["funder"],
    )  # fmt: skip
