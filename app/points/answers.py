"""How a posting is answered: the same body for the first answer and for its replay, which a header tells apart."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from app.core.http import json_response
from app.points.ledger import Kind, Posting


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


def posting_response(p: Posting, *, dry_run: bool = False) -> Response:
    """201 with the posting, written without a model: this is the hot path. A dry run answers 200."""
    body = {
        "member_id": p.member_id, "posting_no": p.posting_no, "kind": p.kind, "points": p.points, "cause": p.cause,
        "booked_on": p.booked_on, "period": p.period, "posted_at": p.posted_at,
        "available": p.available, "pending": p.pending, "held": p.held, "owed": p.owed,
    }  # fmt: skip
    return json_response(body, 200 if dry_run else 201, {"Idempotent-Replayed": "true"} if p.replayed else None)
