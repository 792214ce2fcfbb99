"""Privacy at the edge."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, SerializeAsAny, StringConstraints

from app.core.schemas import Input, Line, Name, PartnerCode, Reason, may_be_left_out
from app.members.consent_rules import Channel, Decision, Purpose
from app.members.schemas import Birthday, Phone
from app.privacy.rules import DataKind

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class Partner(Input):
    """Who else gets a member's data; always named."""

    code: PartnerCode
    name: Name


class NoticeCreate(Input):
    """A new version of the text a member is asked with."""

    purpose: Purpose
    text_zh: Text
    text_en: Text
    renews: bool = Field(description="the purpose, the means or the data changed: everybody is asked anew")


class NoticeRead(BaseModel):
    """The text in force for a purpose."""

    purpose: Purpose
    version: int
    text_zh: str
    text_en: str
    renews: bool
    published_at: datetime


class NoticeList(BaseModel):
    """One text for each purpose."""

    items: list[NoticeRead]


class ConsentCreate(Input):
    """A member's answer to one purpose; taking it back takes the same one call."""

    purpose: Purpose
    decision: Decision
    version: int | None = Field(default=None, ge=1, lt=1 << 31, description="of the text shown; needed to give consent")
    channel: Channel
    partner: Partner | None = Field(default=None, description="for the purpose `partner`, and there needed")
    by_guardian: bool = Field(default=False, description="a parent or guardian answered, as one does under 14")


class ConsentRead(BaseModel):
    """Where a member stands on a purpose: the last answer, whether it counts, and whether to ask."""

    purpose: Purpose
    partner: Partner | None
    decision: Decision | None = Field(description="null: never asked")
    version: int | None
    channel: Channel | None
    at: datetime | None
    stands: bool = Field(description="a consent that counts today")
    may_ask: bool = Field(description="false after a refusal, for the time the settings say")


class ConsentList(BaseModel):
    """Every purpose, and every partner there was an answer on."""

    items: list[ConsentRead]


class Guardian(Input):
    """Who stands for a member under 14."""

    name: Name
    relation: Annotated[Line, StringConstraints(max_length=40)] = Field(examples=["mother"])


class BirthUpdate(Input):
    """When a member was born; under 14 with the guardian, who consents to the membership by this."""

    born_on: Birthday
    guardian: Guardian | None = None
    channel: Channel = Field(default=Channel.PAPER, description="how the guardian's consent came")


class BirthRead(BaseModel):
    """What is known of a member's age."""

    born_on: date
    guardian: Guardian | None
    needs_guardian: bool


class ProvisionCreate(Input):
    """A member's data goes to a partner."""

    partner_code: PartnerCode
    kinds: Annotated[list[DataKind], Field(min_length=1, max_length=len(DataKind))]
    reason: Reason


class ProvisionRead(BaseModel):
    """A member's data went to a partner."""

    id: UUID
    partner_code: str
    partner_name: str
    kinds: list[DataKind]
    reason: str
    at: datetime


class Correction(Input):
    """What the member says is wrong, as it should be; a phone number with the code that was sent to it.

    `old_code` is the one that went to the number the member has, if one did.
    """

    name: Name = may_be_left_out()
    phone: Phone = may_be_left_out()
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] = may_be_left_out()
    old_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] = may_be_left_out()


class PhoneCodeCreate(Input):
    """The member's new number, where a code is to be sent."""

    phone: Phone


class PhoneCodeRead(BaseModel):
    """A code is on its way to the new number."""

    valid_until: datetime
    to_old_too: bool = Field(description="another went to the number the member has: send it as `old_code`")


class Closing(Input):
    """A member leaves the club."""

    reason: Reason | None = None


class ErasureCreate(Input):
    """A member's data is to be removed; it leaves the club by that."""

    reason: Reason | None = None


class ErasureRead(BaseModel):
    """An erasure on its way, or done; `member_id` is all that stays."""

    member_id: UUID
    requested_at: datetime
    due_on: date = Field(description="removed in the night that begins this day (China)")
    erased_at: datetime | None


# --- a member's own data ---


class OwnProfile(BaseModel):
    """Who the member is to the club."""

    member_no: str
    name: str
    phone: str
    status: str
    source: str
    chapter: str | None
    joined_on: date
    born_on: date | None
    guardian: str | None


class OwnVehicle(BaseModel):
    """A vehicle that is or was the member's."""

    vin: str
    since: date
    until: date | None
    plate: str | None
    purchased_on: date | None
    insurance_ends_on: date | None


class OwnClaim(BaseModel):
    """The member claimed a vehicle."""

    asked_at: datetime
    vin: str
    bought_on: date
    proof: str
    status: str
    reason: str | None


class OwnFact(BaseModel):
    """Something that is known of the member: an attribute by its key, or how the club sees and reaches it."""

    name: str
    value: str


class OwnPerson(BaseModel):
    """Somebody of the member's household."""

    relation: str
    is_minor: bool
    name: str | None
    born_on: date | None
    drives: bool | None


class OwnNote(BaseModel):
    """What was written down about the member."""

    written_at: datetime
    text: str


class OwnStep(BaseModel):
    """A step of the membership."""

    at: datetime
    status: str
    reason: str


class OwnPlace(BaseModel):
    """A chapter that the member was with, from a day on and before another; null: headquarters' own roll."""

    chapter: str | None
    since: date
    until: date | None


class OwnTransfer(BaseModel):
    """A transfer that was asked for."""

    asked_at: datetime
    to_chapter: str | None
    reason: str
    status: str
    answer: str | None


class OwnApplication(BaseModel):
    """An application of the member."""

    applied_at: datetime
    chapter: str
    vin: str
    born_on: date | None
    consents: list[str] = Field(description="what was answered, such as `marketing: given`")
    status: str
    reason: str | None


class OwnOrder(BaseModel):
    """A repair order; amounts in fen."""

    business_date: date
    dealer: str
    order_no: str
    vin: str
    kind: str
    paid_fen: int
    points: int


class OwnPosting(BaseModel):
    """What moved the member's points."""

    posted_at: datetime
    kind: str
    points: int
    place: str
    cause: str
    reason: str | None
    available: int


class OwnAnswer(BaseModel):
    """An answer of the member to a purpose."""

    at: datetime
    purpose: str
    partner: str | None
    decision: str
    version: int
    channel: str


class OwnProvision(BaseModel):
    """Data of the member that a partner got."""

    at: datetime
    partner: str
    kinds: list[str]
    reason: str


class OwnPoints(BaseModel):
    """The member's points today."""

    available: int
    pending: int
    held: int
    owed: int


class OwnData(BaseModel):
    """All that is kept on a member."""

    exported_at: datetime
    profile: OwnProfile
    points: OwnPoints | None
    facts: list[OwnFact]
    household: list[OwnPerson]
    notes: list[OwnNote]
    vehicles: list[OwnVehicle]
    claims: list[OwnClaim]
    repair_orders: list[OwnOrder]
    postings: list[OwnPosting]
    consents: list[OwnAnswer]
    provisions: list[OwnProvision]
    membership: list[OwnStep]
    chapters: list[OwnPlace]
    transfers: list[OwnTransfer]
    applications: list[OwnApplication]
    more: dict[str, list[SerializeAsAny[BaseModel]]] = Field(description="what other parts of the club keep, by name")
