"""The catalogue of rewards: headquarters' and chapters' own, what they cost whom, their stock and their codes."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.codes import fresh_code
from app.core.db import raw, unrestricted
from app.core.editing import change, require_version
from app.core.problems import InvalidPayload, NotFound
from app.partners import queries as partners
from app.rewards import catalogue_queries as queries
from app.rewards import images
from app.rewards.catalogue_models import Reward, RewardCode, RewardMovement
from app.rewards.catalogue_queries import visible_to
from app.rewards.catalogue_rules import CODED, CodeSource, RewardKind, price_for
from app.rewards.catalogue_schemas import (
    CodesUpload,
    CodesUploaded,
    RewardCreate,
    RewardOffer,
    RewardStockChange,
    RewardUpdate,
)
from app.rewards.problems import CodeUsed, RewardShort

TierOf = Callable[[AsyncSession, UUID, date], Awaitable[str | None]]
"""The code of a member's tier on a day."""
_TIERS: list[TierOf] = []


def register_tiers(tier: TierOf) -> None:
    """Make known who says which tier a member is in; through wiring. Until then nobody has one."""
    _TIERS.append(tier)


async def tier_of(session: AsyncSession, member_id: UUID, today: date) -> str | None:
    """The code of a member's tier, if there are tiers."""
    return await _TIERS[0](session, member_id, today) if _TIERS else None


# --- the entries ---


async def create(session: AsyncSession, actor: Actor, body: RewardCreate) -> Reward:
    """Take a reward into the catalogue; it is not offered yet.

    Raises:
        InvalidPayload: the entry is not whole, or the dealer is not the actor's or has no chapter.
    """
    fields = body.model_dump(exclude={"is_counted"})
    if actor.reach is not Reach.ALL:
        fields["dealer_code"] = body.dealer_code or actor.dealer_code
    await _require_chapter(session, actor, fields["dealer_code"])
    for index, url in enumerate(body.image_urls):
        _require(not url.startswith(images.KEPT_HERE), f"/image_urls/{index}", "unknown_image")
    created = Reward(**fields, stock=0 if body.is_counted or body.codes is CodeSource.POOL else None)
    _require_whole(created)
    await _require_partner(session, created)
    session.add(created)
    await session.flush()
    return created


async def _require_chapter(session: AsyncSession, actor: Actor, dealer_code: str | None) -> None:
    if dealer_code is None:
        return
    if not await chapters.reaches(await raw(session), actor, dealer_code):
        raise InvalidPayload.at("/dealer_code", "not_your_dealer", value=actor.dealer_code)
    if not await chapters.has_chapter(session, dealer_code):
        raise InvalidPayload.at("/dealer_code", "unknown_dealer", value=dealer_code)


async def update(session: AsyncSession, actor: Actor, reward_id: UUID, body: RewardUpdate, *, version: int) -> Reward:
    """Change what the body names; orders that were placed keep what they were placed at.

    Raises:
        NotFound, PreconditionFailed.
        InvalidPayload: the entry would not be whole.
    """
    found = await own(session, actor, reward_id, locked=True)
    require_version(found, version)
    changes = body.model_dump(exclude_unset=True)
    if "image_urls" in changes:
        await images.keep_named(session, found, changes["image_urls"])
    change(found, changes)
    with session.no_autoflush:
        _require_whole(found)
        await _require_partner(session, found)
    await session.flush()
    return found


async def add_image(
    session: AsyncSession, actor: Actor, reward_id: UUID, media_type: str, content: bytes, *, now: datetime
) -> Reward:
    """Keep a picture of a reward, its last; the same one sent again stays where it is.

    Raises:
        NotFound: there is no such reward, or it is not the actor's.
        InvalidPayload: it has as many as it may.
    """
    found = await own(session, actor, reward_id, locked=True)
    await images.add(session, actor, found, media_type, content, now=now)
    return found


def _require_whole(reward: Reward) -> None:
    """Refuse an entry that its kind does not make sense of."""
    is_service, is_donation = reward.kind == RewardKind.SERVICE, reward.kind == RewardKind.DONATION
    _require(bool(reward.prices) is not is_service, "/prices", "reward_prices")
    _require(bool(reward.covers) is is_service, "/covers", "only_for_a_service")
    _require((reward.max_share_percent is not None) is is_service, "/max_share_percent", "only_for_a_service")
    _require(not is_service or reward.fen_per_point is not None, "/fen_per_point", "missing")
    _require(reward.codes is None or reward.kind in CODED, "/codes", "reward_codes")
    _require(reward.kind != RewardKind.COUPON or reward.codes is not None, "/codes", "missing")
    _require(reward.kind != RewardKind.EVENT_FEE or reward.reference is not None, "/reference", "missing")
    _require(reward.valid_until is None or reward.valid_until >= reward.valid_from, "/valid_until", "date_before_start")
    tiers: list[str | None] = []
    for index, price in enumerate(reward.prices):
        least, at = price["least_points"], f"/prices/{index}"
        _require(price["tier"] not in tiers, f"{at}/tier", "tier_repeated")
        _require(least is None or least <= price["points"], f"{at}/least_points", "least_above_price")
        _require(least is None or is_donation or bool(reward.fen_per_point), "/fen_per_point", "missing")
        tiers.append(price["tier"])


async def _require_partner(session: AsyncSession, reward: Reward) -> None:
    """A voucher is a partner's: a national one's, or of the chapter whose reward it is."""
    code, is_voucher = reward.partner_code, reward.kind == RewardKind.PARTNER_VOUCHER
    _require((code is not None) is is_voucher, "/partner_code", "missing" if is_voucher else "not_for_this_reward")
    partner = await partners.partner(session, code) if code else None
    if code and (partner is None or partner.dealer_code not in (None, reward.dealer_code)):
        raise InvalidPayload.at("/partner_code", "unknown_partner", value=code)


