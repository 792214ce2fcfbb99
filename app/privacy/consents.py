"""Consent: the texts members are asked with, their answers, and what of their data goes to partners by them."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.problems import InvalidPayload, NotFound
from app.members import queries as members
from app.members.models import Birth, Member
from app.members.problems import GuardianNeeded
from app.members.rules import needs_guardian
from app.privacy import queries
from app.privacy.models import Consent, Notice, Provision
from app.privacy.problems import ConsentMissing, NoticeOutdated
from app.privacy.queries import InForce
from app.privacy.rules import OWN_CHANNELS, Answer, Decision, Purpose, may_ask, stands
from app.privacy.schemas import ConsentCreate, ConsentRead, NoticeCreate, Partner, ProvisionCreate


async def publish(session: AsyncSession, actor: Actor, body: NoticeCreate, *, now: datetime) -> Notice:
    """Put a new version of a purpose's text in force."""
    await queries.lock_notices(session)
    current = (await queries.in_force(session))[body.purpose]
    notice = Notice(
        **body.model_dump(), version=current.notice.version + 1, published_at=now, published_by=actor.subject
    )
    session.add(notice)
    await session.flush()
    return notice


# --- answers ---


async def standing(
    session: AsyncSession, actor: Actor, member_id: UUID, *, now: datetime, quiet: timedelta
) -> list[ConsentRead]:
    """Where a member stands on every purpose.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
    """
    member = await _visible(session, actor, member_id)
    given = {(answer.purpose, answer.partner_code): answer for answer in await queries.answers(session, [member.id])}
    in_force = await queries.in_force(session)
    unasked = [(purpose, None) for purpose in Purpose if purpose is not Purpose.PARTNER]
    places = dict.fromkeys([*unasked, *((Purpose(purpose), partner) for purpose, partner in given)])
    return [_read(purpose, given.get((purpose, partner)), in_force[purpose], now, quiet) for purpose, partner in places]


def _read(purpose: Purpose, last: Consent | None, current: InForce, now: datetime, quiet: timedelta) -> ConsentRead:
    answer = _answer(last) if last is not None else None
    return ConsentRead(
        purpose=purpose,
        partner=_partner(last),
        decision=answer.decision if answer else None,
        version=answer.version if answer else None,
        channel=last.channel if last else None,
        at=answer.at if answer else None,
        stands=stands(answer, current.renewed),
        may_ask=may_ask(answer, current.renewed, now=now, quiet=quiet),
    )


def _answer(consent: Consent) -> Answer:
    return Answer(Decision(consent.decision), consent.version, consent.at)


def _partner(consent: Consent | None) -> Partner | None:
    if consent is None or consent.partner_code is None or consent.partner_name is None:
        return None
    return Partner(code=consent.partner_code, name=consent.partner_name)


async def decide(session: AsyncSession, actor: Actor, member_id: UUID, body: ConsentCreate, *, now: datetime) -> None:
    """Record a member's answer; the answer it gave last, given again, is not recorded twice.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        NoticeOutdated: consent to a text that is in force no longer.
        GuardianNeeded: the member is under 14, and no guardian on record consents through headquarters.
        InvalidPayload: a partner that is missing or superfluous, a channel that is not the member's own.
    """
    _require_sense(actor, body)
    member = await _visible(session, actor, member_id, locked=True)
    current = (await queries.in_force(session))[body.purpose]
    partner = body.partner.code if body.partner else None
    last = await _last(session, member.id, body.purpose, partner)
    if body.decision is Decision.GIVEN:
        await _require_informed(session, actor, member, body, current.notice.version, now)
    if last is not None and (last.decision, last.version) == (body.decision, body.version or last.version):
        return
    session.add(_consent(actor, member, body, body.version or current.notice.version, now))
    await session.flush()


def _require_sense(actor: Actor, body: ConsentCreate) -> None:
    if (body.partner is not None) != (body.purpose is Purpose.PARTNER):
        raise InvalidPayload.at("/partner", "missing" if body.partner is None else "extra_forbidden")
    if actor.role is Role.MEMBER and body.channel not in OWN_CHANNELS:
        raise InvalidPayload.at("/channel", "enum", expected=", ".join(sorted(OWN_CHANNELS)))
    if body.decision is Decision.GIVEN and body.version is None:
        raise InvalidPayload.at("/version", "missing")


