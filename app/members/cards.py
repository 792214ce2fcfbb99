"""Member cards: how a chapter's look, and one member's."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters import queries as chapters
from app.chapters.models import Chapter
from app.core.actors import HEADQUARTERS, Actor, Reach
from app.core.catalogue import Language, text
from app.core.db import flush_unless, raw
from app.core.editing import edit
from app.core.problems import InvalidPayload, NotFound, PreconditionFailed
from app.members.card_schemas import CardBarcode, CardField, CardRead, Design, DesignWrite
from app.members.models import Member
from app.members.profile_models import CardDesign
from app.members.profile_rules import READABLE, contrast
from app.members.rules import MemberStatus

DEFAULT = Design(background="#0A2F5C", foreground="#FFFFFF", logo=None, text=None)
"""Before anybody has chosen."""


class Designs(NamedTuple):
    """A place's own design, and the one that its cards get."""

    own: CardDesign | None
    used: CardDesign | None


async def designs(session: AsyncSession, actor: Actor, place: str) -> Designs:
    """The designs of a place: a chapter by its dealer's code, or HQ.

    Raises:
        NotFound: the dealer has no chapter, or is not the actor's to see.
    """
    return await _designs(session, await _chapter(session, actor, place))


async def _chapter(session: AsyncSession, actor: Actor, place: str) -> str | None:
    if place == HEADQUARTERS:
        return None
    if not await chapters.reaches(await raw(session), actor, place):
        raise NotFound("chapter")
    if not await chapters.has_chapter(session, place):
        raise NotFound("chapter")
    return place


async def _designs(session: AsyncSession, dealer_code: str | None) -> Designs:
    whose = col(CardDesign.dealer_code)
    query = select(CardDesign).where(or_(whose == dealer_code, whose.is_(None))).order_by(whose.nulls_last())
    found = (await session.scalars(query)).all()
    own = next((design for design in found if design.dealer_code == dealer_code), None)
    return Designs(own, found[0] if found else None)


async def set_design(
    session: AsyncSession, actor: Actor, place: str, body: DesignWrite, *, version: int, now: datetime
) -> Designs:
    """Choose how a place's cards look.

    Raises:
        NotFound: as for `designs`; headquarters' is headquarters' to choose.
        PreconditionFailed: somebody has chosen meanwhile.
        InvalidPayload: the text could not be read on its ground.
    """
    dealer_code = await _chapter(session, actor, place)
    if dealer_code is None and actor.reach is not Reach.ALL:
        raise NotFound("chapter")
    if contrast(body.background, body.foreground) < READABLE:
        raise InvalidPayload.at("/foreground", "colour_contrast")
    own = (await _designs(session, dealer_code)).own
    if own is not None:
        await session.refresh(own, with_for_update=True)
    design = own or CardDesign(dealer_code=dealer_code, version=0)
    edit(design, body.model_dump() | {"updated_at": now, "updated_by": actor.subject}, version)
    session.add(design)
    await flush_unless(session, "uq_card_design_dealer_code", PreconditionFailed)
    return Designs(design, design)


async def card(session: AsyncSession, member: Member, language: Language) -> CardRead:
    """A member's card."""
    used = (await _designs(session, member.dealer_code)).used
    chapter = await session.get(Chapter, member.dealer_code) if member.dealer_code else None
    lines = {
        "member_no": member.member_no,
        "name": member.name,
        "chapter": (chapter.name or chapter.dealer_code) if chapter else None,
        "joined_on": member.joined_on.isoformat(),
    }
    return CardRead(
        serial_number=member.member_no,
        status=member.status,
        is_valid=member.status == MemberStatus.ACTIVE,
        chapter=member.dealer_code,
        fields=[
            CardField.model_validate({"key": key, "label": text(language, f"export.{key}", {}), "value": value})
            for key, value in lines.items()
            if value
        ],
        barcode=CardBarcode(message=member.member_no),
        design=Design.model_validate(used, from_attributes=True) if used else DEFAULT,
    )
