"""The five parties' figures over HTTP, each party's own."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import queries as chapters
from app.core.actors import Actor, Reach, Right
from app.core.clock import china_date
from app.core.db import raw, unrestricted
from app.core.http import GUARDED, Now, Requires, Session
from app.core.problems import Forbidden, InvalidPayload
from app.core.schemas import BusinessDate, Month
from app.partners import claims, figures, queries
from app.partners.claims import ClaimList
from app.partners.figures import AgencyFigures, DealerFigures, MemberFigures, PartnerFigures, ProgrammeFigures, Span
from app.partners.rules import party_of

router = APIRouter(tags=["perk figures"], responses=GUARDED)

Self = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]
Reader = Annotated[Actor, Depends(Requires(Right.PARTNERS_READ))]
Accountant = Annotated[Actor, Depends(Requires(Right.STATEMENTS_READ))]
Headquarters = Annotated[Actor, Depends(Requires(Right.POINTS_TOTALS))]


async def _span(now: Now, since: BusinessDate | None = None, until: BusinessDate | None = None) -> Span:
    """From which day to which; this year so far when left out."""
    today = china_date(now)
    span = Span(since or date((until or today).year, 1, 1), until or today)
    if span.until < span.since:
        raise InvalidPayload.at("/query/until", "date_before_start")
    return span


_CLAIMS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the list, or its lines as CSV: UTF-8 with a byte order mark, one header line",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}
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


@router.get("/perk-claims/{period}", response_model=ClaimList, responses=_CLAIMS)
async def perk_figures_claims(
    actor: Accountant, session: Session, period: Month, now: Now, format: Literal["json", "csv"] = "json"
) -> ClaimList | Response:
    """Who pays whom for a month's vouchers, and what agencies get; others than headquarters see their own lines."""
    dealers = await chapters.reached(await raw(session), actor)
    parties = [party_of(actor.partner_code)] if actor.partner_code else dealers
    # a partner's vouchers are of all its members, whose ever they are
    await unrestricted(session)
    found = await claims.of_month(await raw(session), period, parties, today=china_date(now))
    if format == "json":
        return found
    if not actor.may(Right.RECORDS_EXPORT):
        raise Forbidden
    await audit.record(session, Action.EXPORTED, "perk-claims", [found.month])
    name = {"Content-Disposition": f'attachment; filename="perk-claims-{found.month}.csv"'}
    return Response(claims.as_csv(found), headers=name, media_type="text/csv; charset=utf-8")


@router.get("/perk-figures/agencies")
async def perk_figures_agencies(_: Headquarters, session: Session, span: Days) -> AgenciesFigures:
    """What each agency earned."""
    return AgenciesFigures(items=await figures.of_agencies(await raw(session), span))


@router.get("/perk-figures")
async def perk_figures_all(_: Headquarters, session: Session, span: Days) -> ProgrammeFigures:
    """What the programme came to, and what every party delivered and bears, to zero."""
    return await figures.of_all(await raw(session), span)
