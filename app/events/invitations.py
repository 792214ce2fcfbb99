"""Inviting members to an event by segment, and what they answer."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.problems import Forbidden, NotFound, WrongStatus
from app.events import attendance, life, notices, queries
from app.events.gathering_models import Invitation
from app.events.gathering_rules import Answer, is_control
from app.events.gathering_schemas import Chosen, InvitationCreate, InvitationSummary
from app.events.models import ClubEvent
from app.events.rules import EventStatus, NoticeKind
from app.members import segments
from app.members.consent_rules import Use
from app.members.consents import usable
from app.members.models import Member
from app.members.profile_models import MemberProfile
from app.members.queries import standing
from app.members.queries import visible_to as member_visible_to
from app.settings import Settings

INVITING = frozenset({EventStatus.PUBLISHED, EventStatus.REGISTRATION})
ANSWERING = INVITING | {EventStatus.CLOSED}


class Choice(NamedTuple):
    """Whom an invitation reaches: members to invite, and of the control group; and the counts on the way."""

    figures: Chosen
    invited: Sequence[UUID]
    control: Sequence[UUID]


async def invited_among(session: AsyncSession, event_id: UUID, member_ids: Collection[UUID]) -> Collection[UUID]:
    """Which of these members were invited; the control group was not."""
    query = select(col(Invitation.member_id)).where(
        col(Invitation.event_id) == event_id, col(Invitation.member_id).in_(member_ids), ~col(Invitation.is_control)
    )
    return (await session.scalars(query)).all()


async def run_by(session: AsyncSession, actor: Actor, event_id: UUID, *, lock: bool = False) -> ClubEvent:
    """An event that the actor holds or, of headquarters', supports.

    Raises:
        NotFound: there is none, or it is a foreign chapter's.
        Forbidden: the actor may see it only.
    """
    event = await life.event_of(session, actor, event_id, lock=lock)
    is_headquarters = event.dealer_code is None and actor.reach is not Reach.ALL
    if is_headquarters and actor.dealer_code not in await queries.supporters(session, event_id):
        raise Forbidden
    return event


# --- inviting ---


async def preview(
    session: AsyncSession, actor: Actor, event_id: UUID, body: InvitationCreate, *, settings: Settings, now: datetime
) -> Chosen:
    """Whom an invitation would reach.

    Raises: as `invite` does.
    """
    event = await run_by(session, actor, event_id)
    return (await _choose(session, actor, event, body, settings, now)).figures


async def invite(
    session: AsyncSession, actor: Actor, event_id: UUID, body: InvitationCreate, *, settings: Settings, now: datetime
) -> Chosen:
    """Invite members of one's own who agreed to be written to, each once; who is invited again is passed over.

    Raises:
        NotFound: there is no such event or segment for the actor.
        Forbidden: the actor may see the event only.
        WrongStatus: nobody can register (any more).
        FieldNotVisible, InvalidPayload: as filters say.
    """
    # two who invite at once come one after the other
    event = await run_by(session, actor, event_id, lock=True)
    choice = await _choose(session, actor, event, body, settings, now)
    await _write(session, event.id, choice, actor.subject, now)
    await notices.tell(session, event.id, choice.invited, NoticeKind.INVITED, at=now)
    return choice.figures


async def _choose(
    session: AsyncSession, actor: Actor, event: ClubEvent, body: InvitationCreate, settings: Settings, now: datetime
) -> Choice:
    if event.status not in INVITING:
        raise WrongStatus(current=event.status, allowed=sorted(INVITING))
    chosen = and_(member_visible_to(actor), standing(), await _condition(session, actor, body, now))
    matching = await _count(session, chosen)
    agreed = and_(chosen, *usable(Use.MARKETING, now, settings))
    agreeing = await _count(session, agreed)
    reached = and_(agreed, ~_wants_none())
    reachable = await _count(session, reached)
    known = select(Invitation).where(
        col(Invitation.event_id) == event.id, col(Invitation.member_id) == col(Member.id)
    )  # fmt: skip
    new = select(col(Member.id)).where(reached, ~known.exists()).order_by(col(Member.id))
    members = (await session.scalars(new)).all()
    control = [one for one in members if is_control(event.id, one, body.control_percent)]
    invited = sorted(set(members) - set(control))
    figures = Chosen(
        matching=matching, without_consent=matching - agreeing, wants_none=agreeing - reachable,
        known=reachable - len(members), invited=len(invited), control=len(control),
    )  # fmt: skip
    return Choice(figures, invited, control)


def _wants_none() -> ColumnElement[bool]:
    """Whether a member wants to be contacted by no channel."""
    profile = select(MemberProfile).where(col(MemberProfile.member_id) == col(Member.id))
    return profile.where(func.cardinality(col(MemberProfile.channels)) == 0).exists()


async def _condition(session: AsyncSession, actor: Actor, body: InvitationCreate, now: datetime) -> ColumnElement[bool]:
    if body.segment_id is not None:
        segment = await segments.get(session, actor, body.segment_id)
        return await segments.chosen(session, actor, segment, china_date(now))
    assert body.filter is not None
    return segments.condition(await segments.read(session, actor, body.filter), china_date(now))


async def _count(session: AsyncSession, condition: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(Member).where(condition)
    return int((await session.execute(counted)).scalar_one())


_WRITE = """
INSERT INTO invitation (event_id, member_id, is_control, invited_by, invited_at)
SELECT :event, member_id, :is_control, :by, :at FROM unnest(CAST(:members AS uuid[])) AS chosen (member_id)
"""


async def _write(session: AsyncSession, event_id: UUID, choice: Choice, by: str, now: datetime) -> None:
    for members, of_control in ((choice.invited, False), (choice.control, True)):
        values = {"event": event_id, "is_control": of_control, "by": by, "at": now, "members": list(members)}
        await session.execute(text(_WRITE), values)


async def expecting(session: AsyncSession, event_id: UUID, *, settings: Settings, now: datetime) -> set[UUID]:
    """Who was invited and said yes or maybe, or nothing so far and may still be written to."""
    may_come = col(Invitation.answer).in_((Answer.YES, Answer.MAYBE))
    silent = and_(col(Invitation.answer).is_(None), *usable(Use.MARKETING, now, settings), ~_wants_none())
    told = (col(Invitation.event_id) == event_id, ~col(Invitation.is_control), or_(may_come, silent))
    query = select(col(Invitation.member_id)).join(Member, col(Member.id) == col(Invitation.member_id)).where(*told)
    return set(await session.scalars(query))


# --- answering ---


async def answer(
    session: AsyncSession, member_id: UUID, event_id: UUID, given: Answer, *, now: datetime
) -> tuple[Invitation, ClubEvent]:
    """Say whether one will come, or say so anew; it is no registration yet.

    Raises:
        NotFound: the member was not invited.
        WrongStatus: the event takes place, or is called off.
    """
    found = await session.get(Invitation, (event_id, member_id), with_for_update=True)
    event = await session.get(ClubEvent, event_id)
    if found is None or found.is_control or event is None:
        raise NotFound("invitation")
    if event.status not in ANSWERING:
        raise WrongStatus(current=event.status, allowed=sorted(ANSWERING))
    found.answer, found.answered_at = given, now
    await session.flush()
    return found, event


async def of_member(
    session: AsyncSession, member_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[tuple[Invitation, ClubEvent]]:
    """What a member is invited to, the latest planned events first."""
    query = (
        select(Invitation, ClubEvent)
        .join(ClubEvent, col(ClubEvent.id) == col(Invitation.event_id))
        .where(col(Invitation.member_id) == member_id, ~col(Invitation.is_control))
    )
    if after is not None:
        query = query.where(col(Invitation.event_id) < after)
    return (await session.execute(query.order_by(col(Invitation.event_id).desc()).limit(limit))).all()


# --- who was invited ---


async def listed(
    session: AsyncSession, actor: Actor, event_id: UUID, *, answered: Answer | None, after: UUID | None, limit: int
) -> Sequence[tuple[Invitation, str, bool, bool]]:
    """An event's invitations with the members' numbers, whether they registered, and came; by member.

    Raises:
        NotFound, Forbidden.
    """
    await run_by(session, actor, event_id)
    invited = col(Invitation.member_id)
    query = (
        select(Invitation, col(Member.member_no), _registered(event_id), attendance.came(event_id, invited))
        .join(Member, col(Member.id) == invited)
        .where(col(Invitation.event_id) == event_id)
    )
    if answered is not None:
        query = query.where(col(Invitation.answer) == answered)
    if after is not None:
        query = query.where(invited > after)
    return (await session.execute(query.order_by(invited).limit(limit))).all()


def _registered(event_id: UUID) -> ColumnElement[bool]:
    return attendance.has_seat(event_id, col(Invitation.member_id))


async def summary(session: AsyncSession, actor: Actor, event_id: UUID) -> InvitationSummary:
    """What came of an event's invitations.

    Raises:
        NotFound, Forbidden.
    """
    event = await run_by(session, actor, event_id)
    return await summed(session, event.id)


async def summed(session: AsyncSession, event_id: UUID) -> InvitationSummary:
    """What came of an event's invitations, of those that the session may read."""
    told, answered, member = ~col(Invitation.is_control), col(Invitation.answer), col(Invitation.member_id)
    wanted = {
        "invited": told, "control": col(Invitation.is_control),
        **{str(one): answered == one for one in Answer},
        "unanswered": and_(told, answered.is_(None)),
        "registered": and_(told, attendance.has_seat(event_id, member)),
        "attended": and_(told, attendance.came(event_id, member)),
    }  # fmt: skip
    columns = [func.count().filter(condition).label(name) for name, condition in wanted.items()]
    found = await session.execute(select(*columns).where(col(Invitation.event_id) == event_id))
    return InvitationSummary.model_validate(dict(found.mappings().one()))
