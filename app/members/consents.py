"""Consent where members are met: asked at the door, heeded wherever somebody is chosen to be written to or called."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.clock import china_date
from app.core.problems import InvalidPayload
from app.members import consent_queries as queries
from app.members.consent_models import Consent
from app.members.consent_rules import Decision, Use
from app.members.consent_schemas import DoorAnswer, DoorAnswers, DoorPurpose
from app.members.models import Birth, Member
from app.members.problems import ConsentMissing, GuardianNeeded, NoticeOutdated, NotToBeAsked
from app.members.rules import MemberStatus, needs_guardian
from app.settings import Settings

# --- whom it lets be chosen ---


def usable(use: Use | None, now: datetime, settings: Settings) -> list[ColumnElement[bool]]:
    """The conditions on `Member` of being chosen for a use today; none without a use. Who left is left in peace."""
    if use is None:
        return []
    is_active = col(Member.status) == MemberStatus.ACTIVE
    if not use.asks:
        return [is_active, queries.consents(col(Member.id), use.purpose)]
    quiet = timedelta(days=settings.ask_again_days)
    return [is_active, queries.may_be_asked(col(Member.id), use.purpose, now=now, quiet=quiet)]


async def require_usable(
    session: AsyncSession, member_id: UUID, use: Use | None, now: datetime, settings: Settings
) -> None:
    """See to it that a member may be chosen for a use.

    Raises:
        ConsentMissing: it has not agreed to it.
        NotToBeAsked: it is not to be asked whether it agrees.
    """
    allowed = select(col(Member.id)).where(col(Member.id) == member_id, *usable(use, now, settings))
    if use is not None and await session.scalar(allowed) is None:
        raise NotToBeAsked if use.asks else ConsentMissing


# --- at the door ---


async def as_answered(session: AsyncSession, answers: Mapping[DoorPurpose, DoorAnswer]) -> DoorAnswers:
    """The answers somebody joins with, each to a text that was shown; of a refusal, the one in force.

    Raises:
        NoticeOutdated: consent to a text that is in force no longer.
        InvalidPayload: consent to no text.
    """
    in_force = await queries.in_force(session) if answers else {}
    for purpose, answer in answers.items():
        version = in_force[purpose].notice.version
        if answer.decision is Decision.GIVEN and answer.version is None:
            raise InvalidPayload.at(f"/consents/{purpose}/version", "missing")
        if answer.version not in (None, version):
            raise NoticeOutdated(version=version)
    return {
        purpose: answer.model_copy(update={"version": in_force[purpose].notice.version})
        for purpose, answer in answers.items()
    }


async def record(session: AsyncSession, member: Member, answers: DoorAnswers, *, by: str, at: datetime) -> None:
    """Note what a member who joins has answered; the answer it gave last, given again, is not recorded twice.

    Raises:
        GuardianNeeded: consent of one under 14, for whom headquarters asks the guardian.
    """
    birth = await session.get(Birth, member.id)
    require_of_age(answers, birth.born_on if birth else None, at)
    for purpose, answer in answers.items():
        last = await queries.last(session, member.id, purpose)
        if last is None or (last.decision, last.version) != (answer.decision, answer.version):
            session.add(Consent(member_id=member.id, purpose=purpose, **answer.model_dump(), at=at, recorded_by=by))
    await session.flush()


def require_of_age(answers: DoorAnswers, born_on: date | None, at: datetime) -> None:
    """Take no consent of a child.

    Raises:
        GuardianNeeded: one who was born then is under 14, and says yes to something.
    """
    says_yes = any(answer.decision is Decision.GIVEN for answer in answers.values())
    if says_yes and born_on is not None and needs_guardian(born_on, china_date(at)):
        raise GuardianNeeded


_ANSWERS = TypeAdapter(DoorAnswers)


def stored(answers: DoorAnswers) -> dict[str, Any]:
    """Answers as an application keeps them."""
    kept: dict[str, Any] = _ANSWERS.dump_python(answers, mode="json")
    return kept


def restored(kept: dict[str, Any]) -> DoorAnswers:
    """The answers of an application."""
    return _ANSWERS.validate_python(kept)
