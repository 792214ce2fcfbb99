"""The tier programme as headquarters runs it, and where a member stands in it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit import service as audit
from app.audit.models import Action
from app.core.actors import Actor
from app.core.clock import china_date
from app.core.db import broken_constraint, raw, unrestricted
from app.core.editing import change, edit, require_version
from app.core.problems import InvalidPayload, NotFound, WrongStatus
from app.earning import tiers_queries as queries
from app.earning.tiers import Programme, amount, put, take
from app.earning.tiers_models import MemberTier, Tier, TierChange, TierProgramme, TierStep
from app.earning.tiers_problems import TierExists, TierHeld
from app.earning.tiers_schemas import ProgrammeUpdate, TierCreate, TierSetting, TierUpdate
from app.members.visibility import visible_member

SHOWN_CHANGES = 20
_COUNTED = frozenset({"measure", "window_months"})

# --- the programme and its tiers ---


async def programme(session: AsyncSession, *, locked: bool = False) -> TierProgramme:
    """The programme."""
    query = select(TierProgramme)
    return (await session.scalars(query.with_for_update() if locked else query)).one()


async def update_programme(session: AsyncSession, body: ProgrammeUpdate, *, version: int) -> TierProgramme:
    """Change what the body names.

    Raises:
        PreconditionFailed.
        WrongStatus: what is counted would change while members stand on it.
    """
    found = await programme(session, locked=True)
    require_version(found, version)
    changes = body.model_dump(exclude_unset=True)
    if found.is_active and any(changes[name] != getattr(found, name) for name in _COUNTED & changes.keys()):
        raise WrongStatus(current="active", allowed=("inactive",))
    change(found, changes)
    await session.flush()
    return found


async def create(session: AsyncSession, body: TierCreate) -> Tier:
    """Write a tier down.

    Raises:
        TierExists: there is one of this code, or from this threshold on.
    """
    made = Tier(**body.model_dump())
    session.add(made)
    await _flush(session)
    return made


async def update(session: AsyncSession, code: str, body: TierUpdate, *, version: int) -> Tier:
    """Change a tier. With another threshold members rise the coming night, and fall when their periods end.

    Raises:
        NotFound, PreconditionFailed.
        TierExists: there is one from this threshold on.
    """
    found = await get(session, code, locked=True)
    edit(found, body.model_dump(exclude_unset=True), version)
    await _flush(session)
    return found


async def delete(session: AsyncSession, code: str) -> None:
    """Take a tier out of a programme that is not active.

    Raises:
        NotFound.
        WrongStatus: the programme is active.
        TierHeld: there are members in it.
    """
    if (await programme(session, locked=True)).is_active:
        raise WrongStatus(current="active", allowed=("inactive",))
    await session.delete(await get(session, code, locked=True))
    await _flush(session)


async def get(session: AsyncSession, code: str, *, locked: bool = False) -> Tier:
    """One tier.

    Raises:
        NotFound.
    """
    found = await session.get(Tier, code, with_for_update=locked)
    if found is None:
        raise NotFound("tier")
    return found


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        match broken_constraint(error):
            case "pk_tier" | "uq_tier_threshold":
                raise TierExists from None
            case "fk_member_tier_tier_code":
                raise TierHeld from None
        raise


# --- members ---


class Standing(NamedTuple):
    """Where a member stands. `amount` counts in the window up to today, `counts` in the one up to the tier's last day;
    without an active programme there is nothing but the changes.
    """

    changes: Sequence[TierChange]
    programme: Programme | None = None
    amount: int = 0
    tier: Tier | None = None
    held: MemberTier | None = None
    counts: int = 0
    above: Tier | None = None


async def standing(session: AsyncSession, actor: Actor, member_id: UUID, *, today: date) -> Standing:
    """Where a member stands, and how it came to that.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
    """
    await visible_member(session, actor, member_id)
    # what was earned before a merge is of one who has left
    await unrestricted(session)
    changes, connection = await queries.changes(session, member_id, SHOWN_CHANGES), await raw(session)
    runs = await Programme.active(connection)
    if runs is None:
        return Standing(changes)
    counted = await amount(connection, runs, member_id, today)
    held = await session.get(MemberTier, member_id)
    counts = await amount(connection, runs, member_id, held.held_until) if held else 0
    tiers = await queries.tiers(session)
    own = next((tier for tier in tiers if tier.code == held.tier_code), None) if held else None
    tier = own or next((tier for tier in tiers if tier.threshold == 0), None)
    above = next((one for one in tiers if tier is None or one.threshold > tier.threshold), None)
    return Standing(changes, runs, counted, tier, held, counts, above)


async def give(session: AsyncSession, actor: Actor, member_id: UUID, body: TierSetting, *, now: datetime) -> None:
    """Put a member in a tier by hand until a day, or take its tier away; what is counted may lift it anew.

    Raises:
        NotFound: there is no such member.
        InvalidPayload: there is no such tier, or no day of today or later is named with it.
    """
    await visible_member(session, actor, member_id, locked=True)
    today, connection = china_date(now), await raw(session)
    until = await _require_until(session, body, today)
    if body.tier is None or until is None:
        before = await take(connection, member_id)
    else:
        before = await put(connection, member_id, body.tier, today, until)
    session.add(
        TierChange(
            member_id=member_id, kind=TierStep.SET, from_tier=before, to_tier=body.tier, day=today, held_until=until,
            reason=body.reason, at=now, by=actor.subject,
        )
    )  # fmt: skip
    await audit.record(session, Action.CHANGED, "member", [member_id], changes={"tier": (before, body.tier)})
    await session.flush()


async def _require_until(session: AsyncSession, body: TierSetting, today: date) -> date | None:
    """The last day of a tier that is given."""
    if body.tier is None:
        return None
    if await session.scalar(select(Tier).where(col(Tier.code) == body.tier, col(Tier.threshold) > 0)) is None:
        raise InvalidPayload.at("/tier", "unknown_tier", value=body.tier)
    if body.held_until is None:
        raise InvalidPayload.at("/held_until", "missing")
    if body.held_until < today:
        raise InvalidPayload.at("/held_until", "date_before_start")
    return body.held_until
