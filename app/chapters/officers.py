"""Chapters' officers, in office from day to day, and the targets set for chapters."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.chapters import queries, service
from app.chapters.models import Chapter, Officer, Target
from app.chapters.officer_schemas import OfficerCreate, OfficerUpdate, TargetSet
from app.chapters.problems import OfficeTaken
from app.chapters.rules import HELD_BY_ONE, overlap
from app.core.actors import Actor
from app.core.editing import change, edit, require_version
from app.core.problems import InvalidPayload, NotFound


async def officers(session: AsyncSession, actor: Actor, code: str, *, on: date | None) -> Sequence[Officer]:
    """Who holds an office of a chapter on a day, or ever did (None).

    Raises:
        NotFound: the dealer has no chapter, or is not the actor's.
    """
    await service.chapter(session, actor, code)
    return await queries.officers(session, code, on=on)


async def appoint(session: AsyncSession, actor: Actor, code: str, body: OfficerCreate) -> Officer:
    """Give somebody an office of a chapter.

    Raises:
        NotFound: the dealer has no chapter, or is not the actor's.
        OfficeTaken: another holds it in these days, and it has one holder.
        InvalidPayload: the last day comes before the first.
    """
    await _held(session, actor, code)
    appointed = Officer(dealer_code=code, **body.model_dump())
    await _require_free(session, appointed)
    session.add(appointed)
    await session.flush()
    return appointed


async def officer(session: AsyncSession, actor: Actor, officer_id: UUID) -> Officer:
    """Who holds an office.

    Raises:
        NotFound: there is no such officer, or the chapter is not the actor's or is closed.
    """
    found = await session.get(Officer, officer_id)
    at = await queries.dealer(session, actor, found.dealer_code) if found is not None else None
    if found is None or at is None or at.chapter is None:
        raise NotFound("officer")
    return found


async def update(
    session: AsyncSession, actor: Actor, officer_id: UUID, body: OfficerUpdate, *, version: int
) -> Officer:
    """Correct or end what the body names.

    Raises:
        NotFound, PreconditionFailed, OfficeTaken.
        InvalidPayload: the last day comes before the first.
    """
    found = await _for_change(session, actor, officer_id, version)
    with session.no_autoflush:
        change(found, body.model_dump(exclude_unset=True))
        await _require_free(session, found)
    await session.flush()
    return found


async def remove(session: AsyncSession, actor: Actor, officer_id: UUID, *, version: int) -> None:
    """Take an entry away that was a mistake, or of which the person wants nothing kept.

    Raises:
        NotFound, PreconditionFailed.
    """
    await session.delete(await _for_change(session, actor, officer_id, version))
    await session.flush()


async def _for_change(session: AsyncSession, actor: Actor, officer_id: UUID, version: int) -> Officer:
    found = await officer(session, actor, officer_id)
    await _held(session, actor, found.dealer_code)
    await session.refresh(found)
    require_version(found, version)
    return found


async def _held(session: AsyncSession, actor: Actor, code: str) -> Chapter:
    """A chapter whose officers and targets are decided on by one at a time."""
    found = await service.chapter(session, actor, code)
    await session.refresh(found, with_for_update=True)
    if found.closed_on is not None:
        raise NotFound("chapter")
    return found


async def _require_free(session: AsyncSession, wanted: Officer) -> None:
    if wanted.until is not None and wanted.until < wanted.since:
        raise InvalidPayload.at("/until", "date_too_early", earliest=wanted.since)
    if wanted.office not in HELD_BY_ONE:
        return
    for other in await queries.officers(session, wanted.dealer_code, on=None):
        is_rival = other.id != wanted.id and other.office == wanted.office
        if is_rival and overlap(wanted.since, wanted.until, other.since, other.until):
            raise OfficeTaken


# --- targets ---


async def targets(session: AsyncSession, actor: Actor, code: str, *, after: str, limit: int) -> Sequence[Target]:
    """A chapter's targets by period from after one.

    Raises:
        NotFound: the dealer has no chapter, or is not the actor's.
    """
    await service.chapter(session, actor, code)
    return await queries.targets(session, code, after=after, limit=limit)


async def target(session: AsyncSession, actor: Actor, code: str, period: str) -> Target:
    """A chapter's targets of a period; version 0 while there are none.

    Raises:
        NotFound: the dealer has no chapter, or is not the actor's.
    """
    await service.chapter(session, actor, code)
    return await session.get(Target, (code, period)) or _no_target(code, period)


async def set_target(
    session: AsyncSession, actor: Actor, code: str, period: str, body: TargetSet, *, version: int
) -> Target:
    """Set all targets of a period; version 0 while there are none.

    Raises:
        NotFound, PreconditionFailed.
    """
    # two who set it first are told apart
    await _held(session, actor, code)
    known = await session.get(Target, (code, period), populate_existing=True)
    found = known or _no_target(code, period)
    edit(found, body.model_dump(), version)
    session.add(found)
    await session.flush()
    return found


def _no_target(code: str, period: str) -> Target:
    return Target(dealer_code=code, period=period, version=0)
