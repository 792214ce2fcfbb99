"""Around an event at the edge: invitations, the survey, the comparison, photos."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from app.core.filter_schemas import FilterTree
from app.core.schemas import Input
from app.events.gathering_rules import Answer
from app.events.rules import EventKind, EventStatus
from app.events.schemas import EventSummary, Prose

# --- invitations ---


class InvitationCreate(Input):
    """Whom to invite: a saved segment, or a filter; of them, so many in a hundred only noted, to compare with."""

    segment_id: UUID | None = None
    filter: FilterTree | None = None
    control_percent: Annotated[int, Field(ge=0, le=50, description="left uninvited, to compare with")] = 0

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.segment_id is None) == (self.filter is None):
            raise PydanticCustomError("segment_or_filter", "either a segment or a filter")
        return self


class Chosen(BaseModel):
    """Whom an invitation reaches, in members.

    `matching` - `without_consent` - `wants_none` - `known` = `invited` + `control`.
    """

    matching: int
    without_consent: Annotated[int, Field(description="have not agreed to be written to")]
    wants_none: Annotated[int, Field(description="agreed to it, but want no contact by any channel")]
    known: Annotated[int, Field(description="invited, or kept as a control group, before")]
    invited: int
    control: int


class InvitationSummary(BaseModel):
    """What came of an event's invitations, in members; `control` were not told."""

    invited: int
    control: int
    yes: int
    no: int
    maybe: int
    unanswered: int
    registered: int
    attended: int


class InvitationRead(BaseModel):
    """An invited member, or one of the control group."""

    member_id: UUID
    member_no: str
    is_control: bool
    answer: Answer | None
    answered_at: datetime | None
    invited_at: datetime
    is_registered: bool
    came: bool


class OwnInvitation(BaseModel):
    """An event I am invited to, and what I said."""

    event: EventSummary
    answer: Answer | None
    answered_at: datetime | None
    invited_at: datetime


class AnswerGive(Input):
    """What I say to an invitation; it is no registration yet."""

    answer: Answer


# --- the survey ---


class SurveyGive(Input):
    """What I thought of an event: would I recommend it (0 no, 10 by all means), and why."""

    score: Annotated[int, Field(ge=0, le=10)]
    comment: Prose | None = None


class SurveyRead(BaseModel):
    """What I said, and the points it gave me, if this was the first time."""

    score: int
    comment: str | None
    answered_at: datetime
    points: int


class SurveyComment(BaseModel):
    """A comment; whose it is, is not told."""

    score: int
    comment: str
    on: date


class SurveyFigures(BaseModel):
    """What those who came thought: answers by score from 0 to 10, and the latest comments.

    `balance` is the share of 9 and 10 less that of 0 to 6, in whole percent, from -100 to 100.
    """

    asked: Annotated[int, Field(description="members who came")]
    answers: int
    by_score: list[int]
    mean: float | None
    balance: int | None
    comments: list[SurveyComment]


# --- the comparison ---


class GroupRead(BaseModel):
    """Members and what they did in the workshop in the days after the event: how many came, visits, fen."""

    members: int
    visitors: int
    visits: int
    paid_fen: int


class ComparisonRead(BaseModel):
    """Those who came, each with an invited member who did not; and the invited as a whole with the control group.

    Until `until` has passed (`is_complete`) the figures still grow.
    """

    days: int
    until: date
    is_complete: bool
    came: GroupRead
    absent: GroupRead
    unmatched: Annotated[int, Field(description="invited members who came and are like nobody who did not")]
    invited: GroupRead
    control: GroupRead


class OutcomeRead(BaseModel):
    """What an event came to: who came, and what it cost.

    Costs are fen of money lines: as reported, or as granted while there is no report.
    """

    registered: Annotated[int, Field(description="members with a seat")]
    attended: Annotated[int, Field(description="members who came")]
    no_shows: int
    persons: Annotated[int, Field(description="who came, with companions")]
    cost_fen: int
    is_reported: bool
    cost_per_person_fen: int | None
    points_awarded: Annotated[int, Field(description="for coming, for the survey, and as prizes")]


class DraftRead(BaseModel):
    """A summary written from the data, to be edited and filed as the report."""

    guests: int
    summary: str


# --- photos ---


class PhotoRead(BaseModel):
    """A photo of an event."""

    id: UUID
    media_type: str
    size: int
    uploaded_by: str
    uploaded_at: datetime


class PhotoList(BaseModel):
    """An event's photos, oldest first."""

    items: list[PhotoRead]


# --- history ---


class HistoryFigures(BaseModel):
    """Events of one kind, chapter, year or class that were held; members, persons with companions, fen."""

    key: str | None
    events: int
    registered: int
    attended: int
    persons: int
    cost_fen: int
    survey_answers: int
    mean_score: float | None


class History(BaseModel):
    """Held events, grouped."""

    items: list[HistoryFigures]


class MemberEvent(BaseModel):
    """An event in a member's life with the club."""

    event_id: UUID
    title: str
    kind: EventKind
    dealer_code: str | None
    starts_at: datetime
    status: EventStatus
    was_invited: bool
    answer: Answer | None
    is_registered: bool
    came: bool
    score: int | None
    rank: int | None
