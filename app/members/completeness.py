"""How complete profiles are: one member's, and a chapter's over all its active members."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import HEADQUARTERS, Actor
from app.members.attributes import in_use
from app.members.models import Birth, Member, Ownership
from app.members.profile_models import HouseholdPerson, MemberAttribute, MemberProfile
from app.members.profile_rules import PARTS, score
from app.members.queries import visible_to
from app.members.rules import MemberStatus


class Part(NamedTuple):
    """A part of a profile: what it weighs, and whether `Member` has it."""

    weight: int
    there: ColumnElement[bool]


class OfMember(NamedTuple):
    """A member's completeness."""

    score: int
    missing: list[str]


class OfChapter(NamedTuple):
    """A chapter's completeness; None is headquarters' own roll. `parts`: how many members have each."""

    dealer_code: str | None
    members: int
    score: int
    parts: dict[str, int]


async def parts(session: AsyncSession) -> dict[str, Part]:
    """What a whole profile has: the parts of every club, and the attributes that weigh something in this one."""
    conditions = {
        "vehicle": _has(col(Ownership.member_id), col(Ownership.until).is_(None)),
        "birth": _has(col(Birth.member_id)),
        "contact": _has(col(MemberProfile.member_id), col(MemberProfile.channels).is_not(None)),
        "household": _has(col(HouseholdPerson.member_id)),
        "circle": _has(col(MemberProfile.member_id), col(MemberProfile.circle).is_not(None)),
    }
    own = {name: Part(weight, conditions[name]) for name, weight in PARTS.items()}
    weighty = [attribute for attribute in await in_use(session) if attribute.weight]
    return own | {
        f"attribute.{one.key}": Part(
            one.weight, _has(col(MemberAttribute.member_id), col(MemberAttribute.attribute_key) == one.key)
        )
        for one in weighty
    }


def _has(member_id: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(member_id == col(Member.id), *conditions)


async def of_member(session: AsyncSession, member_id: UUID) -> OfMember:
    """How complete a member's profile is; every part that is missing."""
    whole = await parts(session)
    query = select(*(part.there for part in whole.values())).where(col(Member.id) == member_id)
    row = (await session.execute(query)).one()
    there = dict(zip(whole, row, strict=True))
    filled = sum(part.weight for name, part in whole.items() if there[name])
    return OfMember(score(filled, _weight(whole)), [name for name in whole if not there[name]])


async def of_chapters(session: AsyncSession, actor: Actor, *, after: str, limit: int) -> list[OfChapter]:
    """The chapters an actor reaches, by code from after one; headquarters' own roll stands under its place's name."""
    whole = await parts(session)
    place = func.coalesce(col(Member.dealer_code), HEADQUARTERS)
    counts = [func.count().filter(part.there) for part in whole.values()]
    query = (
        select(col(Member.dealer_code), func.count(), *counts)
        .where(visible_to(actor), col(Member.status) == MemberStatus.ACTIVE, place > after)
        .group_by(col(Member.dealer_code))
        .order_by(place)
        .limit(limit)
    )
    return [_of_chapter(whole, *row) for row in await session.execute(query)]


def _of_chapter(whole: Mapping[str, Part], dealer_code: str | None, members: int, *counts: int) -> OfChapter:
    having = dict(zip(whole, counts, strict=True))
    filled = sum(whole[name].weight * count for name, count in having.items())
    return OfChapter(dealer_code, members, score(filled, _weight(whole) * members), having)


def _weight(whole: Mapping[str, Part]) -> int:
    return sum(part.weight for part in whole.values())
