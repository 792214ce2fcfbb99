"""The tier programme over HTTP: headquarters' administration, and where members stand."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from app.core.actors import Actor, Right
from app.core.clock import china_date
from app.core.http import (
    GUARDED,
    IfMatch,
    Now,
    Once,
    Requires,
    Session,
    documented,
    tagged,
    version_of,
)  # fmt: skip
from app.core.problems import KeyConflict, NotFound, PreconditionFailed, WrongStatus
from app.earning import tiers_queries as queries
from app.earning import tiers_service as tiers
from app.earning.tiers_models import Tier, TierProgramme
from app.earning.tiers_problems import TierExists, TierHeld
from app.earning.tiers_schemas import (
    Keeping,
    NextTier,
    ProgrammeRead,
    ProgrammeUpdate,
    StandingRead,
    TierChangeRead,
    TierCreate,
    TierList,
    TierRead,
    TierSetting,
    TierUpdate,
)
from app.earning.tiers_service import Standing

router = APIRouter(tags=["tiers"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.RULES_READ, Right.REWARDS_READ, Right.OWN_CARD))]
Keeper = Annotated[Actor, Depends(Requires(Right.TIERS_WRITE))]
PointsReader = Annotated[Actor, Depends(Requires(Right.POINTS_READ, Right.OWN_CARD))]
Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
TierPath = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,31}$", examples=["gold"])]


@router.get("/tier-programme")
async def tier_programme_get(_: Reader, session: Session, response: Response) -> ProgrammeRead:
    """How tiers are won and kept."""
    return _programme(response, await tiers.programme(session))


@router.patch("/tier-programme", responses=documented(PreconditionFailed, WrongStatus))
async def tier_programme_update(
    body: ProgrammeUpdate, if_match: IfMatch, _: Keeper, session: Session, response: Response
) -> ProgrammeRead:
    """Change the programme, start it or stop it."""
    return _programme(response, await tiers.update_programme(session, body, version=version_of(if_match)))


def _programme(response: Response, found: TierProgramme) -> ProgrammeRead:
    return ProgrammeRead.model_validate(tagged(response, found), from_attributes=True)


@router.get("/tiers")
async def tiers_list(_: Reader, session: Session) -> TierList:
    """The tiers, the lowest first."""
    return TierList(items=[_tier(tier) for tier in await queries.tiers(session)])


@router.post("/tiers", status_code=201, response_model=TierRead, responses=documented(TierExists, KeyConflict))
async def tiers_create(body: TierCreate, actor: Keeper, session: Session, once: Once) -> Response:
    """Write a tier down."""

    async def create() -> TierRead:
        return _tier(await tiers.create(session, body))

    return await once(body, create)


@router.get("/tiers/{tier_code}", responses=documented(NotFound))
async def tiers_get(tier_code: TierPath, _: Reader, session: Session, response: Response) -> TierRead:
    """One tier."""
    return _tagged(response, await tiers.get(session, tier_code))


@router.patch("/tiers/{tier_code}", responses=documented(NotFound, PreconditionFailed, TierExists))
async def tiers_update(
    tier_code: TierPath, body: TierUpdate, if_match: IfMatch, _: Keeper, session: Session, response: Response
) -> TierRead:
    """Change a tier."""
    return _tagged(response, await tiers.update(session, tier_code, body, version=version_of(if_match)))


@router.delete("/tiers/{tier_code}", status_code=204, responses=documented(NotFound, WrongStatus, TierHeld))
async def tiers_delete(tier_code: TierPath, _: Keeper, session: Session) -> None:
    """Take a tier out of a programme that is not active; nobody may be in it."""
    await tiers.delete(session, tier_code)


def _tagged(response: Response, tier: Tier) -> TierRead:
    return _tier(tagged(response, tier))


def _tier(tier: Tier) -> TierRead:
    return TierRead.model_validate(tier, from_attributes=True)


# --- members ---


@router.get("/members/me/tier", responses=documented(NotFound))
async def tiers_mine(actor: Self, session: Session, now: Now) -> StandingRead:
    """Where the signed-in member stands, and what is missing."""
    assert actor.member_id is not None
    return _standing(await tiers.standing(session, actor, actor.member_id, today=china_date(now)))


@router.get("/members/{member_id}/tier", responses=documented(NotFound))
async def tiers_standing(member_id: UUID, actor: PointsReader, session: Session, now: Now) -> StandingRead:
    """Where a member stands, and what is missing."""
    return _standing(await tiers.standing(session, actor, member_id, today=china_date(now)))


@router.put("/members/{member_id}/tier", responses=documented(NotFound))
async def tiers_give(member_id: UUID, body: TierSetting, actor: Keeper, session: Session, now: Now) -> StandingRead:
    """Put a member in a tier by hand until a day, or take its tier away."""
    await tiers.give(session, actor, member_id, body, now=now)
    return _standing(await tiers.standing(session, actor, member_id, today=china_date(now)))


def _standing(found: Standing) -> StandingRead:
    runs = found.programme
    return StandingRead(
        measure=runs and runs.measure, window_months=runs and runs.window_months, amount=found.amount if runs else None,
        tier=_tier(found.tier) if found.tier else None, since=found.held.since if found.held else None,
        keeping=_keeping(found), next=_next(found),
        history=[TierChangeRead.model_validate(one, from_attributes=True) for one in found.changes],
    )  # fmt: skip


def _keeping(found: Standing) -> Keeping | None:
    held, tier = found.held, found.tier
    if held is None or tier is None:
        return None
    missing = max(0, tier.threshold - found.counts)
    return Keeping(held_until=held.held_until, counts=found.counts, missing=missing, warned_on=held.warned_on)


def _next(found: Standing) -> NextTier | None:
    if found.above is None:
        return None
    return NextTier(tier=_tier(found.above), missing=max(0, found.above.threshold - found.amount))
