"""Perks over HTTP: what members may claim, and how headquarters and chapters keep them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlmodel import col

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
from app.core.paging import Page, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed
from app.core.schemas import PartnerCode
from app.partners import perks, queries
from app.partners.models import Perk
from app.partners.perk_schemas import PerkCreate, PerkOffer, PerkRead, PerkUpdate
from app.partners.queries import Offered

router = APIRouter(tags=["perks"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.PARTNERS_READ, Right.VOUCHERS_VERIFY))]
Keeper = Annotated[Actor, Depends(Requires(Right.PARTNERS_WRITE))]
Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]


@router.get("/members/me/perks", responses=documented(NotFound))
async def perks_offers(
    actor: Self, session: Session, now: Now, limit: Limit = 50, cursor: Cursor = None
) -> Page[PerkOffer]:
    """What the signed-in member may claim today."""
    found = await perks.offers(session, actor, after=id_after(cursor), limit=limit + 1, today=china_date(now))
    items = [_offer(one) for one in found]
    return Page[PerkOffer].model_validate(paged(items, limit, lambda perk: (str(perk.id),)))


@router.get("/perks")
async def perks_list(
    actor: Reader,
    session: Session,
    partner_code: PartnerCode | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PerkRead]:
    """Perks of the partners one sees, oldest first, offered or not."""
    whose = [] if partner_code is None else [col(Perk.partner_code) == partner_code]
    seen = queries.visible_to(actor)
    found = await queries.perks(session, seen, *whose, after=id_after(cursor), limit=limit + 1)
    items = [PerkRead.model_validate(one.perk) for one in found]
    return Page[PerkRead].model_validate(paged(items, limit, lambda perk: (str(perk.id),)))


@router.post("/perks", status_code=201, response_model=PerkRead, responses=documented(NotFound, KeyConflict))
async def perks_create(body: PerkCreate, actor: Keeper, session: Session, once: Once) -> Response:
    """Write a perk of one's partner; it is not offered yet."""

    async def create() -> PerkRead:
        return PerkRead.model_validate(await perks.create(session, actor, body))

    return await once(body, create)


@router.get("/perks/{perk_id}", responses=documented(NotFound))
async def perks_get(perk_id: UUID, actor: Reader, session: Session, response: Response) -> PerkRead:
    """One perk; the ETag is the entry's, and not its vouchers'."""
    found = (await perks.perk(session, actor, perk_id)).perk
    return PerkRead.model_validate(tagged(response, found))


@router.patch("/perks/{perk_id}", responses=documented(NotFound, PreconditionFailed))
async def perks_update(
    perk_id: UUID, body: PerkUpdate, if_match: IfMatch, actor: Keeper, session: Session, response: Response
) -> PerkRead:
    """Change a perk, offer it, or offer it no longer; vouchers that are claimed keep what they were claimed at."""
    changed = await perks.update(session, actor, perk_id, body, version=version_of(if_match))
    return PerkRead.model_validate(tagged(response, changed))


def _offer(offered: Offered) -> PerkOffer:
    perk, partner = offered
    whose = {"partner": partner.name, "partner_en": partner.name_en, "place": partner.place}
    left = None if perk.quota is None else perk.quota - perk.claimed
    return PerkOffer.model_validate(dict(perk) | whose | {"left": left})
