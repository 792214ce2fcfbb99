"""The SQL of materials and requests for them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.materials_models import Material, MaterialMovement, MaterialRequest, MaterialRequestLine
from app.chapters.materials_rules import OPEN, RequestStatus
from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor


class LineShown(NamedTuple):
    """A request's line with its material's name and unit."""

    material_id: UUID
    name: str
    unit: str
    quantity: int
    approved: int | None
    received: int | None


async def materials(
    session: AsyncSession, *, offered: bool | None, after: UUID | None, limit: int
) -> Sequence[Material]:
    """The catalogue, oldest entry first; None does not filter."""
    query = select(Material).order_by(col(Material.id)).limit(limit)
    if after is not None:
        query = query.where(col(Material.id) > after)
    if offered is not None:
        query = query.where(col(Material.is_offered) == offered)
    return (await session.scalars(query)).all()


async def offered_ids(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Which of these are in the catalogue and can be asked for."""
    query = select(col(Material.id)).where(col(Material.id).in_(ids), col(Material.is_offered))
    return set((await session.scalars(query)).all())


async def locked_materials(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Material]:
    """These materials for change of their stock, always locked in the order of their ids."""
    query = select(Material).where(col(Material.id).in_(ids)).order_by(col(Material.id)).with_for_update()
    found = await session.scalars(query.execution_options(populate_existing=True))
    return {material.id: material for material in found}


async def movements(
    session: AsyncSession, material_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[MaterialMovement]:
    """The changes of a material's stock, oldest first."""
    query = select(MaterialMovement).where(col(MaterialMovement.material_id) == material_id)
    if after is not None:
        query = query.where(col(MaterialMovement.id) > after)
    return (await session.scalars(query.order_by(col(MaterialMovement.id)).limit(limit))).all()


async def requests(
    session: AsyncSession, actor: Actor, *, status: RequestStatus | None, dealer_code: str | None,
    after: UUID | None, limit: int,
) -> Sequence[MaterialRequest]:  # fmt: skip
    """The requests an actor may see, oldest first; None does not filter."""
    query = select(MaterialRequest).where(dealer_visible_to(actor, col(MaterialRequest.dealer_code)))
    if status is not None:
        query = query.where(col(MaterialRequest.status) == status)
    if dealer_code is not None:
        query = query.where(col(MaterialRequest.dealer_code) == dealer_code)
    if after is not None:
        query = query.where(col(MaterialRequest.id) > after)
    return (await session.scalars(query.order_by(col(MaterialRequest.id)).limit(limit))).all()


async def request(
    session: AsyncSession, actor: Actor, request_id: UUID, *, locked: bool = False
) -> MaterialRequest | None:
    """One request, if the actor may see it; `locked`: for its next step."""
    query = select(MaterialRequest).where(
        col(MaterialRequest.id) == request_id, dealer_visible_to(actor, col(MaterialRequest.dealer_code))
    )
    if locked:
        query = query.with_for_update(of=MaterialRequest).execution_options(populate_existing=True)
    found: MaterialRequest | None = await session.scalar(query)
    return found


async def open_requests(session: AsyncSession, dealer_code: str) -> Sequence[MaterialRequest]:
    """A chapter's requests that are not on their way yet, for change."""
    query = select(MaterialRequest).where(
        col(MaterialRequest.dealer_code) == dealer_code, col(MaterialRequest.status).in_(OPEN)
    )
    query = query.order_by(col(MaterialRequest.id)).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def lines(session: AsyncSession, request_ids: Collection[UUID]) -> Sequence[MaterialRequestLine]:
    """The lines of requests, by request and material."""
    query = select(MaterialRequestLine).where(col(MaterialRequestLine.request_id).in_(request_ids))
    order = (col(MaterialRequestLine.request_id), col(MaterialRequestLine.material_id))
    return (await session.scalars(query.order_by(*order))).all()


async def lines_shown(session: AsyncSession, request_ids: Collection[UUID]) -> dict[UUID, list[LineShown]]:
    """The lines of requests with their materials' names, by request."""
    line = MaterialRequestLine
    query = (
        select(
            col(line.request_id), col(Material.id), col(Material.name), col(Material.unit), col(line.quantity),
            col(line.approved), col(line.received),
        )
        .join(Material, col(Material.id) == col(line.material_id))
        .where(col(line.request_id).in_(request_ids))
        .order_by(col(Material.id))
    )  # fmt: skip
    found: dict[UUID, list[LineShown]] = {request_id: [] for request_id in request_ids}
    for request_id, *shown in await session.execute(query):
        found[request_id].append(LineShown._make(shown))
    return found
