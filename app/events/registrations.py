"""Registration for events: seats for whole parties, in the order of coming, and a list for those who have to wait.

Locks, always in this order: the event, a registration, the wallet (in the ledger). Seats are counted only while the
event is locked, by a session that reads all chapters.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Role
from app.core.db import new_id, unrestricted
from app.core.problems import InvalidPayload, NotFound, Problem, WrongStatus
from app.core.vault import vault_for
from app.events import check_in_queries, endings, invitations, notices, registration_fees, texts, waiting
from app.events import registration_queries as queries
from app.events.life import Move
from app.events.models import ClubEvent
from app.events.registration_models import Companion, NewRegistration, Registration
from app.events.registration_problems import (
    AlreadyRegistered,
    CheckedIn,
    EventBegun,
    NotInvited,
    OfferOver,
    PartyTooBig,
    RegistrationNotOpen,
)
from app.events.registration_rules import (
    AT_THE_DOOR,
    FOR_MEMBERS,
    LIVE,
    RegistrationStatus,
    Room,
    answer_faults,
)
from app.events.registration_schemas import RegistrationCreate
from app.events.rules import PUBLIC, EventStatus, NoticeKind
from app.events.waiting import Waiting
from app.points.confirmation import SIGNED_IN, Confirm
from app.points.problems import WalletClosed
from app.settings import Settings


class Entry(NamedTuple):
    """A member's wish to come. `by_staff`: registered by staff, who invite by that, and at the door."""

    member_id: UUID
    body: RegistrationCreate
    by: str
    now: datetime
    key: str
    by_staff: bool = False
    confirm: Confirm = SIGNED_IN

    @property
    def content(self) -> str:
        """What tells a retry from another request."""
        return f"registration:{self.by}\n{self.key}\n{self.member_id}\n{self.body.model_dump_json(exclude={'code'})}"


class Shown(NamedTuple):
    """A registration with who comes along, and its place among those who wait."""

    registration: Registration
    companions: Sequence[Companion]
    position: int | None


# --- registering ---


async def register_all(session: AsyncSession, event_id: UUID, entries: Sequence[Entry]) -> list[Shown | Problem]:
    """Register members in the order given, under one lock of the event; what is refused is answered, not raised.

    The refusals: NotFound, RegistrationNotOpen, NotInvited, AlreadyRegistered, PartyTooBig, WalletClosed (the member is
    not active), InvalidPayload (answers), and what `registration_fees.charge` raises. The caller commits, whatever they
    are: a wrong code has been counted.
    """
    event = await queries.locked_event(session, event_id)
    if event is None:
        return [NotFound("event") for _ in entries]
    vault = vault_for(session.get_bind().dialect)
    asked = [(entry, vault.indexes(entry.content)) for entry in entries]
    desk = await _Desk.of(session, event, asked)
    outcomes = [await desk.outcome(entry, hashes) for entry, hashes in asked]
    written = await desk.write()
    return [await _answer(session, outcome, written) for outcome in outcomes]


class _Admitted(NamedTuple):
    """A registration still to be written, with who comes along, and its place among those who wait."""

    new: NewRegistration
    companions: Sequence[Companion]
    position: int | None


_Outcome = _Admitted | Registration | Problem
"""Of a request: who is admitted, the registration that the same request made before, or why there is none."""


async def _answer(session: AsyncSession, outcome: _Outcome, written: Mapping[UUID, Registration]) -> Shown | Problem:
    match outcome:
        case _Admitted(new, companions, position):
            return Shown(written[new.id], companions, position)
        case Registration():
            return await shown(session, outcome)
    return outcome


