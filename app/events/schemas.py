"""Events' life at the edge: proposals with their budget, decisions, reports."""

from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.core.schemas import Input, Line, Name, Reason, may_be_left_out
from app.events.rules import (
    PAYER,
    Decision,
    EventClass,
    EventKind,
    EventStatus,
    LineKind,
    NoticeKind,
    Part,
    QuestionKind,
    Queue,
)

Moment = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2199, 12, 31, tzinfo=UTC))]
Persons = Annotated[int, Field(ge=1, le=100_000)]
Amount = Annotated[int, Field(ge=0, le=10**11, description="fen, points or pieces, as the line's kind says")]
Payer = Annotated[
    str, StringConstraints(pattern=f"^({PAYER})$"), Field(examples=["hq", "dealer:BJ001", "partner:HOTEL-01"])
]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")]
DealerCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,16}$"), Field(examples=["BJ001"])]
Year = Annotated[int, Field(ge=2000, le=2199)]


class Question(Input):
    """What is asked of who registers; `choices` go with a choice."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    text: Name
    kind: QuestionKind = QuestionKind.TEXT
    choices: Annotated[list[Name], Field(default_factory=list, max_length=20)]
    is_required: bool = False

    @model_validator(mode="after")
    def _choices_of_a_choice(self) -> Self:
        if (self.kind is QuestionKind.CHOICE) != bool(self.choices):
            raise PydanticCustomError("question_choices", "choices go with a choice")
        return self


Questions = Annotated[list[Question], Field(max_length=20)]


class LinePlan(Input):
    """What an event needs of a payer."""

    kind: LineKind
    payer: Payer
    purpose: Name
    planned: Amount
    material_id: UUID | None = Field(default=None, description="of headquarters' catalogue, for a material")


Lines = Annotated[list[LinePlan], Field(max_length=50)]
Supporters = Annotated[list[DealerCode], Field(max_length=500)]


class EventDraft(Input):
    """A plan for an event. Without `dealer_code` it is headquarters', or of a chapter's staff their own chapter's."""

    dealer_code: DealerCode | None = None
    title: Name
    purpose: Reason
    event_class: EventClass
    kind: EventKind
    place: Annotated[Line, StringConstraints(max_length=200)]
    starts_at: Moment
    ends_at: Moment
    registration_opens_at: Moment
    registration_closes_at: Moment
    capacity: Annotated[Persons, Field(description="persons")]
    expected_guests: Annotated[int, Field(ge=0, le=100_000, description="persons")]
    fee_points: Annotated[int, Field(ge=0, le=10_000_000, description="a person")] = 0
    fee_fen: Annotated[int, Field(ge=0, le=10**9, description="a person")] = 0
    is_open: Annotated[bool, Field(description="others than the invited may register")] = False
    queue: Queue = Queue.STRICT
    questions: Annotated[Questions, Field(default_factory=list)]
    year: Annotated[Year, Field(description="of the budgets it draws on: the year in which it begins, in China")]
    lines: Annotated[Lines, Field(default_factory=list)]
    supporters: Annotated[
        Supporters, Field(default_factory=list, description="chapters that support an event of headquarters")
    ]


class EventUpdate(Input):
    """What may change of a plan; what is left out stays, `lines` and `supporters` are replaced whole.

    Once it is approved only place and times change.
    """

    title: Name = may_be_left_out()
    purpose: Reason = may_be_left_out()
    event_class: EventClass = may_be_left_out()
    kind: EventKind = may_be_left_out()
    place: Annotated[Line, StringConstraints(max_length=200)] = may_be_left_out()
    starts_at: Moment = may_be_left_out()
    ends_at: Moment = may_be_left_out()
    registration_opens_at: Moment = may_be_left_out()
    registration_closes_at: Moment = may_be_left_out()
    capacity: Persons = may_be_left_out()
    expected_guests: Annotated[int, Field(ge=0, le=100_000)] = may_be_left_out()
    fee_points: Annotated[int, Field(ge=0, le=10_000_000)] = may_be_left_out()
    fee_fen: Annotated[int, Field(ge=0, le=10**9)] = may_be_left_out()
    is_open: bool = may_be_left_out()
    queue: Queue = may_be_left_out()
    questions: Questions = may_be_left_out()
    year: Year = may_be_left_out()
    lines: Lines = may_be_left_out()
    supporters: Supporters = may_be_left_out()


