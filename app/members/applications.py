"""Applications: owners ask a chapter to take them in, which is decided once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries as chapters
from app.core.actors import Actor
from app.core.problems import InvalidPayload, NotFound
from app.core.transitions import require_step
from app.members import consents, places, queries
from app.members.models import Application
from app.members.problems import ApplicationOpen
from app.members.rules import APPLICATION_TRANSITIONS, ApplicationStatus, Source
from app.members.schemas import ApplicationCreate
from app.members.service import Applicant, chapter_of, join, require_born


async def apply(session: AsyncSession, actor: Actor, body: ApplicationCreate, *, now: datetime) -> Application:
    """An owner applies to a chapter; while the application is open, the same one again is the first.

    Raises:
        NotFound: a dealer was named that the actor does not reach.
        NoChapter: the dealer has none.
        ApplicationOpen: it is open with a chapter that is not the actor's.
        NoticeOutdated, InvalidPayload: as `consents.as_answered` says.
        GuardianNeeded: consent of one under 14.
        InvalidPayload: no dealer was named, there is no such dealer, or the day of birth lies in the future.
    """
    dealer_code = await chapter_of(session, actor, body.dealer_code)
    if dealer_code is None:
        raise InvalidPayload.at("/dealer_code", "missing")
    await places.require_chapter(session, dealer_code)
    require_born(body.born_on, now)
    await queries.lock_enrolment(session, body.phone, body.vin)
    first = await queries.open_application(session, body.phone, body.vin)
    if first is None:
        answers = await consents.as_answered(session, body.consents)
        consents.require_of_age(answers, body.born_on, now)
        told = {"dealer_code": dealer_code, "consents": consents.stored(answers)}
        first = Application(**body.model_dump() | told, applied_at=now, applied_by=actor.subject)
        session.add(first)
        await session.flush()
    elif first.dealer_code != dealer_code:
        raise ApplicationOpen
    return first


async def application(session: AsyncSession, actor: Actor, application_id: UUID) -> Application:
    """One application.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    found = await queries.application(session, actor, application_id)
    if found is None:
        raise NotFound("application")
    return found


async def approve(session: AsyncSession, actor: Actor, application_id: UUID, *, now: datetime) -> Application:
    """Take the applicant into the chapter.

    Raises:
        NotFound, WrongStatus.
        PhoneTaken, VehicleTaken, ErasurePending, GuardianNeeded: the application stays open.
    """
    # the chapter before what belongs to it, as who closes it does
    await chapters.has_chapter(session, (await application(session, actor, application_id)).dealer_code)
    found = await _decided(session, actor, application_id, ApplicationStatus.APPROVED, now)
    applicant = Applicant(
        found.name, found.phone, found.vin, Source(found.source), found.dealer_code, found.born_on,
        consents.restored(found.consents), found.applied_by or actor.subject, found.applied_at,
    )  # fmt: skip
    member, _ = await join(session, actor, applicant, now)
    found.member_id = member.id
    await session.flush()
    return found


async def end_application(
    session: AsyncSession,
    actor: Actor,
    application_id: UUID,
    to: ApplicationStatus,
    reason: str,
    *,
    now: datetime,
) -> Application:
    """Refuse or withdraw an application, with the reason.

    Raises:
        NotFound, WrongStatus.
    """
    found = await _decided(session, actor, application_id, to, now)
    found.reason = reason
    await session.flush()
    return found


async def _decided(
    session: AsyncSession, actor: Actor, application_id: UUID, to: ApplicationStatus, now: datetime
) -> Application:
    found = await queries.application(session, actor, application_id, locked=True)
    if found is None:
        raise NotFound("application")
    require_step(APPLICATION_TRANSITIONS, found.status, to)
    found.status, found.decided_at, found.decided_by = to, now, actor.subject
    return found
