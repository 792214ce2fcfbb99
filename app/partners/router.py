"""Partners and agencies over HTTP, and the points that partners pay for ahead."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

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
from app.core.paging import Page, decode_cursor, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed
from app.partners import queries, service
from app.partners.models import Partner
from app.partners.problems import NotPrepaid, PartnerExists
from app.partners.rules import budget_of, party_of
from app.partners.schemas import (
    AccountRead,
    AgencyCreate,
    AgencyRead,
    AgencyUpdate,
    BlockCreate,
    BlockRead,
    PartnerCreate,
    PartnerRead,
    PartnerUpdate,
)

router = APIRouter(tags=["partners"], responses=GUARDED)

AgencyReader = Annotated[Actor, Depends(Requires(Right.POINTS_TOTALS))]
Either = Annotated[Actor, Depends(Requires(Right.PARTNERS_READ, Right.VOUCHERS_VERIFY))]
Accountant = Annotated[Actor, Depends(Requires(Right.STATEMENTS_READ))]
Keeper = Annotated[Actor, Depends(Requires(Right.PARTNERS_WRITE))]
Treasurer = Annotated[Actor, Depends(Requires(Right.PARTNERS_PREPAY))]
Headquarters = Annotated[Actor, Depends(Requires(Right.PARTNERS_WRITE, also=Right.NETWORK_WRITE))]


def _code_after(cursor: str | None) -> str | None:
    return str(decode_cursor(cursor, str)[0]) if cursor else None


# --- agencies ---


@router.get("/agencies")
async def agencies_list(
    _: AgencyReader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[AgencyRead]:
    """The agencies, by code."""
    found = await queries.agencies(session, after=_code_after(cursor), limit=limit + 1)
    return Page[AgencyRead].model_validate(paged([AgencyRead.model_validate(a) for a in found], limit, _by_code))


@router.post("/agencies", status_code=201, response_model=AgencyRead, responses=documented(PartnerExists, KeyConflict))
async def agencies_create(body: AgencyCreate, actor: Headquarters, session: Session, once: Once) -> Response:
    """Take an agency on."""

    async def create() -> AgencyRead:
        return AgencyRead.model_validate(await service.create_agency(session, body))

    return await once(body, create)


@router.get("/agencies/{agency_code}", responses=documented(NotFound))
async def agencies_get(agency_code: str, _: AgencyReader, session: Session, response: Response) -> AgencyRead:
    """One agency."""
    found = await service.agency(session, agency_code)
    return AgencyRead.model_validate(tagged(response, found))


@router.patch("/agencies/{agency_code}", responses=documented(NotFound, PreconditionFailed))
async def agencies_update(
    agency_code: str, body: AgencyUpdate, if_match: IfMatch, _: Headquarters, session: Session, response: Response
) -> AgencyRead:
    """Change an agency."""
    changed = await service.update_agency(session, agency_code, body, version=version_of(if_match))
    return AgencyRead.model_validate(tagged(response, changed))


# --- partners ---


@router.get("/partners")
async def partners_list(actor: Either, session: Session, limit: Limit = 50, cursor: Cursor = None) -> Page[PartnerRead]:
    """National partners and those of the chapters one reaches, by code; a partner's clerk sees its own."""
    found = await queries.partners(session, queries.visible_to(actor), after=_code_after(cursor), limit=limit + 1)
    return Page[PartnerRead].model_validate(paged([_read(one) for one in found], limit, _by_code))


@router.post("/partners", status_code=201, response_model=PartnerRead, responses=documented(NotFound, PartnerExists))
async def partners_create(body: PartnerCreate, actor: Keeper, session: Session, now: Now, once: Once) -> Response:
    """Take a partner on: headquarters a national one, a chapter its own."""

    async def create() -> PartnerRead:
        return _read(await service.create(session, actor, body, now=now))

    return await once(body, create)


@router.get("/partners/{partner_code}", responses=documented(NotFound))
async def partners_get(partner_code: str, actor: Either, session: Session, response: Response) -> PartnerRead:
    """One partner."""
    found = await service.partner(session, actor, partner_code)
    return _read(tagged(response, found))


@router.patch("/partners/{partner_code}", responses=documented(NotFound, PreconditionFailed))
async def partners_update(
    partner_code: str, body: PartnerUpdate, if_match: IfMatch, actor: Keeper, session: Session, response: Response
) -> PartnerRead:
    """Change a partner, its contract's end, or what it keeps in reserve."""
    changed = await service.update(session, actor, partner_code, body, version=version_of(if_match))
    return _read(tagged(response, changed))


# --- points paid for ahead ---


@router.get("/partner-accounts")
async def partners_accounts(
    actor: Accountant, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[AccountRead]:
    """The accounts of all partners that pay ahead, by code: whose points run low is told by `is_low`."""
    found = await service.accounts(session, actor, after=_code_after(cursor), limit=limit + 1)
    return Page[AccountRead].model_validate(paged(found, limit, lambda account: (account.partner_code,)))


@router.get("/partners/{partner_code}/account", responses=documented(NotFound, NotPrepaid))
async def partners_account(partner_code: str, actor: Accountant, session: Session) -> AccountRead:
    """What of a prepaid partner's points was given, what is left, and whether that is little."""
    return await service.account(session, actor, partner_code)


@router.get("/partners/{partner_code}/blocks", responses=documented(NotFound))
async def partners_blocks(
    partner_code: str, actor: Accountant, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[BlockRead]:
    """The blocks a partner has paid for, oldest first."""
    found = await service.blocks(session, actor, partner_code, after=id_after(cursor), limit=limit + 1)
    items = [BlockRead.model_validate(block) for block in found]
    return Page[BlockRead].model_validate(paged(items, limit, lambda block: (str(block.id),)))


@router.post(
    "/partners/{partner_code}/blocks", status_code=201, response_model=BlockRead,
    responses=documented(NotFound, NotPrepaid, KeyConflict),
)  # fmt: skip
async def partners_add_block(
    partner_code: str, body: BlockCreate, actor: Treasurer, session: Session, now: Now, once: Once
) -> Response:
    """Book a block that a partner has paid for."""

    async def add() -> BlockRead:
        return BlockRead.model_validate(await service.add_block(session, actor, partner_code, body, now=now))

    return await once(body, add)


def _by_code(read: AgencyRead | PartnerRead) -> tuple[str]:
    return (read.code,)


def _read(partner: Partner) -> PartnerRead:
    named = {"funder": party_of(partner.code), "budget": budget_of(partner.code) if partner.is_prepaid else None}
    return PartnerRead.model_validate(dict(partner) | named)
