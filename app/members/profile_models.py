"""Tables of members' profiles."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.members.profile_rules import AttributeKind, Audience, Circle, Days, Relation

_AUDIENCES = "IN ('headquarters', 'staff', 'member')"


@audited("attribute")
class Attribute(SQLModel, table=True):
    """Something that headquarters wants to know of members; `weight` is what it counts in a profile's completeness.

    `choices` are `{"value", "zh", "en"}`. It is never removed, since values and segments rest on it: it is retired.
    """

    __tablename__ = "attribute"
    __table_args__ = (
        CheckConstraint("kind IN ('text', 'number', 'date', 'bool', 'choice', 'choices')", name="kind"),
        CheckConstraint(f"seen_by {_AUDIENCES}", name="seen_by"),
        CheckConstraint(f"edited_by {_AUDIENCES}", name="edited_by"),
        CheckConstraint("weight BETWEEN 0 AND 100", name="weight"),
    )

    key: str = text_field(primary_key=True)
    label_zh: str = text_field()
    label_en: str = text_field()
    kind: AttributeKind = text_field()
    choices: list[dict[str, str]] = Field(default_factory=list, sa_type=JSONB)
    seen_by: Audience = text_field()
    edited_by: Audience = text_field()
    weight: int = 0
    is_retired: bool = False
    created_at: datetime = time_field()
    created_by: str = text_field()
    version: int = 1


@audited("member-attribute", personal=("value", "number", "day"))
class MemberAttribute(SQLModel, table=True):
    """What is known of a member; of several choices each is a row. `number` and `day` are for order."""

    __tablename__ = "member_attribute"
    __table_args__ = (
        UniqueConstraint("member_id", "attribute_key", "value"),
        Index(
            "ix_member_attribute_value", "attribute_key", "value", postgresql_ops={"value": "text_pattern_ops"}
        ),
        Index("ix_member_attribute_number", "attribute_key", "number", postgresql_where=text("number IS NOT NULL")),
        Index("ix_member_attribute_day", "attribute_key", "day", postgresql_where=text("day IS NOT NULL")),
    )  # fmt: skip

    id: UUID = id_field()
    member_id: UUID = Field(foreign_key="member.id")
    attribute_key: str = text_field(foreign_key="attribute.key")
    value: str = text_field()
    number: int | None = Field(default=None, sa_type=BigInteger)
    day: date | None = None


@audited(
    "profile", personal=("value_class", "circle", "channels", "days", "from_hour", "until_hour"),
    untold=("updated_at", "updated_by"),
)  # fmt: skip
class MemberProfile(SQLModel, table=True):
    """How a member is seen and likes to be reached. Nothing is said of contact while `channels` is null;
    an empty list is a member who wants none. Hours are of the China day."""

    __tablename__ = "member_profile"
    __table_args__ = (
        CheckConstraint("circle IN ('owner', 'loyal', 'opinion_leader', 'key_customer')", name="circle"),
        CheckConstraint("channels <@ ARRAY['phone', 'sms', 'wechat', 'email', 'post']", name="channels"),
        CheckConstraint("days IN ('any', 'workdays', 'weekends')", name="days"),
        CheckConstraint(
            "(channels IS NULL) = (days IS NULL) AND (from_hour IS NULL) = (until_hour IS NULL)"
            " AND 0 <= from_hour AND from_hour < until_hour AND until_hour <= 24",
            name="contact",
        ),
        Index("ix_member_profile_circle", "circle", postgresql_where=text("circle IS NOT NULL")),
        Index("ix_member_profile_value_class", "value_class", postgresql_where=text("value_class IS NOT NULL")),
    )

    member_id: UUID = Field(foreign_key="member.id", primary_key=True)
    value_class: str | None = text_field(default=None)
    circle: Circle | None = text_field(default=None)
    channels: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    days: Days | None = text_field(default=None)
    from_hour: int | None = None
    until_hour: int | None = None
    updated_at: datetime = time_field()
    updated_by: str = text_field()
    version: int = 0


@audited("household-person", personal=("relation", "name", "born_on", "drives"), untold=("recorded_at", "recorded_by"))
class HouseholdPerson(SQLModel, table=True):
    """Somebody of a member's household; of a minor no more than that there is one."""

    __tablename__ = "household_person"
    __table_args__ = (
        CheckConstraint("relation IN ('spouse', 'child', 'parent', 'sibling', 'other')", name="relation"),
        CheckConstraint("NOT is_minor OR (name IS NULL AND born_on IS NULL AND drives IS NULL)", name="minor"),
    )

    id: UUID = id_field()
    member_id: UUID = Field(foreign_key="member.id", index=True)
    relation: Relation = text_field()
    is_minor: bool
    name: str | None = text_field(default=None)
    born_on: date | None = None
    drives: bool | None = None
    recorded_at: datetime = time_field()
    recorded_by: str = text_field()
    version: int = 1


@audited("note", personal=("text",))
class Note(SQLModel, table=True):
    """What one who cares for a member wrote down for the others; the member does not see it here."""

    __tablename__ = "member_note"
    __table_args__ = (Index("ix_member_note_member_id", "member_id", "is_pinned", "id"),)

    id: UUID = id_field()
    member_id: UUID = Field(foreign_key="member.id")
    text: str = text_field()
    is_pinned: bool = False
    written_at: datetime = time_field()
    written_by: str = text_field()
    version: int = 1


@audited("card-design", untold=("updated_at", "updated_by"))
class CardDesign(SQLModel, table=True):
    """How the cards of a chapter's members look; without a chapter, those of everybody who has no other."""

    __tablename__ = "card_design"
    __table_args__ = (UniqueConstraint("dealer_code", postgresql_nulls_not_distinct=True),)

    id: UUID = id_field()
    dealer_code: str | None = text_field(default=None, foreign_key="chapter.dealer_code")
    background: str = text_field()
    foreground: str = text_field()
    logo: str | None = text_field(default=None)
    text: str | None = text_field(default=None)
    updated_at: datetime = time_field()
    updated_by: str = text_field()
    version: int = 0
