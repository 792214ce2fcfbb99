"""Member cards over HTTP: a chapter's design, and the member's own card as data."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from app.core.actors import Actor, Right
from app.core.http import GUARDED, IfMatch, Now, Requires, Session, Speaks, documented, tagged, version_of
from app.core.problems import NotFound, PreconditionFailed
from app.members import cards, service
from app.members.card_schemas import CardRead, Design, DesignRead, DesignWrite
from app.members.cards import Designs

router = APIRouter(tags=["members"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.NETWORK_READ))]
Designer = Annotated[Actor, Depends(Requires(Right.CHAPTERS_WRITE))]
Place = Annotated[str, Path(pattern=r"^[A-Z0-9]{2,16}$", examples=["BJ001"], description="a dealer's code, or HQ")]
Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]


@router.get("/members/me/card.json", responses=documented(NotFound))
async def members_card_data(actor: Self, session: Session, language: Speaks) -> CardRead:
    """One's card as data, neutral to wallets; GET /members/me/card draws its code."""
    assert actor.member_id is not None
    found = await service.profile(session, actor, actor.member_id)
    return await cards.card(session, found.member, language)


@router.get("/card-designs/{dealer_code}", responses=documented(NotFound))
async def card_designs_get(dealer_code: Place, actor: Reader, session: Session, response: Response) -> DesignRead:
    """The design that a chapter's cards get; `HQ` is that of chapters which have chosen none."""
    return tagged(response, _read(await cards.designs(session, actor, dealer_code)))


@router.put("/card-designs/{dealer_code}", responses=documented(NotFound, PreconditionFailed))
async def card_designs_set(
    dealer_code: Place, body: DesignWrite, if_match: IfMatch, actor: Designer, session: Session, now: Now,
    response: Response,
) -> DesignRead:  # fmt: skip
    """Choose how a chapter's cards look, or (`HQ`) those of chapters without a choice. The first: If-Match "0"."""
    version = version_of(if_match)
    chosen = await cards.set_design(session, actor, dealer_code, body, version=version, now=now)
    return tagged(response, _read(chosen))


def _read(found: Designs) -> DesignRead:
    own, used = found
    design = Design.model_validate(used, from_attributes=True) if used else cards.DEFAULT
    return DesignRead(
        **design.model_dump(),
        dealer_code=used.dealer_code if used else None,
        updated_at=used.updated_at if used else None,
        version=own.version if own else 0,
    )