@dataclass(slots=True)
class _Desk:
    """What is known of an event and of those who ask, while it is locked; `made` by what knows the request again."""

    session: AsyncSession
    event: ClubEvent
    room: Room
    last_no: int
    active: Mapping[UUID, bool]
    invited: Collection[UUID]
    live: dict[UUID, RegistrationStatus]
    made: dict[bytes, _Admitted | Registration]

    @classmethod
    async def of(
        cls, session: AsyncSession, event: ClubEvent, asked: Sequence[tuple[Entry, Sequence[bytes]]]
    ) -> "_Desk":
        whom = {entry.member_id for entry, _ in asked}
        known = await queries.known(session, event.id, whom, [each for _, hashes in asked for each in hashes])
        return cls(
            session, event, await queries.room(session, event), await queries.last_queue_no(session, event.id),
            await queries.active(session, whom), await invitations.invited_among(session, event.id, whom),
            {one.member_id: one.status for one in known if one.status in LIVE},
            {one.request_hash: one for one in known},
        )  # fmt: skip

    async def outcome(self, entry: Entry, hashes: Sequence[bytes]) -> _Outcome:
        """What becomes of a request; `hashes` know it again, the newest key's first."""
        for each in hashes:
            if each in self.made:
                return self.made[each]
        try:
            self._require_admissible(entry)
            return await self._admit(entry, hashes[0])
        except Problem as refusal:
            return refusal

    async def write(self) -> Mapping[UUID, Registration]:
        """Write who was admitted."""
        admitted = [one for one in self.made.values() if isinstance(one, _Admitted)]
        written = await queries.write(self.session, [one.new for one in admitted]) if admitted else {}
        self.session.add_all(companion for one in admitted for companion in one.companions)
        await self.session.flush()
        return written

    def _require_admissible(self, entry: Entry) -> None:
        if not entry.by_staff and self.event.status not in PUBLIC:
            raise NotFound("event")
        if not self.active.get(entry.member_id):
            raise WalletClosed if entry.member_id in self.active else NotFound("member")
        require_open(self.event, entry.now, by_staff=entry.by_staff)
        if not (self.event.is_open or entry.by_staff or entry.member_id in self.invited):
            raise NotInvited
        if (before := self.live.get(entry.member_id)) is not None:
            raise AlreadyRegistered(registration_status=before)
        if entry.body.party > self.event.capacity:
            raise PartyTooBig(party=entry.body.party, capacity=self.event.capacity)
        if faults := list(answer_faults(self.event.questions, entry.body.answers)):
            raise InvalidPayload(errors=faults)

    async def _admit(self, entry: Entry, request_hash: bytes) -> _Admitted:
        party, event = entry.body.party, self.event
        new = NewRegistration(
            id=new_id(), event_id=event.id, member_id=entry.member_id, status=self.room.status_of(party), party=party,
            queue_no=self.last_no + 1, fee_points=event.fee_points * party, fee_fen=event.fee_fen * party,
            answers=packed(entry.body.answers),
            is_walk_up=entry.by_staff and event.status != EventStatus.REGISTRATION,
            request_hash=request_hash, registered_by=entry.by, registered_at=entry.now,
        )  # fmt: skip
        if new.status is RegistrationStatus.REGISTERED:
            await registration_fees.charge(self.session, event, new, entry.confirm, by=entry.by, now=entry.now)
        # only now is it certain
        self.last_no = new.queue_no
        self.live[entry.member_id] = self.room.admit(party)
        companions = [Companion(registration_id=new.id, **one.model_dump()) for one in entry.body.companions]
        position = len(self.room.waiting) if new.status is RegistrationStatus.WAITING else None
        admitted = self.made[request_hash] = _Admitted(new, companions, position)
        return admitted


def require_open(event: ClubEvent, now: datetime, *, by_staff: bool) -> None:
    """Members register while the registration is open, staff also at the door.

    Raises:
        RegistrationNotOpen.
    """
    if by_staff:
        is_open = event.status in AT_THE_DOOR and now < event.ends_at
    else:
        is_open = event.status in FOR_MEMBERS and event.registration_opens_at <= now < event.registration_closes_at
    if not is_open:
        raise RegistrationNotOpen(
            event_status=event.status, opens_at=event.registration_opens_at, closes_at=event.registration_closes_at
        )


async def shown(session: AsyncSession, registration: Registration) -> Shown:
    """A registration as it is now."""
    await session.flush()
    position = None
    if registration.status == RegistrationStatus.WAITING:
        position = (await queries.ahead(session, registration)).parties + 1
    return Shown(registration, await queries.companions(session, registration.id), position)


def packed(answers: Mapping[str, object]) -> str | None:
    """Answers as they are kept."""
    return orjson.dumps(answers).decode() if answers else None


async def own(session: AsyncSession, event_id: UUID, member_id: UUID) -> Shown:
    """A member's last registration for an event.

    Raises:
        NotFound: it never registered.
    """
    await unrestricted(session)
    found = await queries.newest(session, event_id, member_id)
    if found is None:
        raise NotFound("registration")
    return await shown(session, found)


async def served(session: AsyncSession, actor: Actor, event_id: UUID, registration_id: UUID) -> Shown:
    """One of the registrations for an event that the actor serves.

    Raises:
        NotFound.
    """
    is_served = await queries.served(session, actor, event_id) is not None
    found = await session.get(Registration, registration_id) if is_served else None
    if found is None or found.event_id != event_id:
        raise NotFound("registration")
    return await shown(session, found)


# --- steps ---


async def step_of(
    session: AsyncSession, actor: Actor, event_id: UUID, registration_id: UUID | None = None
) -> tuple[ClubEvent, Registration]:
    """The event and one of its registrations, both locked: the member's own last one, or one that the actor serves.

    Raises:
        NotFound.
    """
    is_member = actor.role is Role.MEMBER
    if not is_member and await queries.served(session, actor, event_id) is None:
        raise NotFound("event")
    event = await queries.locked_event(session, event_id)
    whose = col(Registration.member_id) == actor.member_id if is_member else col(Registration.id) == registration_id
    found = await queries.locked(session, event_id, whose) if event else None
    if event is None or found is None:
        raise NotFound("registration")
    return event, found


