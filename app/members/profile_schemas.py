"""Profiles, attributes, notes and timelines at the edge."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool, StrictInt, StringConstraints

from app.core.schemas import Input, Line, Name, may_be_left_out
from app.members.profile_rules import MAX_TEXT, AttributeKind, Audience, Circle, ContactChannel, Days, Relation
from app.members.schemas import Birthday

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$"), Field(examples=["shoe_size"])]
"""A name of a few small letters, digits and underscores."""

# --- attributes ---


class Choice(Input):
    """One of an attribute's values, with its words."""

    value: Key
    zh: Name
    en: Name


Choices = Annotated[list[Choice], Field(max_length=100)]
Weight = Annotated[int, Field(ge=0, le=100, description="what it counts in a profile's completeness; 0: nothing")]


class AttributeCreate(Input):
    """Something to be known of members."""

    key: Key
    label_zh: Name
    label_en: Name
    kind: AttributeKind
    choices: Choices = Field(default_factory=list, description="for the kinds choice and choices")
    seen_by: Audience = Field(default=Audience.STAFF, description="each audience includes those before it")
    edited_by: Audience = Field(default=Audience.STAFF, description="at most those who see it")
    weight: Weight = 0


class AttributeUpdate(Input):
    """What may change on an attribute; choices may be added and renamed, not taken away."""

    label_zh: Name = may_be_left_out()
    label_en: Name = may_be_left_out()
    choices: Choices = may_be_left_out()
    seen_by: Audience = may_be_left_out()
    edited_by: Audience = may_be_left_out()
    weight: Weight = may_be_left_out()
    is_retired: bool = may_be_left_out()


class AttributeRead(BaseModel):
    """An attribute; a retired one keeps its values and is shown and asked for no more."""

    key: str
    label_zh: str
    label_en: str
    kind: AttributeKind
    choices: list[Choice]
    seen_by: Audience
    edited_by: Audience
    weight: int
    is_retired: bool
    version: int


# --- profiles ---

Hour = Annotated[int, Field(ge=0, le=24)]
Value = StrictBool | StrictInt | Annotated[str, Field(max_length=MAX_TEXT)] | Annotated[
    list[Annotated[str, Field(max_length=40)]], Field(max_length=100)
]  # fmt: skip


class Contact(Input):
    """How a member likes to be reached; this is a wish, and no consent to anything."""

    channels: list[ContactChannel] = Field(max_length=5, description="the liked ones, best first; empty: none at all")
    days: Days = Days.ANY
    from_hour: Hour | None = Field(default=None, description="of the day in China; with until_hour")
    until_hour: Hour | None = None


class ProfileUpdate(Input):
    """What may change of a profile; what is left out stays, null takes away."""

    value_class: Annotated[Line, StringConstraints(max_length=8)] | None = Field(
        default=None, description="one of the club's value classes, such as D, G, S; staff's to set"
    )
    circle: Circle | None = Field(default=None, description="staff's to set")
    contact: Contact | None = None
    attributes: Annotated[dict[Key, Value | None], Field(max_length=100)] = Field(
        default_factory=dict, description="values by attribute: text, whole number, date, true or false, choices"
    )


class HouseholdCreate(Input):
    """Somebody of the household; of a minor (under 18) nothing but the relation is taken."""

    relation: Relation
    is_minor: bool = False
    name: Name | None = None
    born_on: Birthday | None = None
    drives: bool | None = Field(default=None, description="whether the person drives a car of the member's")


class HouseholdUpdate(Input):
    """What changed with somebody of the household; null: not known. Of who is a minor now, details go with it."""

    relation: Relation = may_be_left_out()
    is_minor: bool = may_be_left_out()
    name: Name | None = None
    born_on: Birthday | None = None
    drives: bool | None = None


class HouseholdRead(BaseModel):
    """Somebody of the household."""

    id: UUID
    relation: Relation
    is_minor: bool
    name: str | None
    born_on: date | None
    drives: bool | None
    version: int


class CompletenessRead(BaseModel):
    """How complete a profile is."""

    score: int = Field(description="whole percent, by weight, rounded down")
    missing: list[str] = Field(description="the parts that are not there and the caller may see")


class ProfileRead(BaseModel):
    """What is known of a member beside name, phone and cars."""

    member_id: UUID
    value_class: str | None = Field(description="null also for the member")
    circle: Circle | None = Field(description="null also for the member")
    contact: Contact | None
    attributes: dict[str, Any] = Field(description="those that the caller may see")
    household: list[HouseholdRead]
    completeness: CompletenessRead
    version: int = Field(description="0: nothing was written yet")


class ChapterCompleteness(BaseModel):
    """How complete the profiles of a chapter's active members are."""

    dealer_code: str | None = Field(description="null: headquarters' own roll")
    members: int
    score: int = Field(description="whole percent over all its members, by weight, rounded down")
    parts: dict[str, int] = Field(description="members who have each part")


# --- notes ---

NoteText = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
    ),
]  # fmt: skip
"""Some lines of text."""


class NoteCreate(Input):
    """Something to remember about a member."""

    text: NoteText
    is_pinned: bool = False


class NoteUpdate(Input):
    """A note is pinned by whoever may write, reworded by its writer."""

    text: NoteText = may_be_left_out()
    is_pinned: bool = may_be_left_out()


class NoteRead(BaseModel):
    """A note."""

    id: UUID
    text: str
    is_pinned: bool
    written_at: datetime
    written_by: str
    version: int


# --- timeline ---


class HappeningRead(BaseModel):
    """Something that happened to the member."""

    at: datetime
    source: str
    kind: str
    id: str = Field(description="what it is known by at its source")
    text: str = Field(description="in the reader's language")
    facts: dict[str, Any]
    by: str | None = Field(description="who did it; null for the member, and where nobody is recorded")