async def _require_informed(
    session: AsyncSession, actor: Actor, member: Member, body: ConsentCreate, version: int, now: datetime
) -> None:
    if body.version != version:
        raise NoticeOutdated(version=version)
    birth = await session.get(Birth, member.id)
    if birth is None or not needs_guardian(birth.born_on, china_date(now)):
        return
    # a child holds the same telephone as anybody: only headquarters can tell that a guardian speaks
    if birth.guardian_name is None or not body.by_guardian or actor.role is Role.MEMBER:
        raise GuardianNeeded


def _consent(actor: Actor, member: Member, body: ConsentCreate, version: int, now: datetime) -> Consent:
    return Consent(
        member_id=member.id,
        purpose=body.purpose,
        partner_code=body.partner.code if body.partner else None,
        partner_name=body.partner.name if body.partner else None,
        version=version,
        decision=body.decision,
        channel=body.channel,
        by_guardian=body.by_guardian,
        at=now,
        recorded_by=actor.subject,
    )


async def _last(session: AsyncSession, member_id: UUID, purpose: Purpose, partner: str | None) -> Consent | None:
    answers = await queries.answers(session, [member_id])
    return next((a for a in answers if (a.purpose, a.partner_code) == (purpose, partner)), None)


async def _visible(session: AsyncSession, actor: Actor, member_id: UUID, *, locked: bool = False) -> Member:
    member = await members.member(session, actor, member_id, locked=locked)
    if member is None:
        raise NotFound("member")
    return member


# --- what rests on consent ---


async def consenting(
    session: AsyncSession, member_ids: Collection[UUID], purpose: Purpose, partner: str | None = None
) -> set[UUID]:
    """Those of the members whose consent to the purpose (and partner) counts today; nobody else may be written to.

    Only active members count: who left is left in peace.
    """
    renewed = (await queries.in_force(session))[purpose].renewed
    given = await _last_of(session, member_ids, purpose, partner)
    return {
        member_id
        for member_id in await queries.active(session, member_ids)
        if (last := given.get(member_id)) is not None and stands(last, renewed)
    }


async def who_may_be_asked(
    session: AsyncSession, member_ids: Collection[UUID], purpose: Purpose, partner: str | None = None, *,
    now: datetime, quiet: timedelta,
) -> set[UUID]:  # fmt: skip
    """Those of the members whom a campaign may ask for consent to the purpose (and partner) today.

    Nobody who has agreed, nobody who has said no within `quiet`, nobody who is not an active member, and nobody under
    14: headquarters asks the guardian.
    """
    renewed = (await queries.in_force(session))[purpose].renewed
    given = await _last_of(session, member_ids, purpose, partner)
    born = await queries.birthdays(session, member_ids)
    return {
        member_id
        for member_id in await queries.active(session, member_ids)
        if may_ask(given.get(member_id), renewed, now=now, quiet=quiet)
        and not (member_id in born and needs_guardian(born[member_id], china_date(now)))
    }


async def _last_of(
    session: AsyncSession, member_ids: Collection[UUID], purpose: Purpose, partner: str | None
) -> dict[UUID, Answer]:
    return {
        last.member_id: _answer(last)
        for last in await queries.answers(session, member_ids)
        if (last.purpose, last.partner_code) == (purpose, partner)
    }


async def provide(
    session: AsyncSession, actor: Actor, member_id: UUID, body: ProvisionCreate, *, now: datetime
) -> Provision:
    """Record that a member's data goes to a partner.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        ConsentMissing: the member has not agreed to this partner, or no longer.
    """
    member = await _visible(session, actor, member_id, locked=True)
    consent = await _last(session, member.id, Purpose.PARTNER, body.partner_code)
    renewed = (await queries.in_force(session))[Purpose.PARTNER].renewed
    if consent is None or not stands(_answer(consent), renewed):
        raise ConsentMissing
    provision = Provision(
        member_id=member.id,
        consent_id=consent.id,
        partner_code=body.partner_code,
        partner_name=consent.partner_name or body.partner_code,
        kinds=sorted(set(body.kinds)),
        reason=body.reason,
        at=now,
        recorded_by=actor.subject,
    )
    session.add(provision)
    await session.flush()
    return provision


async def provisions(
    session: AsyncSession, actor: Actor, member_id: UUID, *, after: UUID | None, limit: int
) -> list[Provision]:
    """What partners got of a member.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
    """
    member = await _visible(session, actor, member_id)
    return list(await queries.provisions(session, member.id, after=after, limit=limit))
