"""Attributes over HTTP: what headquarters wants to know of members."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

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
from app.core.paging import Page, decode_cursor, next_cursor
from app.core.problems import KeyConflict, NotFound, PreconditionFailed
from app.members import attributes
from app.members.problems import AttributeExists
from app.members.profile_models import Attribute
from app.members.profile_schemas import AttributeCreate, AttributeRead, AttributeUpdate

router = APIRouter(prefix="/attributes", tags=["members"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, Right.OWN_CARD))]
Definer = Annotated[Actor, Depends(Requires(Right.ATTRIBUTES_WRITE))]
AttributeKey = Annotated[str, Path(max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]


@router.get("")
async def attributes_list(
    actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[AttributeRead]:
    """What is to be known of members, as far as one may see it, by key; retired attributes too."""
    after = str(decode_cursor(cursor, str)[0]) if cursor else ""
    found = await attributes.visible(session, actor, after=after, limit=limit + 1)
    items = [_read(attribute) for attribute in found[:limit]]
    return Page[AttributeRead](items=items, next_cursor=next_cursor(found, limit, lambda attribute: (attribute.key,)))


@router.post("", status_code=201, response_model=AttributeRead, responses=documented(AttributeExists, KeyConflict))
async def attributes_create(body: AttributeCreate, actor: Definer, session: Session, now: Now, once: Once) -> Response:
    """Define an attribute."""

    async def create() -> AttributeRead:
        return _read(await attributes.create(session, actor, body, now=now))

    return await once(body, create)


@router.get("/{attribute_key}", responses=documented(NotFound))
async def attributes_get(
    attribute_key: AttributeKey, actor: Reader, session: Session, response: Response
) -> AttributeRead:
    """One attribute."""
    return tagged(response, _read(await attributes.get(session, actor, attribute_key)))


@router.patch("/{attribute_key}", responses=documented(NotFound, PreconditionFailed))
async def attributes_update(
    attribute_key: AttributeKey, body: AttributeUpdate, if_match: IfMatch, actor: Definer, session: Session,
    response: Response,
) -> AttributeRead:  # fmt: skip
    """Change an attribute's words, choices, audiences or weight, or retire it; its key and kind stay."""
    version = version_of(if_match)
    return tagged(response, _read(await attributes.update(session, actor, attribute_key, body, version=version)))


def _read(attribute: Attribute) -> AttributeRead:
    return AttributeRead.model_validate(attribute, from_attributes=True)