def _require(holds: bool, pointer: str, code: str) -> None:
    if not holds:
        raise InvalidPayload.at(pointer, code)


async def reward(session: AsyncSession, actor: Actor, reward_id: UUID) -> Reward:
    """An entry of the catalogue.

    Raises:
        NotFound: there is none, or it is another chapter's own.
    """
    return _found(await queries.reward(session, col(Reward.id) == reward_id, visible_to(actor)))


async def own(session: AsyncSession, actor: Actor, reward_id: UUID, *, locked: bool = False) -> Reward:
    """An entry that is the actor's to change.

    Raises:
        NotFound: there is none, or it is headquarters' or another chapter's.
    """
    return _found(await queries.reward(session, col(Reward.id) == reward_id, _owned_by(actor), locked=locked))


def _owned_by(actor: Actor) -> ColumnElement[bool]:
    if actor.reach is Reach.ALL:
        return true()
    return chapters.dealer_visible_to(actor, col(Reward.dealer_code))


def _found(reward: Reward | None) -> Reward:
    if reward is None:
        raise NotFound("reward")
    return reward


# --- what a member may have ---


async def offers(
    session: AsyncSession, member_id: UUID, *, kind: RewardKind | None, after: UUID | None, limit: int, now: datetime
) -> list[RewardOffer]:
    """What a member may have today, at its own price, oldest entry first.

    Raises:
        NotFound: there is no such member.
    """
    customer = await queries.customer(session, member_id)
    if customer is None:
        raise NotFound("member")
    tier = await tier_of(session, member_id, china_date(now))
    is_open = queries.open_to(customer.dealer_code, tier, china_date(now))
    found = await queries.rewards(session, is_open, kind=kind, after=after, limit=limit)
    return [_offer(reward, tier) for reward in found]


def _offer(reward: Reward, tier: str | None) -> RewardOffer:
    mine = {"price": price_for(reward.prices, tier), "left": left_of(reward)}
    return RewardOffer.model_validate(dict(reward) | mine)


# --- stock and codes ---


def left_of(reward: Reward) -> int | None:
    """How many can still be ordered; None: they are not counted."""
    return None if reward.stock is None else reward.stock - reward.reserved - reward.issued


def require_left(reward: Reward, quantity: int) -> None:
    """Refuse to promise more than is left of a reward, which is locked.

    Raises:
        RewardShort.
    """
    left = left_of(reward)
    if left is not None and left < quantity:
        raise RewardShort(needed=quantity, left=left)


async def change_stock(
    session: AsyncSession, actor: Actor, reward_id: UUID, body: RewardStockChange, *, now: datetime
) -> Reward:
    """Book what came in, or is written off.

    Raises:
        NotFound: there is none, or it is not the actor's.
        RewardShort: less is left than is to go.
        InvalidPayload: nothing changes, or the reward has no stock but codes, or none at all.
    """
    if body.change == 0:
        raise InvalidPayload.at("/change", "change_zero")
    found = await own(session, actor, reward_id, locked=True)
    if found.stock is None or found.codes == CodeSource.POOL:
        raise InvalidPayload.at("/change", "reward_not_counted")
    require_left(found, -body.change)
    await _move(session, actor, found, body.change, body.reason, now)
    return found


async def upload_codes(
    session: AsyncSession, actor: Actor, reward_id: UUID, body: CodesUpload, *, now: datetime
) -> CodesUploaded:
    """Put codes into a pool: the stock grows by those it did not have.

    Raises:
        NotFound: there is no such reward, or it is not the actor's.
        InvalidPayload: it has no pool.
    """
    found = await own(session, actor, reward_id, locked=True)
    if found.codes != CodeSource.POOL:
        raise InvalidPayload.at("/codes", "reward_has_no_pool")
    added = await queries.add_codes(await raw(session), found.id, body.codes)
    if added:
        await _move(session, actor, found, added, body.reason, now)
    left = left_of(found)
    assert left is not None
    return CodesUploaded(added=added, already_known=len(body.codes) - added, left=left)


async def _move(session: AsyncSession, actor: Actor, reward: Reward, change: int, reason: str, now: datetime) -> None:
    assert reward.stock is not None
    reward.stock += change
    session.add(RewardMovement(reward_id=reward.id, change=change, reason=reason, at=now, by=actor.subject))
    await session.flush()


async def give_codes(session: AsyncSession, reward: Reward, order_id: UUID, quantity: int, now: datetime) -> None:
    """Give an order its codes, each for the first and last time; the reward is locked and they are reserved."""
    if reward.codes is None:
        return
    await session.flush()
    connection = await raw(session)
    if reward.codes == CodeSource.OWN:
        await queries.add_codes(connection, reward.id, [fresh_code() for _ in range(quantity)])
    given = await queries.give_codes(connection, reward.id, order_id, quantity, now)
    assert given == quantity, f"reward {reward.id} has reserved codes that it does not have"


async def use_code(session: AsyncSession, actor: Actor, reward_id: UUID, code: str, *, now: datetime) -> RewardCode:
    """Note that a member's code was taken at the actor's counter, for the first and last time.

    Raises:
        NotFound: there is no such reward for the actor, or nobody was given such a code of it.
        CodeUsed: it was taken before.
    """
    found = await reward(session, actor, reward_id)
    # the member may be another chapter's
    await unrestricted(session)
    given = await queries.given_code(session, found.id, code)
    if given is None:
        raise NotFound("reward code")
    if given.used_at is not None:
        raise CodeUsed(used_on=china_date(given.used_at))
    given.used_at, given.used_by, given.used_with = now, actor.subject, actor.dealer_code
    await session.flush()
    return given
