"""What the timeline tells of a member's chapters and transfers."""

from uuid import UUID

from sqlalchemy import SelectBase, case, func, literal, union_all
from sqlmodel import col

from app.core.actors import HEADQUARTERS
from app.core.timeline import Source, beginning, happening
from app.members.timeline import everyone
from app.members.transfer_models import MemberPlace, Transfer
from app.members.transfer_rules import TransferStatus


def _places(member_id: UUID) -> SelectBase:
    dealer, since = col(MemberPlace.dealer_code), col(MemberPlace.since)
    return happening(
        at=beginning(since), id=func.to_char(since, "YYYY-MM-DD"),
        kind=case((dealer.is_(None), literal("roll")), else_=literal("chapter")),
        facts={"dealer": func.coalesce(dealer, HEADQUARTERS)},
    ).where(col(MemberPlace.member_id) == member_id)  # fmt: skip


def _transfers(member_id: UUID) -> SelectBase:
    of_member, status = col(Transfer.member_id) == member_id, col(Transfer.status)
    to = func.coalesce(col(Transfer.to_dealer_code), HEADQUARTERS)
    asked = happening(
        at=col(Transfer.asked_at), id=func.concat(col(Transfer.id), ":asked"), kind=literal("asked"),
        facts={"dealer": to, "reason": col(Transfer.reason)}, by=col(Transfer.asked_by),
    )  # fmt: skip
    answered = happening(
        at=col(Transfer.decided_at), id=func.concat(col(Transfer.id), ":answered"),
        kind=case((status == TransferStatus.DONE, literal(TransferStatus.ACCEPTED.value)), else_=status),
        facts={"dealer": to, "reason": col(Transfer.answer)}, by=col(Transfer.decided_by),
    )  # fmt: skip
    return union_all(asked.where(of_member), answered.where(of_member, col(Transfer.decided_at).is_not(None)))


SOURCES = (
    Source("place", ("chapter", "roll"), _places, everyone),
    Source("transfer", ("asked", "accepted", "refused", "withdrawn"), _transfers, everyone),
)
