"""A member's age, corrections, leaving, and the request to be forgotten."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.db import Database
from app.core.problems import InvalidPayload, NotFound
from app.members import consent_queries
from app.members import queries as members
from app.members import service as membership
from app.members.consent_models import Consent
from app.members.consent_rules import Channel, Decision, Purpose
from app.members.models import Birth, Erasure
from app.members.problems import GuardianNeeded, MemberMerged
from app.members.rules import MemberStatus, needs_guardian
from app.members.schemas import MemberUpdate
from app.members.service import Profile
from app.members.visibility import visible_member
from app.privacy import phones
from app.privacy.phones import Change, Post, Slips
from app.privacy.schemas import BirthUpdate, Correction


async def birth(session: AsyncSession, actor: Actor, member_id: UUID) -> Birth:
    """What is known of a member's age.

    Raises:
        NotFound: nothing, or the member is not the actor's to see.
    """
    found = await session.get(Birth, (await visible_member(session, actor, member_id)).id)
    if found is None:
        raise NotFound("birth")
    return found


async def set_birth(session: AsyncSession, actor: Actor, member_id: UUID, body: BirthUpdate, *, now: datetime) -> Birth:
    """Note when a member was born. Under 14, headquarters names the guardian, who consents to the membership by that.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        GuardianNeeded: under 14, and no guardian, or not through headquarters.
        InvalidPayload: the day lies in the future.
    """
    if body.born_on > china_date(now):
        raise InvalidPayload.at("/born_on", "date_in_future")
    member = await visible_member(session, actor, member_id, locked=True)
    is_child = needs_guardian(body.born_on, china_date(now))
    known = await session.get(Birth, member.id)
    was_child = known is not None and needs_guardian(known.born_on, china_date(now))
    # nobody grows up by its own word
    if (is_child and body.guardian is None) or ((is_child or was_child) and actor.role is Role.MEMBER):
        raise GuardianNeeded
    found = await session.merge(_birth(actor, member.id, body, now))
    if is_child:
        session.add(await _by_guardian(session, actor, member.id, body.channel, now))
    await session.flush()
    return found


def _birth(actor: Actor, member_id: UUID, body: BirthUpdate, now: datetime) -> Birth:
    return Birth(
        member_id=member_id,
        born_on=body.born_on,
        guardian_name=body.guardian.name if body.guardian else None,
        guardian_relation=body.guardian.relation if body.guardian else None,
        recorded_at=now,
        recorded_by=actor.subject,
    )


async def _by_guardian(
    session: AsyncSession, actor: Actor, member_id: UUID, channel: Channel, now: datetime
) -> Consent:
    notice = (await consent_queries.in_force(session))[Purpose.MEMBERSHIP].notice
    return Consent(
        member_id=member_id, purpose=Purpose.MEMBERSHIP, version=notice.version, decision=Decision.GIVEN,
        channel=channel, by_guardian=True, at=now, recorded_by=actor.subject,
    )  # fmt: skip


async def correct(
    db: Database, session: AsyncSession, slips: Slips, post: Post, actor: Actor, member_id: UUID, body: Correction, *,
    version: int, now: datetime,
) -> Profile:  # fmt: skip
    """Set right what the member says is wrong.

    Raises:
        NotFound, PreconditionFailed.
        InvalidPayload: a phone number without the codes sent for it, or a code alone.
        CodeWrong, PhoneTaken: as `phones.change` says.
    """
    missing = {"phone", "code"} - body.model_fields_set
    if len(missing) == 1:
        raise InvalidPayload.at(f"/{missing.pop()}", "missing")
    if not missing:
        await members.lock_phone(session, body.phone)
    renamed = MemberUpdate(**body.model_dump(include={"name"}, exclude_unset=True))
    corrected = await membership.update(session, actor, member_id, renamed, version=version)
    if not missing:
        shown = body.model_dump(include={"phone", "code", "old_code"}, exclude_unset=True)
        await phones.change(db, session, slips, post, actor, corrected.member, Change(**shown), now)
    return corrected


async def close(session: AsyncSession, actor: Actor, member_id: UUID, reason: str | None, *, now: datetime) -> Profile:
    """End a membership as its member wishes; the data stays for the time the settings say, unless erasure is asked.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        WrongStatus: it has ended before.
    """
    why = reason or "the member's wish"
    return await membership.change_status(session, actor, member_id, MemberStatus.LEFT, why, now=now)


async def ask_erasure(
    session: AsyncSession, actor: Actor, member_id: UUID, reason: str | None, *, now: datetime, wait: timedelta
) -> Erasure:
    """Remove a member's data in so many days; the membership ends at once. Asked again, it is the same erasure.

    Those who were merged into the member go with it, as the database sees to.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        MemberMerged: another goes on for it, whose erasure is to be asked for.
    """
    member = await visible_member(session, actor, member_id, locked=True)
    if member.merged_into is not None:
        raise MemberMerged(merged_into=member.merged_into)
    asked = await session.get(Erasure, member.id)
    if asked is not None:
        return asked
    if member.status != MemberStatus.LEFT:
        await close(session, actor, member_id, reason, now=now)
    asked = Erasure(member_id=member.id, requested_at=now, requested_by=actor.subject, due_on=china_date(now + wait))
    session.add(asked)
    await session.flush()
    return asked


async def erasure(session: AsyncSession, actor: Actor, member_id: UUID) -> Erasure:
    """A member's erasure while it is on its way.

    Raises:
        NotFound: none was asked for, it is done, or the member is not the actor's to see.
    """
    found = await session.get(Erasure, (await visible_member(session, actor, member_id)).id)
    if found is None:
        raise NotFound("erasure")
    return found


async def withdraw_erasure(session: AsyncSession, actor: Actor, member_id: UUID) -> Profile:
    """Keep a member's data after all; the membership stays ended until it is taken up again.

    Raises:
        NotFound: none was asked for, or it is done.
    """
    await visible_member(session, actor, member_id, locked=True)
    await session.delete(await erasure(session, actor, member_id))
    await session.flush()
    return await membership.profile(session, actor, member_id)
