"""The catalogue of rewards over HTTP: what members may have, and how headquarters and chapters keep it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.core.actors import Actor, Right
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    Db,
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
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, PayloadTooLarge, PreconditionFailed, UnsupportedMediaType
from app.rewards import catalogue, images
from app.rewards import catalogue_queries as queries
from app.rewards.catalogue_models import Reward
from app.rewards.catalogue_rules import RewardKind
from app.rewards.catalogue_schemas import (
    CodesUpload,
    CodesUploaded,
    CodeUse,
    CodeUseRead,
    RewardCreate,
    RewardMovementRead,
    RewardOffer,
    RewardRead,
    RewardStockChange,
    RewardUpdate,
)
from app.rewards.problems import CodeUsed, RewardShort
from app.rewards.router import GuardInUse

router = APIRouter(tags=["rewards"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.REWARDS_READ))]
Keeper = Annotated[Actor, Depends(Requires(Right.REWARDS_WRITE))]
Viewer = Annotated[Actor, Depends(Requires(Right.REWARDS_READ, Right.OWN_CARD))]
StockReader = Annotated[Actor, Depends(Requires(Right.REWARDS_WRITE, Right.AUDIT_READ))]
Counter = Annotated[Actor, Depends(Requires(Right.REWARDS_FULFIL))]
Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
PICTURES: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in images.MEDIA_TYPES}


@router.get("/members/me/rewards", responses=documented(NotFound))
async def rewards_offers(
    actor: Self, session: Session, now: Now, kind: RewardKind | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[RewardOffer]:
    """What the signed-in member may have today, at its own price."""
    assert actor.member_id is not None
    offers = await catalogue.offers(
        session, actor.member_id, kind=kind, after=id_after(cursor), limit=limit + 1, now=now
    )
    return Page[RewardOffer].model_validate(paged(offers, limit, lambda offer: (str(offer.id),)))


@router.get("/rewards")
async def rewards_list(
    actor: Reader, session: Session, kind: RewardKind | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[RewardRead]:
    """Headquarters' rewards and those of the chapters one reaches, oldest first, offered or not."""
    seen = queries.visible_to(actor)
    found = await queries.rewards(session, seen, kind=kind, after=id_after(cursor), limit=limit + 1)
    items = [_read(reward) for reward in found]
    return Page[RewardRead].model_validate(paged(items, limit, lambda reward: (str(reward.id),)))


@router.post("/rewards", status_code=201, response_model=RewardRead, responses=documented(KeyConflict))
async def rewards_create(body: RewardCreate, actor: Keeper, session: Session, once: Once) -> Response:
    """Take a reward into the catalogue, a chapter its own; it is not offered yet."""

    async def create() -> RewardRead:
        return _read(await catalogue.create(session, actor, body))

    return await once(body, create)


@router.get("/rewards/{reward_id}", responses=documented(NotFound))
async def rewards_get(reward_id: UUID, actor: Reader, session: Session, response: Response) -> RewardRead:
    """One reward; the ETag is the entry's and not its stock's."""
    found = await catalogue.reward(session, actor, reward_id)
    return _read(tagged(response, found))


@router.patch("/rewards/{reward_id}", responses=documented(NotFound, PreconditionFailed))
async def rewards_update(
    reward_id: UUID, body: RewardUpdate, if_match: IfMatch, actor: Keeper, session: Session, response: Response
) -> RewardRead:
    """Change an entry, offer it, or offer it no longer; orders placed keep what they were placed at."""
    changed = await catalogue.update(session, actor, reward_id, body, version=version_of(if_match))
    return _read(tagged(response, changed))


@router.post(
    "/rewards/{reward_id}/images", status_code=201,
    responses=documented(NotFound, PayloadTooLarge, UnsupportedMediaType),
    openapi_extra={"requestBody": {"required": True, "content": PICTURES}},
)  # fmt: skip
async def rewards_add_image(
    reward_id: UUID, request: Request, actor: Keeper, session: Session, settings: Config, now: Now, response: Response
) -> RewardRead:
    """Upload a picture, which comes last among `image_urls`; left out there by a change, it is gone."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    content = await images.received(request.stream(), media_type, settings.document_max_mib)
    changed = await catalogue.add_image(session, actor, reward_id, media_type, content, now=now)
    return _read(tagged(response, changed))


@router.get(
    "/rewards/{reward_id}/images/{image_id}", response_class=Response,
    responses=documented(NotFound) | {200: {"content": PICTURES}},
)  # fmt: skip
async def rewards_image(reward_id: UUID, image_id: UUID, actor: Viewer, session: Session) -> Response:
    """One picture, for who may see the reward."""
    found = await images.image(session, actor, reward_id, image_id)
    return Response(found.content, media_type=found.media_type, headers={"Content-Disposition": "attachment"})


@router.get("/rewards/{reward_id}/movements", responses=documented(NotFound))
async def rewards_movements(
    reward_id: UUID, actor: StockReader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[RewardMovementRead]:
    """How a stock came about, oldest first; the sum of all changes is the stock."""
    await catalogue.own(session, actor, reward_id)
    found = await queries.movements(session, reward_id, after=id_after(cursor), limit=limit + 1)
    items = [RewardMovementRead.model_validate(movement, from_attributes=True) for movement in found]
    return Page[RewardMovementRead].model_validate(paged(items, limit, lambda movement: (str(movement.id),)))


@router.post(
    "/rewards/{reward_id}/movements", status_code=201, response_model=RewardRead,
    responses=documented(NotFound, RewardShort, KeyConflict),
)  # fmt: skip
async def rewards_change_stock(
    reward_id: UUID, body: RewardStockChange, actor: Keeper, session: Session, now: Now, once: Once
) -> Response:
    """Book what came in, or (negative) is written off; never more than is left."""

    async def change() -> RewardRead:
        return _read(await catalogue.change_stock(session, actor, reward_id, body, now=now))

    return await once(body, change)


@router.post(
    "/rewards/{reward_id}/codes", status_code=201, response_model=CodesUploaded,
    responses=documented(NotFound, KeyConflict),
)  # fmt: skip
async def rewards_upload_codes(
    reward_id: UUID, body: CodesUpload, actor: Keeper, session: Session, now: Now, once: Once
) -> Response:
    """Put codes into a reward's pool; each is given to one member, once."""

    async def upload() -> CodesUploaded:
        return await catalogue.upload_codes(session, actor, reward_id, body, now=now)

    return await once(body, upload)


@router.post(
    "/rewards/{reward_id}/code-uses", status_code=201, response_model=CodeUseRead,
    responses=documented(NotFound, CodeUsed, KeyConflict),
)  # fmt: skip
async def rewards_use_code(
    reward_id: UUID, body: CodeUse, actor: Counter, session: Session, db: Db, guard: GuardInUse, now: Now,
    once: Once,
) -> Response:  # fmt: skip
    """Take a code that a member shows, once; codes that nobody was given count as look-ups that found nobody."""
    await guard.look_up(db.pool, actor, now)

    async def use() -> CodeUseRead:
        used = await catalogue.use_code(session, actor, reward_id, body.code, now=now)
        return CodeUseRead.model_validate(used, from_attributes=True)

    try:
        return await once(body, use)
    except NotFound:
        await guard.miss(db.pool, actor, now)
        raise


def _read(reward: Reward) -> RewardRead:
    return RewardRead.model_validate(dict(reward) | {"left": catalogue.left_of(reward)})
