"""One event of the full-size network, stage by stage, as those live it who plan, approve, attend and report on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Role
from app.core.problems import Problem
from app.demo import past
from app.demo.full_calendar import CHANGED, CLOSES, OPENS, PLANNED, PUBLISHED, REPORTED, SETTLED, Plan
from app.demo.full_guests import Guest, party
from app.events import approvals, attendance, check_in, life, registrations, reports, service, surveys
from app.events import queries as events
from app.events.check_in import Seen
from app.events.check_in_schemas import Scan
from app.events.gathering_schemas import SurveyGive
from app.events.models import ClubEvent
from app.events.registration_models import Registration
from app.events.registration_rules import RegistrationStatus
from app.events.registrations import Entry
from app.events.rules import Decision, own_dealer
from app.events.schemas import Cost, DecisionCreate, EventDraft, ReportCreate
from app.identity.seals import Seals
from app.points.problems import InsufficientPoints
from app.settings import Settings

FINANCE = Actor("finance", Role.HQ_FINANCE)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ABSENT = 9
"""One party of so many does not come."""
COSTS_PERCENT = 92
"""Of what was granted, what it came to."""
COMMENTS = ("很愉快，期待下次。", "家人都喜欢。", "组织得很好。", "人有点多，排队久了些。")


@dataclass(slots=True)
class Life:
    """An event and those who wish to come, in one transaction; each stage at its own time."""

    session: AsyncSession
    settings: Settings
    plan: Plan
    guests: Sequence[Guest]
    event: ClubEvent

    @classmethod
    async def begin(cls, session: AsyncSession, settings: Settings, plan: Plan, guests: Sequence[Guest]) -> "Life":
        """The draft of its planners."""
        shown = await service.create(session, _planner(plan), _draft(plan), now=plan.starts_at - PLANNED)
        return cls(session, settings, plan, guests, shown.event)

    @property
    def planner(self) -> Actor:
        """Who runs it."""
        return _planner(self.plan)

    async def propose(self) -> None:
        """Ask for approval, the day after."""
        await service.propose(self.session, self.planner, self.event.id, now=self.plan.starts_at - PLANNED + DAY)

    async def send_back(self, reason: str) -> None:
        """Headquarters returns it."""
        body = DecisionCreate(decision=Decision.RETURNED, reason=reason, grants=[])
        await self._decide(past.HEADQUARTERS, body, self.plan.starts_at - PLANNED + 2 * DAY)

    async def approve(self) -> None:
        """Each dealer's general manager, then headquarters."""
        at = self.plan.starts_at - PLANNED + 2 * DAY
        body = DecisionCreate(decision=Decision.APPROVED, grants=[])
        for dealer in sorted({dealer for line in self.plan.lines if (dealer := own_dealer(line.payer))}):
            await self._decide(Actor(f"manager.{dealer.lower()}", Role.GENERAL_MANAGER, dealer), body, at)
        await self._decide(past.HEADQUARTERS, body, at + DAY)

    async def _decide(self, actor: Actor, body: DecisionCreate, at: datetime) -> None:
        await approvals.decide(self.session, actor, self.event.id, body, settings=self.settings, now=at)

    async def publish(self) -> None:
        """Let members see it."""
        await life.publish(self.session, self.planner, self.event.id, now=self.plan.starts_at - PUBLISHED)

    async def open(self) -> None:
        """Let everybody register who wishes to, first come first seated."""
        await life.open_registration(self.session, self.planner, self.event.id, now=self.plan.starts_at - OPENS)
        at, random = self.plan.starts_at - OPENS, self.plan.random
        parties = zip(self.guests, self.plan.parties, strict=False)
        entries = [
            Entry(guest.member_id, party(random, guest, persons), guest.member_no, at + number * HOUR / 4, "demo")
            for number, (guest, persons) in enumerate(parties)
        ]
        outcomes = await registrations.register_all(self.session, self.event.id, entries)
        for one in outcomes:
            if isinstance(one, Problem) and not isinstance(one, InsufficientPoints):
                raise one
        # who has not the points for a fee stays at home
        self.guests = [guest for guest, one in zip(self.guests, outcomes, strict=False) if not isinstance(one, Problem)]

    async def change(self) -> None:
        """The first who registered gives its seats up; whoever they are offered to takes them."""
        session, event_id, at = self.session, self.event.id, self.plan.starts_at - CHANGED
        first = self.guests[0].actor
        await registrations.cancel(session, first, event_id, None, "有事不能参加", settings=self.settings, now=at)
        offered = {one.member_id for one in await self._registrations(RegistrationStatus.OFFERED)}
        for guest in self.guests:
            if guest.member_id in offered:
                await registrations.accept(session, guest.actor, event_id, settings=self.settings, now=at + HOUR)

    async def cancel(self, reason: str, at: datetime) -> None:
        """It is called off."""
        await life.cancel(self.session, self.planner, self.event.id, reason, now=at)

    async def close(self) -> None:
        """Nobody registers any more; fees in money are paid."""
        at = self.plan.starts_at - CLOSES
        await life.close_registration(self.session, self.planner, self.event.id, now=at)
        for number, one in enumerate(await self._registrations(RegistrationStatus.REGISTERED), start=1):
            if one.fee_fen:
                reference = f"demo-{self.plan.starts_at:%Y%m%d}-{number}"
                await registrations.pay(self.session, self.planner, self.event.id, one.id, reference, now=at)

    async def hold(self, *, all_come: bool) -> None:
        """Parties come one after another; then it is over."""
        seals = Seals(self.settings.signing_keys)
        for number, one in enumerate(await self._registrations(RegistrationStatus.REGISTERED)):
            if all_come or number % ABSENT != ABSENT - 1:
                at = self.plan.starts_at + number * HOUR / 60
                scan = Scan(nonce=str(one.id), registration_id=one.id)
                seen = Seen(at, self.planner.subject, "1号门", at)
                await check_in.check_in(self.session, seals, self.event, scan, seen)
        await life.hold(self.session, self.planner, self.event.id, now=self.plan.ends_at)

    async def _registrations(self, status: RegistrationStatus) -> Sequence[Registration]:
        query = select(Registration).where(col(Registration.event_id) == self.event.id)
        in_order = query.where(col(Registration.status) == status).order_by(col(Registration.queue_no))
        return (await self.session.scalars(in_order)).all()

    async def came(self) -> list[Guest]:
        """The members who came."""
        entries = await attendance.entries(self.session, self.event.id, only_who_came=True)
        there = {member_id for _, member_id in entries}
        return [guest for guest in self.guests if guest.member_id in there]

    async def ask(self) -> None:
        """Every other guest says how it was."""
        random = self.plan.random
        for guest in (await self.came())[::2]:
            body = SurveyGive(score=random.randint(6, 10), comment=random.choice((None, *COMMENTS)))
            await surveys.give(
                self.session, guest.member_no, guest.member_id, self.event.id, body,
                days=self.settings.event_survey_days, now=self.plan.ends_at + DAY,
            )  # fmt: skip

    async def report(self) -> None:
        """What it came to, and how it was."""
        persons = (await attendance.attendance(self.session, self.event.id)).persons
        lines = await events.lines(self.session, self.event.id)
        body = ReportCreate(
            guests=persons, summary=f"{self.plan.title}：到场{persons}人，活动按计划举行。",
            costs=[Cost(line_id=line.id, actual=_cost(line.payer, line.granted or 0)) for line in lines],
            extra_costs=[],
        )  # fmt: skip
        await reports.file(self.session, self.planner, self.event.id, body, now=self.plan.ends_at + REPORTED)

    async def settle(self) -> None:
        """Headquarters accepts the report."""
        await reports.settle(self.session, FINANCE, self.event.id, now=self.plan.ends_at + SETTLED)


def _planner(plan: Plan) -> Actor:
    if plan.host is None:
        return past.HEADQUARTERS
    return Actor(f"director.{plan.host.lower()}", Role.CARE_DIRECTOR, plan.host)


def _cost(payer: str, granted: int) -> int:
    # a partner pays its share whatever it came to
    return granted if payer.startswith("partner:") else granted * COSTS_PERCENT // 100


def _draft(plan: Plan) -> EventDraft:
    sort = plan.sort
    return EventDraft(
        dealer_code=plan.host, title=plan.title, purpose="让车主和家人聚在一起", kind=plan.kind, place=sort.place,
        event_class=sort.event_class, starts_at=plan.starts_at, ends_at=plan.ends_at, is_open=True,
        registration_opens_at=plan.starts_at - OPENS, registration_closes_at=plan.starts_at - CLOSES,
        capacity=plan.capacity, expected_guests=sum(plan.parties), fee_points=plan.fee_points, fee_fen=sort.fen,
        year=plan.starts_at.year, lines=list(plan.lines), supporters=list(plan.supporters), questions=[],
    )  # fmt: skip
