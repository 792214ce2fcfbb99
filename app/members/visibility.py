"""The member that an actor asks about by id: what most of a member's use cases begin with."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.problems import NotFound
from app.members import queries
from app.members.models import Member


async def visible_member(session: AsyncSession, actor: Actor, member_id: UUID, *, locked: bool = False) -> Member:
    """The member, `locked` for change.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """
    member = await queries.member(session, actor, member_id, locked=locked)
    if member is None:
        raise NotFound("member")
    return member
