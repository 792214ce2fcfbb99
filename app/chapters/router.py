"""The network over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from app.chapters import queries, service
from app.chapters.problems import ChapterExists, DealerExists, RegionExists
from app.chapters.queries import DealerRow
from app.chapters.schemas import (
    REGION_CODE,
    ChapterCreate,
    ChapterRead,
    ChapterUpdate,
    DealerCreate,
    DealerRead,
    DealerUpdate,
    RegionCreate,
    RegionRead,
    StaffCreate,
    StaffRead,
    StaffUpdate,
)
from app.core.actors import Actor, Right
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
from app.core.paging import Page, decode_cursor, id_after, next_cursor, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed
from app.identity.credential_schemas import PasswordReset
from app.identity.problems import AccountBlocked, OwnAccount, UsernameTaken

router = APIRouter(tags=["chapters"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.NETWORK_READ))]
Headquarters = Annotated[Actor, Depends(Requires(Right.NETWORK_WRITE))]
Director = Annotated[Actor, Depends(Requires(Right.CHAPTERS_WRITE))]
StaffReader = Annotated[Actor, Depends(Requires(Right.STAFF_READ))]
Employer = Annotated[Actor, Depends(Requires(Right.STAFF_WRITE))]
Code = Annotated[str, Path(pattern=r"^[A-Z0-9]{2,16}$", description="dealer code", examples=["BJ001"])]
RegionFilter = Annotated[str | None, Query(pattern=REGION_CODE)]

EDITED = documented(NotFound, PreconditionFailed)


@router.get("/regions")
async def regions_list(_: Reader, session: Session) -> list[RegionRead]:
    """The regional offices."""
    return [RegionRead.model_validate(region, from_attributes=True) for region in await queries.regions(session)]


@router.post("/regions", status_code=201, response_model=RegionRead, responses=documented(RegionExists, KeyConflict))
async def regions_create(body: RegionCreate, actor: Headquarters, session: Session, once: Once) -> Response:
    """Take a regional office into the network."""

    async def create() -> RegionRead:
        return RegionRead.model_validate(await service.create_region(session, body), from_attributes=True)

    return await once(body, create)


@router.get("/dealers")
async def dealers_list(
    actor: Reader,
    session: Session,
    region_code: RegionFilter = None,
    has_chapter: bool | None = None,
    has_after_sales: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DealerRead]:
    """The dealers one may see, by code."""
    after = str(decode_cursor(cursor, str)[0]) if cursor else ""
    found = await queries.dealers(
        session, actor, region_code=region_code, has_chapter=has_chapter, has_after_sales=has_after_sales,
        after=after, limit=limit + 1,
    )  # fmt: skip
    items = [_dealer(row) for row in found]
    return Page[DealerRead].model_validate(paged(items, limit, lambda dealer: (dealer.code,)))


@router.post("/dealers", status_code=201, response_model=DealerRead, responses=documented(DealerExists, KeyConflict))
async def dealers_create(body: DealerCreate, actor: Headquarters, session: Session, once: Once) -> Response:
    """Take a dealer into the network."""

    async def create() -> DealerRead:
        return _dealer(await service.create_dealer(session, body))

    return await once(body, create)


@router.get("/dealers/{code}", responses=documented(NotFound))
async def dealers_get(code: Code, actor: Reader, session: Session, response: Response) -> DealerRead:
    """One dealer with its chapter; the ETag is the dealer's."""
    return tagged(response, _dealer(await service.dealer(session, actor, code)))


@router.patch("/dealers/{code}", responses=EDITED)
async def dealers_update(
    code: Code,
    body: DealerUpdate,
    if_match: IfMatch,
    actor: Headquarters,
    session: Session,
    response: Response,
) -> DealerRead:
    """Change a dealer."""
    changed = await service.update_dealer(session, actor, code, body, version=version_of(if_match))
    return tagged(response, _dealer(changed))


@router.get("/dealers/{code}/chapter", responses=documented(NotFound))
async def chapters_get(code: Code, actor: Reader, session: Session, response: Response) -> ChapterRead:
    """A dealer's chapter; the ETag is the chapter's."""
    found = await service.chapter(session, actor, code)
    return tagged(response, ChapterRead.model_validate(found, from_attributes=True))


@router.post(
    "/dealers/{code}/chapter",
    status_code=201,
    response_model=ChapterRead,
    responses=documented(NotFound, ChapterExists, KeyConflict),
)
async def chapters_open(
    code: Code, body: ChapterCreate, actor: Headquarters, session: Session, now: Now, once: Once
) -> Response:
    """Open a dealer's chapter."""

    async def open_it() -> ChapterRead:
        opened = await service.open_chapter(session, actor, code, body, now=now)
        return ChapterRead.model_validate(opened, from_attributes=True)

    return await once(body, open_it)


@router.patch("/dealers/{code}/chapter", responses=EDITED)
async def chapters_update(
    code: Code, body: ChapterUpdate, if_match: IfMatch, actor: Director, session: Session, response: Response
) -> ChapterRead:
    """Change a chapter."""
    changed = await service.update_chapter(session, actor, code, body, version=version_of(if_match))
    return tagged(response, ChapterRead.model_validate(changed, from_attributes=True))


@router.get("/dealers/{code}/staff", responses=documented(NotFound))
async def staff_list(
    code: Code, actor: StaffReader, session: Session, now: Now, limit: Limit = 50, cursor: Cursor = None
) -> Page[StaffRead]:
    """The accounts of a dealer's staff, by grant, oldest first."""
    found = await service.staff(session, actor, code, after=id_after(cursor), limit=limit + 1, now=now)
    items = [StaffRead.of(member) for member in found[:limit]]
    return Page[StaffRead](items=items, next_cursor=next_cursor(found, limit, lambda member: (str(member.grant.id),)))


@router.post(
    "/dealers/{code}/staff",
    status_code=201,
    response_model=StaffRead,
    responses=documented(NotFound, UsernameTaken, KeyConflict),
)
async def staff_create(
    code: Code, body: StaffCreate, actor: Employer, session: Session, now: Now, once: Once
) -> Response:
    """Give one of a dealer's staff an account with a first password, in a role that one may give."""

    async def create() -> StaffRead:
        return StaffRead.of(await service.create_staff(session, actor, code, body, now=now))

    return await once(body, create)


@router.patch("/staff/{account_id}", responses=EDITED | documented(OwnAccount, AccountBlocked))
async def staff_update(
    account_id: UUID,
    body: StaffUpdate,
    if_match: IfMatch,
    actor: Employer,
    session: Session,
    now: Now,
    response: Response,
) -> StaffRead:
    """Rename, deactivate or reactivate a staff account in a role that one may give."""
    changed = await service.update_staff(session, actor, account_id, body, version=version_of(if_match), now=now)
    return tagged(response, StaffRead.of(changed))


@router.put("/staff/{account_id}/password", status_code=204, responses=documented(NotFound, OwnAccount))
async def staff_reset_password(
    account_id: UUID, body: PasswordReset, actor: Employer, session: Session, now: Now
) -> None:
    """Give one of a dealer's staff, in a role that one may give, a new initial password; the sessions end."""
    await service.reset_staff_password(session, actor, account_id, body.password, now=now)


def _dealer(row: DealerRow) -> DealerRead:
    chapter = ChapterRead.model_validate(row.chapter, from_attributes=True) if row.chapter else None
    return DealerRead(**row.dealer.model_dump(), chapter=chapter)
