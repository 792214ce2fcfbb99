"""Members and applications at the edge."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.audit import unmaskings
from app.chapters.schemas import DealerCode
from app.core.actors import Actor, Right, Role
from app.core.catalogue import Language, text
from app.core.filter_schemas import FilterTree
from app.core.schemas import Input, Line, Name, Reason, may_be_left_out
from app.members import rules
from app.members.consent_schemas import DoorAnswers
from app.members.models import Application, Member
from app.members.plates import parse_plate
from app.members.rules import ApplicationStatus, MemberStatus, Source, Verdict


def _fault(code: str) -> PydanticCustomError:
    return PydanticCustomError(code, text(Language.EN, f"field.{code}", {}))


def _phone(given: str) -> str:
    phone = rules.parse_mobile(given)
    if phone is None:
        raise _fault("phone_format")
    return phone


def _vin(given: str) -> str:
    vin = rules.parse_vin(given)
    if isinstance(vin, str):
        raise _fault(vin)
    return vin.value


def _plate(given: str) -> str:
    plate = parse_plate(given)
    if plate is None:
        raise _fault("plate_format")
    return plate


def _member_no(given: str) -> str:
    if not rules.is_member_number(given):
        raise _fault("member_no_format")
    return given


Phone = Annotated[str, Field(max_length=32, examples=["13800138000"]), AfterValidator(_phone)]
"""A mainland mobile number; kept as +86…"""
VinText = Annotated[str, Field(max_length=32, examples=["LJCPCBLCX11000237"]), AfterValidator(_vin)]
PlateText = Annotated[str, Field(max_length=32, examples=["京A12345"]), AfterValidator(_plate)]
"""A number plate; kept in capitals with nothing between them."""
Birthday = Annotated[date, Field(ge=date(1900, 1, 1))]
Initials = Annotated[Line, StringConstraints(to_lower=True, max_length=32)]
MemberNo = Annotated[str, Field(max_length=32, examples=["1000000016"]), AfterValidator(_member_no)]


class Warned(BaseModel):
    """Something to look at again; the request was accepted."""

    pointer: str
    code: str
    detail: str


class VehicleRead(BaseModel):
    """A vehicle the member owns; without `check_digit_ok` its maker may not use the digit."""

    vin: str
    since: date
    check_digit_ok: bool


class _Membership(BaseModel):
    id: UUID
    member_no: str
    name: str
    phone: str
    status: MemberStatus
    source: Source
    merged_into: UUID | None = Field(description="who goes on for this member since they were merged")
    version: int
    vehicles: list[VehicleRead]


class MemberRead(_Membership):
    """A member; the phone is masked unless the reader cares for the member."""

    dealer_code: str | None = Field(description="the chapter; null: headquarters' own roll")
    joined_on: date


class EnrolmentRead(_Membership):
    """What an enrolment came to; of another chapter's member neither the chapter nor the day of joining."""

    dealer_code: str | None = Field(description="null: headquarters' own roll, or a chapter that is not the caller's")
    joined_on: date | None = Field(description="null: the member is another chapter's")
    outcome: Verdict = Field(description="new_member, add_vehicle or already_known")
    warnings: list[Warned]


class EnrolmentCreate(Input):
    """A person with a vehicle joins."""

    name: Name
    phone: Phone
    vin: VinText
    source: Source
    dealer_code: DealerCode | None = Field(
        default=None,
        description="the chapter; dealer staff enrol into their own, null is headquarters' own roll",
    )
    born_on: Birthday | None = Field(
        default=None, description="under 14 the membership stays suspended until a guardian's consent is on record"
    )
    consents: DoorAnswers = Field(default_factory=dict, description="what the person answered when asked, by purpose")


class MemberSearch(Input):
    """What to look for; what is left out does not filter."""

    member_no: MemberNo | None = None
    phone: Phone | None = None
    vin: VinText | None = None
    plate: PlateText | None = None
    name: Name | None = Field(default=None, description="how the name begins")
    initials: Initials | None = Field(default=None, description="how the name's pinyin initials begin: zw finds 张伟")
    filter: FilterTree | None = None


class MemberUpdate(Input):
    """What may change on a member."""

    name: Name = may_be_left_out()


class VehicleSale(Input):
    """A member's vehicle goes to somebody else."""

    vin: VinText
    sold_on: date = Field(description="the last day on which the vehicle is the member's")


class StatusStep(Input):
    """A step of a membership."""

    to: MemberStatus
    reason: Reason


class ApplicationCreate(Input):
    """An owner applies to a chapter."""

    name: Name
    phone: Phone
    vin: VinText
    source: Source
    dealer_code: DealerCode | None = Field(default=None, description="the chapter; dealer staff may leave it out")
    born_on: Birthday | None = Field(default=None, description="noted when the application is approved")
    consents: DoorAnswers = Field(default_factory=dict, description="what the person answered when asked, by purpose")


class Refusal(Input):
    """Why an application is refused or withdrawn."""

    reason: Reason


class Approval(Input):
    """An approval says no more than itself."""


class ApplicationRead(BaseModel):
    """An application (申请中 while open)."""

    id: UUID
    dealer_code: str
    name: str
    phone: str
    vin: str
    source: Source
    status: ApplicationStatus
    reason: str | None
    consents: DoorAnswers = Field(description="what the owner answered, recorded when the application is approved")
    member_id: UUID | None
    applied_at: datetime
    decided_at: datetime | None
    warnings: list[Warned]


def may_unmask(actor: Actor, dealer_code: str | None, member_id: UUID | None = None) -> bool:
    """Whole phone numbers are for headquarters, the own chapter's care director and the member."""
    if actor.role is Role.MEMBER:
        return member_id == actor.member_id
    return actor.may(Right.MEMBERS_UNMASK) and actor.dealer_code in (None, dealer_code)


def _phone_for(actor: Actor, found: Member | Application, member_id: UUID | None = None) -> str:
    if not may_unmask(actor, found.dealer_code, member_id):
        return rules.masked_phone(found.phone)
    if actor.role is not Role.MEMBER:
        unmaskings.note(found.__tablename__, found.id)
    return found.phone


def member_read(actor: Actor, member: Member, vehicles: Iterable[VehicleRead]) -> MemberRead:
    """A member as the actor may see it."""
    phone = _phone_for(actor, member, member.id)
    return MemberRead(**dict(member) | {"phone": phone}, vehicles=list(vehicles))


def application_read(actor: Actor, application: Application, language: Language) -> ApplicationRead:
    """An application as the actor may see it."""
    phone = _phone_for(actor, application)
    return ApplicationRead(**dict(application) | {"phone": phone}, warnings=vin_warnings(application.vin, language))


def vin_warnings(vin: str, language: Language) -> list[Warned]:
    """The warning on a VIN whose check digit fails though its maker may do without."""
    if vin[8] == rules.vin_check_digit(vin):
        return []
    return [Warned(pointer="/vin", code="vin_check_digit", detail=text(language, "warning.vin_check_digit", {}))]
