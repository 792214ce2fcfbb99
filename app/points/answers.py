"""How a posting is asked for and answered: one body for the first answer and its replay, which a header tells apart."""

from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from app.core.http import Errand, json_response
from app.points.ledger import Kind, Posting, Request


class PostingRead(BaseModel):
    """An accepted posting and the balances (points) it left."""

    member_id: UUID
    posting_no: int
    kind: Kind
    points: int
    cause: str
    booked_on: date
    period: date
    posted_at: datetime
    available: int
    pending: int
    held: int
    owed: int


def request_of(errand: Errand, body: BaseModel, *path: object, apart_from: set[str] | None = None) -> Request:
    """The ledger's request for an errand; `path` is what the URL says besides the body.

    Args:
        apart_from: fields that a retry may send anew, such as a one-time code.
    """
    sent = body.model_dump_json(exclude=apart_from)
    return Request(errand.actor.subject, errand.key, errand.now, f"{path}{sent}" if path else sent)


def posting_response(p: Posting, *, dry_run: bool = False, without: Iterable[str] = ()) -> Response:
    """201 with the posting, written without a model: this is the hot path. A dry run answers 200.

    Args:
        without: fields that are null for this caller.
    """
    body: dict[str, object] = {
        "member_id": p.member_id, "posting_no": p.posting_no, "kind": p.kind, "points": p.points, "cause": p.cause,
        "booked_on": p.booked_on, "period": p.period, "posted_at": p.posted_at,
        "available": p.available, "pending": p.pending, "held": p.held, "owed": p.owed,
    }  # fmt: skip
    for field in without:
        body[field] = None
    return json_response(body, 200 if dry_run else 201, {"Idempotent-Replayed": "true"} if p.replayed else None)
