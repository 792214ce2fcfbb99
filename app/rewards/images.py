"""Pictures of rewards that are kept here: uploaded one by one, named in the reward's `image_urls`, gone with that."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters import documents
from app.core.actors import Actor, Role
from app.core.problems import InvalidPayload, NotFound, UnsupportedMediaType
from app.rewards import catalogue_queries as queries
from app.rewards.catalogue_models import Reward, RewardImage

MEDIA_TYPES = ("image/jpeg", "image/png")
MOST = 8
KEPT_HERE = "/api/v1/rewards/"
"""How the address of a picture begins that is kept here."""


async def received(stream: AsyncIterator[bytes], media_type: str, limit_mib: int) -> bytes:
    """An upload's whole body, a picture by its first bytes.

    Raises:
        UnsupportedMediaType, PayloadTooLarge, InvalidPayload.
    """
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(accepted=MEDIA_TYPES)
    return await documents.received(stream, media_type, limit_mib)


async def add(
    session: AsyncSession, actor: Actor, reward: Reward, media_type: str, content: bytes, *, now: datetime
) -> None:
    """Keep a picture and name it among the reward's, which is locked; the same one sent again is that one.

    Raises:
        InvalidPayload: the reward has as many pictures as it may.
    """
    digest = sha256(content).digest()
    same = select(col(RewardImage.id)).where(col(RewardImage.reward_id) == reward.id, col(RewardImage.sha256) == digest)
    if await session.scalar(same) is not None:
        return
    if len(reward.image_urls) >= MOST:
        raise InvalidPayload.at("", "too_many_images", most=MOST)
    made = RewardImage(
        reward_id=reward.id, media_type=media_type, sha256=digest, content=content, uploaded_by=actor.subject,
        uploaded_at=now,
    )  # fmt: skip
    session.add(made)
    reward.image_urls = [*reward.image_urls, address(made)]
    reward.version += 1
    await session.flush()


def address(image: RewardImage) -> str:
    """Where a picture is to be had."""
    return f"{KEPT_HERE}{image.reward_id}/images/{image.id}"


async def keep_named(session: AsyncSession, reward: Reward, image_urls: Sequence[str]) -> None:
    """Forget what is not named any more of the pictures of a reward, which is locked.

    Raises:
        InvalidPayload: an address names a picture that is not there.
    """
    whose = col(RewardImage.reward_id) == reward.id
    ids = (await session.scalars(select(col(RewardImage.id)).where(whose))).all()
    there = {f"{KEPT_HERE}{reward.id}/images/{image_id}": image_id for image_id in ids}
    for index, url in enumerate(image_urls):
        if url.startswith(KEPT_HERE) and url not in there:
            raise InvalidPayload.at(f"/image_urls/{index}", "unknown_image")
    gone = [image_id for url, image_id in there.items() if url not in image_urls]
    await session.execute(delete(RewardImage).where(whose, col(RewardImage.id).in_(gone)))


async def image(session: AsyncSession, actor: Actor, reward_id: UUID, image_id: UUID) -> RewardImage:
    """A picture of a reward of headquarters, or of a chapter that the actor reaches or is a member of.

    Raises:
        NotFound.
    """
    seen = queries.visible_to(actor)
    if actor.role is Role.MEMBER:
        assert actor.member_id is not None
        customer = await queries.customer(session, actor.member_id)
        seen = queries.belongs_to(customer.dealer_code if customer else None)
    found = await session.get(RewardImage, image_id)
    is_its = found is not None and found.reward_id == reward_id
    if found is None or not is_its or await queries.reward(session, col(Reward.id) == reward_id, seen) is None:
        raise NotFound("image")
    return found