async def accept(
    session: AsyncSession, actor: Actor, event_id: UUID, *, settings: Settings, now: datetime
) -> Shown | OfferOver:
    """Take the seats that are offered to the signed-in member. An offer that is over goes to the next, and is answered.

    Raises:
        NotFound, InsufficientPoints, WalletClosed.
        WrongStatus: it has no offer.
    """
    event, registration = await step_of(session, actor, event_id)
    if registration.status != RegistrationStatus.OFFERED:
        raise WrongStatus(current=registration.status, allowed=(RegistrationStatus.OFFERED,))
    assert registration.offered_until is not None
    if registration.offered_until <= now:
        await waiting.fill(session, event, Waiting.of(settings), now=now)
        return OfferOver(offered_until=registration.offered_until)
    await registration_fees.charge(session, event, registration, SIGNED_IN, by=actor.subject, now=now)
    registration.status = RegistrationStatus.REGISTERED
    return await shown(session, registration)


async def cancel(
    session: AsyncSession, actor: Actor, event_id: UUID, registration_id: UUID | None, reason: str | None, *,
    settings: Settings, now: datetime,
) -> Shown:  # fmt: skip
    """Give up seats, an offer or a place in the queue; points go back, and the seats to the next at once.

    Raises:
        NotFound.
        WrongStatus: it is over already.
        EventBegun: members cancel before the event.
        CheckedIn: the party has come.
    """
    event, registration = await step_of(session, actor, event_id, registration_id)
    await require_to_come(session, actor, event, registration, now)
    rules = Waiting.of(settings)
    await endings.end(session, registration, actor.subject, reason, rules.grace, now)
    await session.flush()
    await waiting.fill(session, event, rules, now=now)
    return await shown(session, registration)


async def require_to_come(
    session: AsyncSession, actor: Actor, event: ClubEvent, registration: Registration, now: datetime
) -> None:
    """Members decide on their party until the event begins, staff until it has come.

    Raises:
        WrongStatus, EventBegun, CheckedIn.
    """
    if registration.status not in LIVE:
        raise WrongStatus(current=registration.status, allowed=sorted(LIVE))
    if actor.role is Role.MEMBER and event.starts_at <= now:
        raise EventBegun(starts_at=event.starts_at)
    if (came := await check_in_queries.live(session, registration.id)) is not None:
        raise CheckedIn(at=came.at, by=came.by)


async def pay(
    session: AsyncSession, actor: Actor, event_id: UUID, registration_id: UUID, reference: str, *, now: datetime
) -> Shown:
    """Note that a party's fee in money was paid; the first note stands.

    Raises:
        NotFound.
        WrongStatus: it is over.
        InvalidPayload: no money is due.
    """
    _, registration = await step_of(session, actor, event_id, registration_id)
    if registration.status not in LIVE:
        raise WrongStatus(current=registration.status, allowed=sorted(LIVE))
    if registration.fee_fen == 0:
        raise InvalidPayload.at("/reference", "nothing_due")
    if registration.paid_at is None:
        registration.paid_at, registration.paid_by = now, actor.subject
        registration.payment_reference = reference
    return await shown(session, registration)


# --- what follows an event ---


async def follow(session: AsyncSession, move: Move) -> None:
    """When an event is called off, who registered and who was invited is told, and points are given back.

    Who registered is sent a text message, too.
    """
    if move.to != EventStatus.CANCELLED:
        return
    await unrestricted(session)
    live = await queries.live(session, move.event.id)
    settings = Settings()
    grace = timedelta(days=settings.refund_grace_days)
    for registration in live:
        await endings.end(session, registration, move.by, move.reason, grace, move.at)
    whom = await _concerned(session, move.event, live, settings, move.at)
    await notices.tell(session, move.event.id, whom, NoticeKind.CANCELLED, at=move.at, reason=move.reason)
    await texts.call_off(session, move.event.id, [registration.member_id for registration in live], settings)


async def tell_change(session: AsyncSession, event: ClubEvent, _: str, at: datetime) -> None:
    """When place or times change, who registered and who was invited is told."""
    await unrestricted(session)
    whom = await _concerned(session, event, await queries.live(session, event.id), Settings(), at)
    await notices.tell(session, event.id, whom, NoticeKind.CHANGED, at=at)


async def _concerned(
    session: AsyncSession, event: ClubEvent, live: Sequence[Registration], settings: Settings, now: datetime
) -> set[UUID]:
    """Who registered, and who was invited and may expect to come."""
    expecting = await invitations.expecting(session, event.id, settings=settings, now=now)
    return {registration.member_id for registration in live} | expecting
