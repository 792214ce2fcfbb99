"""Chapters' officers and targets over HTTP."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from app.chapters import officers
from app.chapters.officer_schemas import (
    PERIOD,
    OfficerCreate,
    OfficerList,
    OfficerRead,
    OfficerUpdate,
    TargetRead,
    TargetSet,
)
from app.chapters.problems import OfficeTaken
from app.chapters.router import Code
from app.core.actors import Actor, Right
from app.core.clock import china_date
from app.core.http import (
    GUARDED,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Once,
    Requires,
    Session,
    documented,
    tagged,
    version_of,
)
from app.core.paging import Page, decode_cursor, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed
from app.core.schemas import BusinessDate

router = APIRouter(tags=["chapters"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.NETWORK_READ))]
Director = Annotated[Actor, Depends(Requires(Right.CHAPTERS_WRITE))]
Headquarters = Annotated[Actor, Depends(Requires(Right.NETWORK_WRITE))]
Period = Annotated[str, Path(pattern=PERIOD, description="a month or a year", examples=["2026-11", "2026"])]

CHANGED = documented(NotFound, PreconditionFailed, OfficeTaken)


@router.get("/dealers/{code}/chapter/officers", responses=documented(NotFound))
async def officers_list(
    code: Code,
    actor: Reader,
    session: Session,
    now: Now,
    on: Annotated[BusinessDate | None, Query(description="without it, today in China")] = None,
    ever: Annotated[bool, Query(description="all that there were and will be")] = False,
) -> OfficerList:
    """Who holds the offices of a chapter."""
    day: date | None = None if ever else on or china_date(now)
    found = await officers.officers(session, actor, code, on=day)
    return OfficerList(items=[OfficerRead.model_validate(officer, from_attributes=True) for officer in found])


@router.post(
    "/dealers/{code}/chapter/officers", status_code=201, response_model=OfficerRead,
    responses=documented(NotFound, OfficeTaken, KeyConflict),
)  # fmt: skip
async def officers_appoint(code: Code, body: OfficerCreate, actor: Director, session: Session, once: Once) -> Response:
    """Give somebody an office of a chapter. President, secretary and treasurer are one person at a time."""

    async def appoint() -> OfficerRead:
        return OfficerRead.model_validate(await officers.appoint(session, actor, code, body), from_attributes=True)

    return await once(body, appoint)


@router.get("/officers/{officer_id}", responses=documented(NotFound))
async def officers_get(officer_id: UUID, actor: Reader, session: Session, response: Response) -> OfficerRead:
    """Who holds an office, with the days."""
    found = await officers.officer(session, actor, officer_id)
    return tagged(response, OfficerRead.model_validate(found, from_attributes=True))


@router.patch("/officers/{officer_id}", responses=CHANGED)
async def officers_update(
    officer_id: UUID, body: OfficerUpdate, if_match: IfMatch, actor: Director, session: Session, response: Response
) -> OfficerRead:
    """Correct an entry, or end it."""
    changed = await officers.update(session, actor, officer_id, body, version=version_of(if_match))
    return tagged(response, OfficerRead.model_validate(changed, from_attributes=True))


@router.delete("/officers/{officer_id}", status_code=204, responses=documented(NotFound, PreconditionFailed))
async def officers_remove(officer_id: UUID, if_match: IfMatch, actor: Director, session: Session) -> None:
    """Take an entry away that was a mistake, or of which the person wants nothing kept."""
    await officers.remove(session, actor, officer_id, version=version_of(if_match))


# --- targets ---


@router.get("/dealers/{code}/chapter/targets", responses=documented(NotFound))
async def targets_list(
    code: Code, actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[TargetRead]:
    """What a chapter is to reach, by period; a year comes before its months."""
    after = str(decode_cursor(cursor, str)[0]) if cursor else ""
    found = await officers.targets(session, actor, code, after=after, limit=limit + 1)
    items = [TargetRead.model_validate(target, from_attributes=True) for target in found]
    return Page[TargetRead].model_validate(paged(items, limit, lambda target: (target.period,)))


@router.get("/dealers/{code}/chapter/targets/{target_period}", responses=documented(NotFound))
async def targets_get(
    code: Code, target_period: Period, actor: Reader, session: Session, response: Response
) -> TargetRead:
    """A chapter's targets of a month or a year; version 0 while there are none."""
    found = await officers.target(session, actor, code, target_period)
    return tagged(response, TargetRead.model_validate(found, from_attributes=True))


@router.put("/dealers/{code}/chapter/targets/{target_period}", responses=documented(NotFound, PreconditionFailed))
async def targets_set(
    code: Code, target_period: Period, body: TargetSet, if_match: IfMatch, actor: Headquarters, session: Session,
    response: Response,
) -> TargetRead:  # fmt: skip
    """Set what a chapter is to reach in a month or a year; the first time with ETag "0"."""
    changed = await officers.set_target(session, actor, code, target_period, body, version=version_of(if_match))
    return tagged(response, TargetRead.model_validate(changed, from_attributes=True))
