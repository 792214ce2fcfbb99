"""What the ledger tells of a member's timeline: every posting."""

from uuid import UUID

from sqlalchemy import BigInteger, DateTime, SelectBase, Text, Uuid, cast, column, func, table

from app.core.actors import Actor, Right
from app.core.timeline import Source, happening
from app.points.ledger import Kind

_POSTING = table(
    "posting",
    column("member_id", Uuid()),
    column("posting_no", BigInteger()),
    column("posted_at", DateTime(timezone=True)),
    column("kind", Text()),
    column("points", BigInteger()),
    column("place", Text()),
    column("cause", Text()),
    column("reason", Text()),
    schema="ledger",
)


def _postings(member_id: UUID) -> SelectBase:
    posting = _POSTING.c
    return happening(
        at=posting.posted_at,
        id=func.lpad(cast(posting.posting_no, Text), 20, "0"),
        kind=posting.kind,
        facts={"points": posting.points, "place": posting.place, "cause": posting.cause, "reason": posting.reason},
    ).where(posting.member_id == member_id)


def _reader(actor: Actor) -> bool:
    return actor.may(Right.POINTS_READ) or actor.may(Right.OWN_CARD)


SOURCES = (Source("points", tuple(Kind), _postings, _reader),)
