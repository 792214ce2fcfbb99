"""Consent: the texts members are asked with, their answers, and what of their data goes to partners by them."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor, Role
from app.core.clock import china_date
from app.core.problems import InvalidPayload
from app.members import consent_queries
from app.members.consent_models import Consent, Notice
from app.members.consent_queries import InForce
from app.members.consent_rules import OWN_CHANNELS, Answer, Decision, Purpose, may_ask, stands
from app.members.models import Birth, Member
from app.members.problems import ConsentMissing, GuardianNeeded, NoticeOutdated
from app.members.rules import needs_guardian
from app.members.visibility import visible_member
from app.privacy import queries
from app.privacy.models import Provision
from app.privacy.schemas import ConsentCreate, ConsentRead, NoticeCreate, Partner, ProvisionCreate

Names = Callable[[AsyncSession, str], Awaitable[Collection[str]]]
"""What a partner is called; nothing when there is none."""
_PARTNERS: list[Names] = []


def register_partners(names: Names) -> None:
    """Make known who knows partners; through wiring."""
    _PARTNERS.append(names)


async def publish(session: AsyncSession, actor: Actor, body: NoticeCreate, *, now: datetime) -> Notice:
    """Put a new version of a purpose's text in force."""
    await consent_queries.lock_notices(session)
    current = (await consent_queries.in_force(session))[body.purpose]
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
    member = await visible_member(session, actor, member_id)
    given = {
        (answer.purpose, answer.partner_code): answer for answer in await consent_queries.answers(session, member.id)
    }
    in_force = await consent_queries.in_force(session)
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
        InvalidPayload: a partner that is missing, superfluous, unknown or called otherwise; a channel that is not the
            member's own.
    """
    _require_sense(actor, body)
    member = await visible_member(session, actor, member_id, locked=True)
    current = (await consent_queries.in_force(session))[body.purpose]
    partner = body.partner.code if body.partner else None
    last = await consent_queries.last(session, member.id, body.purpose, partner)
    if body.decision is Decision.GIVEN:
        await _require_named(session, body.partner)
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


async def _require_named(session: AsyncSession, partner: Partner | None) -> None:
    if partner is None:
        return
    names = [name for names in _PARTNERS for name in await names(session, partner.code)]
    if not names:
        raise InvalidPayload.at("/partner/code", "unknown_partner", value=partner.code)
    if partner.name not in names:
        raise InvalidPayload.at("/partner/name", "enum", expected=", ".join(names))


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


# --- what rests on consent ---


async def provide(
    session: AsyncSession, actor: Actor, member_id: UUID, body: ProvisionCreate, *, now: datetime
) -> Provision:
    """Record that a member's data goes to a partner.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
        ConsentMissing: the member has not agreed to this partner, or no longer.
    """
    member = await visible_member(session, actor, member_id, locked=True)
    consent = await consent_queries.last(session, member.id, Purpose.PARTNER, body.partner_code)
    renewed = (await consent_queries.in_force(session))[Purpose.PARTNER].renewed
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
    member = await visible_member(session, actor, member_id)
    return list(await queries.provisions(session, member.id, after=after, limit=limit))
