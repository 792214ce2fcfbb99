"""The five parties' figures over HTTP, each party's own."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach, Right
from app.core.clock import china_date
from app.core.db import raw, unrestricted
from app.core.http import GUARDED, Now, Requires, Session
from app.core.problems import InvalidPayload
from app.core.schemas import BusinessDate
from app.partners import figures, queries
from app.partners.figures import AgencyFigures, DealerFigures, MemberFigures, PartnerFigures, ProgrammeFigures, Span

router = APIRouter(tags=["perk figures"], responses=GUARDED)

Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
Reader = Annotated[Actor, Depends(Requires(Right.PARTNERS_READ))]
Accountant = Annotated[Actor, Depends(Requires(Right.STATEMENTS_READ))]
Headquarters = Annotated[Actor, Depends(Requires(Right.POINTS_TOTALS))]
Agent = Annotated[Actor, Depends(Requires(Right.POINTS_TOTALS, Right.COMMISSIONS_READ))]


async def _span(now: Now, since: BusinessDate | None = None, until: BusinessDate | None = None) -> Span:
    """From which day to which; this year so far when left out."""
    today = china_date(now)
    span = Span(since or date((until or today).year, 1, 1), until or today)
    if span.until < span.since:
        raise InvalidPayload.at("/query/until", "date_before_start")
    return span


Days = Annotated[Span, Depends(_span)]


class DealersFigures(BaseModel):
    """By dealer's code; dealers whose members claimed and used nothing are left out."""

    items: list[DealerFigures]


class PartnersFigures(BaseModel):
    """By partner's code."""

    items: list[PartnerFigures]


class AgenciesFigures(BaseModel):
    """By agency's code."""

    items: list[AgencyFigures]


@router.get("/members/me/perk-figures")
async def perk_figures_mine(actor: Self, session: Session, span: Days) -> MemberFigures:
    """What I had of perks."""
    assert actor.member_id is not None
    return await figures.of_member(await raw(session), span, actor.member_id)


@router.get("/perk-figures/dealers")
async def perk_figures_dealers(actor: Reader, session: Session, span: Days) -> DealersFigures:
    """What members of the chapters one reaches had, and what their dealers saved."""
    connection = await raw(session)
    return DealersFigures(items=await figures.of_dealers(connection, span, await chapters.reached(connection, actor)))


@router.get("/perk-figures/partners")
async def perk_figures_partners(actor: Accountant, session: Session, span: Days) -> PartnersFigures:
    """What the partners one keeps reached, gave and are owed; a partner's clerk sees its own alone."""
    own = queries.visible_to(actor) if actor.reach is Reach.PARTNER else queries.owned_by(actor)
    codes = [partner.code for partner in await queries.partners(session, own)]
    # a partner's figures are of all its members, whose ever they are
    await unrestricted(session)
    return PartnersFigures(items=await figures.of_partners(await raw(session), span, codes))


@router.get("/perk-figures/agencies")
async def perk_figures_agencies(actor: Agent, session: Session, span: Days) -> AgenciesFigures:
    """What each agency earned, in all and by partner; an agency's clerk sees its own alone."""
    # its commission is of vouchers of all members
    await unrestricted(session)
    return AgenciesFigures(items=await figures.of_agencies(await raw(session), span, actor.agency_code))


@router.get("/perk-figures")
async def perk_figures_all(_: Headquarters, session: Session, span: Days) -> ProgrammeFigures:
    """What the programme came to, and what every party delivered and bears, to zero."""
    return await figures.of_all(await raw(session), span)
