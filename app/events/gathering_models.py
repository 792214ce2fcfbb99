"""Tables around an event: who is invited, what they thought of it, its photos, and headquarters' days off."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.events.gathering_rules import Answer


class Invitation(SQLModel, table=True):
    """A member was invited to an event; once.

    Of the control group (`is_control`) it was only noted: to them nobody said anything, for a fair comparison.
    """

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("answer IN ('yes', 'no', 'maybe')", name="answer"),
        CheckConstraint("(answer IS NULL) = (answered_at IS NULL)", name="answered"),
        CheckConstraint("NOT is_control OR answer IS NULL", name="control"),
        Index("ix_invitation_member", "member_id", "event_id"),
    )

    event_id: UUID = Field(foreign_key="club_event.id", primary_key=True)
    member_id: UUID = Field(foreign_key="member.id", primary_key=True)
    is_control: bool
    invited_by: str = text_field()
    invited_at: datetime = time_field()
    answer: Answer | None = text_field(default=None)
    answered_at: datetime | None = time_field(default=None)


class SurveyAnswer(SQLModel, table=True):
    """What a member who came thought of an event: 0 (would not recommend it) to 10, and a comment."""

    __tablename__ = "survey_answer"
    __table_args__ = (
        CheckConstraint("score BETWEEN 0 AND 10", name="score"),
        Index("ix_survey_answer_member_id", "member_id"),
    )

    event_id: UUID = Field(foreign_key="club_event.id", primary_key=True)
    member_id: UUID = Field(foreign_key="member.id", primary_key=True)
    score: int
    comment: str | None = text_field(default=None)
    answered_at: datetime = time_field()


@audited("event_photo", secret=("content", "sha256"))
class EventPhoto(SQLModel, table=True):
    """A photo for an event's report."""

    __tablename__ = "event_photo"

    id: UUID = id_field()
    event_id: UUID = Field(foreign_key="club_event.id", index=True)
    media_type: str = text_field()
    size: int
    sha256: bytes = Field(sa_type=LargeBinary)
    content: bytes = Field(sa_type=LargeBinary)
    uploaded_by: str = text_field()
    uploaded_at: datetime = time_field()


@audited("holiday")
class Holiday(SQLModel, table=True):
    """A day of which headquarters says whether one works; it goes before what the calendar knows by itself."""

    __tablename__ = "holiday"

    day: date = Field(primary_key=True)
    is_day_off: bool
    name_zh: str = text_field()
    name_en: str = text_field()
