"""Tables of club events: the event and its steps, its budget and who approved it, its report, what members are told."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.events.rules import (
    Decision,
    EventClass,
    EventKind,
    EventStatus,
    LineKind,
    NoticeKind,
    Part,
    Purse,
    Queue,
    TextStatus,
)


def _one_of(column: str, words: type[Any]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


@audited("event")
class ClubEvent(SQLModel, table=True):
    """A club event: of a chapter, or (`dealer_code` null) of headquarters.

    `capacity` and `expected_guests` count persons; the fees are for each person of a party; `year` is the budgets'
    it draws on, `round` counts its proposals: approvals are given to one of them. `questions` are
    `schemas.Question`s. A registration is open from `registration_opens_at` and before `registration_closes_at`.
    `version` counts changes by editing and of status.
    """

    __tablename__ = "club_event"
    __table_args__ = (
        Index("ix_club_event_dealer", "dealer_code", "starts_at"),
        Index("ix_club_event_starts", "starts_at", "id"),
        Index("ix_club_event_due", "status", postgresql_where=text("status IN ('published', 'registration')")),
        CheckConstraint(_one_of("event_class", EventClass), name="class"),
        CheckConstraint(_one_of("kind", EventKind), name="kind"),
        CheckConstraint(_one_of("status", EventStatus), name="status"),
        CheckConstraint(_one_of("queue", Queue), name="queue"),
        CheckConstraint("ends_at > starts_at", name="time"),
        CheckConstraint(
            "registration_opens_at < registration_closes_at AND registration_closes_at <= ends_at", name="registration"
        ),
        CheckConstraint("capacity > 0 AND expected_guests >= 0", name="guests"),
        CheckConstraint("fee_points >= 0 AND fee_fen >= 0", name="fee"),
    )

    id: UUID = id_field()
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    title: str = text_field()
    purpose: str = text_field()
    event_class: EventClass = text_field()
    kind: EventKind = text_field()
    place: str = text_field()
    starts_at: datetime = time_field()
    ends_at: datetime = time_field()
    registration_opens_at: datetime = time_field()
    registration_closes_at: datetime = time_field()
    capacity: int
    expected_guests: int
    fee_points: int = 0
    fee_fen: int = Field(default=0, sa_type=BigInteger)
    is_open: bool = False
    queue: Queue = text_field(default=Queue.STRICT)
    questions: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    year: int
    status: EventStatus = text_field(default=EventStatus.DRAFT)
    round: int = 0
    created_by: str = text_field()
    material_request_id: UUID | None = Field(default=None, foreign_key="material_request.id", index=True)
    version: int = 1


@audited("event_support")
class EventSupport(SQLModel, table=True):
    """A chapter that supports an event of headquarters: its staff see and serve it as their own."""

    __tablename__ = "event_support"

    event_id: UUID = Field(foreign_key="club_event.id", primary_key=True)
    dealer_code: str = text_field(foreign_key="chapter.dealer_code", primary_key=True, index=True)


class EventStep(SQLModel, table=True):
    """One step of an event's life; written once. `from_status` is null for its beginning."""

    __tablename__ = "event_step"

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id", index=True)
    from_status: EventStatus | None = text_field(default=None)
    to_status: EventStatus = text_field()
    by: str = text_field()
    at: datetime = time_field()
    reason: str | None = text_field(default=None)


@audited("event_budget_line")
class EventBudgetLine(SQLModel, table=True):
    """What an event needs: planned, then granted by whoever approves the payer's part, then what it was.

    Fen, points or pieces, as `kind` says; only materials may name one of the catalogue.
    """

    __tablename__ = "event_budget_line"
    __table_args__ = (
        CheckConstraint(_one_of("kind", LineKind), name="kind"),
        CheckConstraint("payer = 'hq' OR payer ~ '^(dealer|partner):[A-Z0-9_-]{2,32}$'", name="payer"),
        CheckConstraint("planned >= 0 AND granted >= 0 AND actual >= 0", name="amounts"),
        CheckConstraint("material_id IS NULL OR kind = 'material'", name="material"),
    )

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id", index=True)
    kind: LineKind = text_field()
    payer: str = text_field()
    purpose: str = text_field()
    material_id: UUID | None = Field(default=None, foreign_key="material.id")
    planned: int = Field(sa_type=BigInteger)
    granted: int | None = Field(default=None, sa_type=BigInteger)
    actual: int | None = Field(default=None, sa_type=BigInteger)


