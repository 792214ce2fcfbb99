"""What headquarters wants to know of members: defined, changed, retired."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor
from app.core.db import flush_unless
from app.core.editing import change, require_version
from app.core.problems import InvalidPayload, NotFound
from app.members.problems import AttributeExists
from app.members.profile_models import Attribute
from app.members.profile_rules import WITH_CHOICES, Audience, includes, is_among
from app.members.profile_schemas import AttributeCreate, AttributeUpdate


async def visible(session: AsyncSession, actor: Actor, *, after: str = "", limit: int | None = None) -> list[Attribute]:
    """The attributes an actor may see, by key from after one; retired ones too."""
    query = select(Attribute).where(col(Attribute.key) > after, _seen_by(actor)).order_by(col(Attribute.key))
    return list((await session.scalars(query.limit(limit))).all())


def _seen_by(actor: Actor) -> ColumnElement[bool]:
    return col(Attribute.seen_by).in_([audience for audience in Audience if is_among(actor, audience)])


async def in_use(session: AsyncSession) -> Sequence[Attribute]:
    """The attributes that are not retired."""
    query = select(Attribute).where(col(Attribute.is_retired).is_(False)).order_by(col(Attribute.key))
    return (await session.scalars(query)).all()


async def get(session: AsyncSession, actor: Actor, key: str) -> Attribute:
    """One attribute.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    found = await session.get(Attribute, key)
    if found is None or not is_among(actor, found.seen_by):
        raise NotFound("attribute")
    return found


async def create(session: AsyncSession, actor: Actor, body: AttributeCreate, *, now: datetime) -> Attribute:
    """Define an attribute.

    Raises:
        AttributeExists: there is one of this key.
        InvalidPayload: choices that are missing, superfluous or repeated; editors who do not see it.
    """
    made = Attribute(**body.model_dump(), created_at=now, created_by=actor.subject)
    _require_sense(made)
    session.add(made)
    await flush_unless(session, "pk_attribute", AttributeExists)
    return made


async def update(session: AsyncSession, actor: Actor, key: str, body: AttributeUpdate, *, version: int) -> Attribute:
    """Change an attribute, or retire it.

    Raises:
        NotFound, PreconditionFailed.
        InvalidPayload: as for `create`; or a choice was taken away, on which values and segments may rest.
    """
    attribute = await session.get(Attribute, key, with_for_update=True, populate_existing=True)
    if attribute is None or not is_among(actor, attribute.seen_by):
        raise NotFound("attribute")
    require_version(attribute, version)
    before = {choice["value"] for choice in attribute.choices}
    change(attribute, body.model_dump(exclude_unset=True))
    if gone := before - {choice["value"] for choice in attribute.choices}:
        raise InvalidPayload.at("/choices", "choice_removed", values=", ".join(sorted(gone)))
    _require_sense(attribute)
    await session.flush()
    return attribute


def _require_sense(attribute: Attribute) -> None:
    values = [choice["value"] for choice in attribute.choices]
    if attribute.kind in WITH_CHOICES and not values:
        raise InvalidPayload.at("/choices", "missing")
    if values and attribute.kind not in WITH_CHOICES:
        raise InvalidPayload.at("/choices", "extra_forbidden")
    if len(values) != len(set(values)):
        raise InvalidPayload.at("/choices", "choice_repeated")
    if not includes(Audience(attribute.seen_by), Audience(attribute.edited_by)):
        raise InvalidPayload.at("/edited_by", "edited_unseen")