class EventLineRead(BaseModel):
    """A line of the budget; `granted` and `actual` are null until then."""

    id: UUID
    kind: LineKind
    payer: str
    purpose: str
    material_id: UUID | None
    planned: int
    granted: int | None
    actual: int | None


class ApprovalRead(BaseModel):
    """What an approver said; `beyond_fen` and `beyond_points` went beyond what was left of the year's budget."""

    round: int
    part: Part
    dealer_code: str | None
    decision: Decision
    beyond_fen: int
    beyond_points: int
    by: str
    at: datetime
    reason: str | None


class Awaited(BaseModel):
    """A part of a proposal that nobody has decided on yet; `dealer_code`: whose own money it is."""

    part: Part
    dealer_code: str | None


class EventSummary(BaseModel):
    """An event in a list."""

    id: UUID
    dealer_code: str | None
    title: str
    event_class: EventClass
    kind: EventKind
    place: str
    starts_at: datetime
    ends_at: datetime
    capacity: int
    status: EventStatus


class EventRead(EventSummary):
    """An event; its money and approvals are shown to the chapters that hold or support it."""

    purpose: str
    registration_opens_at: datetime
    registration_closes_at: datetime
    expected_guests: int
    fee_points: int
    fee_fen: int
    is_open: bool
    queue: Queue
    questions: list[Question]
    year: int
    round: int
    created_by: str
    material_request_id: UUID | None
    version: int
    supporters: list[str]
    lines: list[EventLineRead]
    approvals: list[ApprovalRead]
    awaits: list[Awaited]


class EventStepRead(BaseModel):
    """A step of an event's life; `from_status` is null for its beginning."""

    from_status: EventStatus | None
    to_status: EventStatus
    by: str
    at: datetime
    reason: str | None


class EventStepList(BaseModel):
    """An event's life so far, oldest step first."""

    items: list[EventStepRead]


class EventReason(Input):
    """Why."""

    reason: Reason


class LineGrant(Input):
    """Less of a line than was planned."""

    line_id: UUID
    granted: Amount


class DecisionCreate(Input):
    """An approver's word on the part that is theirs: all of it as planned, but for the lines named."""

    decision: Decision
    reason: Reason | None = Field(default=None, description="required to return or refuse, or to go beyond the budget")
    grants: Annotated[list[LineGrant], Field(default_factory=list, max_length=50)]
    beyond_budget: Annotated[bool, Field(description="approve although the year's budget does not hold it")] = False


class Cost(Input):
    """What a line came to."""

    line_id: UUID
    actual: Amount


class ExtraCost(Input):
    """What nobody had planned."""

    kind: LineKind
    payer: Payer
    purpose: Name
    actual: Amount


class CostsCreate(Input):
    """Each line of the budget with what it came to, and what nobody had planned."""

    costs: Annotated[list[Cost], Field(default_factory=list, max_length=100)]
    extra_costs: Annotated[list[ExtraCost], Field(default_factory=list, max_length=50)]


class ReportCreate(CostsCreate):
    """How the event was, and what it came to."""

    guests: Annotated[int, Field(ge=0, le=1_000_000, description="persons who came, members or not")]
    summary: Prose
    results: Prose | None = None


class PartyCost(BaseModel):
    """What one payer planned, granted and paid, by kind."""

    payer: str
    kind: LineKind
    planned: int
    granted: int
    actual: int


class CostsRead(BaseModel):
    """What a cancelled event came to all the same; `due_fen` as in a report."""

    costs: list[PartyCost]
    due_fen: int


class ReportRead(BaseModel):
    """An event's report. `due_fen` is what headquarters owes the chapter: its lines' costs, at most what it granted."""

    event_id: UUID
    guests: int
    summary: str
    results: str | None
    filed_by: str
    filed_at: datetime
    costs: list[PartyCost]
    due_fen: int


class EventNoticeRead(BaseModel):
    """Something the member was told about an event."""

    id: UUID
    event_id: UUID
    kind: NoticeKind
    text: str
    at: datetime
    read_at: datetime | None