class EventApproval(SQLModel, table=True):
    """What an approver said to a proposal; written once.

    `dealer_code` says whose own money (`own`); null for the rest. What went beyond the year's budget is told in
    `beyond_fen` and `beyond_points`.
    """

    __tablename__ = "event_approval"
    __table_args__ = (
        CheckConstraint(_one_of("part", Part), name="part"),
        CheckConstraint(_one_of("decision", Decision), name="decision"),
        CheckConstraint("(part = 'own') = (dealer_code IS NOT NULL)", name="dealer"),
        CheckConstraint("decision = 'approved' OR reason IS NOT NULL", name="reason"),
        CheckConstraint("beyond_fen >= 0 AND beyond_points >= 0", name="beyond"),
        UniqueConstraint("event_id", "round", "part", "dealer_code", postgresql_nulls_not_distinct=True),
    )

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id")
    round: int
    part: Part = text_field()
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    decision: Decision = text_field()
    beyond_fen: int = Field(default=0, sa_type=BigInteger)
    beyond_points: int = Field(default=0, sa_type=BigInteger)
    by: str = text_field()
    at: datetime = time_field()
    reason: str | None = text_field(default=None)


@audited("chapter_budget")
class ChapterBudget(SQLModel, table=True):
    """What may be spent on events that begin in a year, in China.

    Of a chapter: its dealer's own money (`own`), and what headquarters grants it (`hq`). `dealer_code` null:
    headquarters' own events.
    """

    __tablename__ = "chapter_budget"
    __table_args__ = (
        CheckConstraint(_one_of("purse", Purse), name="purse"),
        CheckConstraint("dealer_code IS NOT NULL OR purse = 'hq'", name="headquarters"),
        CheckConstraint("year BETWEEN 2000 AND 2199", name="year"),
        CheckConstraint("money_fen >= 0 AND points >= 0", name="amounts"),
        UniqueConstraint("dealer_code", "year", "purse", postgresql_nulls_not_distinct=True),
    )

    id: UUID = id_field()
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    year: int
    purse: Purse = text_field()
    money_fen: int = Field(sa_type=BigInteger)
    points: int = Field(sa_type=BigInteger)
    version: int = 1


@audited("event_report")
class EventReport(SQLModel, table=True):
    """How an event was: who came in all, what came of it. Costs are in the budget lines."""

    __tablename__ = "event_report"
    __table_args__ = (CheckConstraint("guests >= 0", name="guests"),)

    event_id: UUID = Field(foreign_key="club_event.id", primary_key=True)
    guests: int
    summary: str = text_field()
    results: str | None = text_field(default=None)
    filed_by: str = text_field()
    filed_at: datetime = time_field()


class EventNotice(SQLModel, table=True):
    """Something a member was told about an event; the words are the catalogue's (`event_notice.<kind>`).

    `text_status`: what became of the text message beside it; null where none was meant.
    """

    __tablename__ = "event_notice"
    __table_args__ = (
        Index("ix_event_notice_member", "member_id", "id"),
        Index("ix_event_notice_text", "event_id", "id", postgresql_where=text("text_status IN ('due', 'sending')")),
        CheckConstraint(_one_of("text_status", TextStatus), name="text"),
    )

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id", index=True)
    member_id: UUID = Field(foreign_key="member.id")
    kind: NoticeKind = text_field()
    reason: str | None = text_field(default=None)
    at: datetime = time_field()
    read_at: datetime | None = time_field(default=None)
    text_status: TextStatus | None = text_field(default=None)
