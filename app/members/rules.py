"""What makes a member, a phone, a VIN: pure rules, no I/O.

Sources: domain.md ("Exact formats"), ISO 3779, ISO 7064.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from stdnum.iso7064 import mod_11_10


class MemberStatus(StrEnum):
    """Where a membership stands."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"


class ApplicationStatus(StrEnum):
    """Where an application stands."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Source(StrEnum):
    """Where a recruit came from (domain.md, recruitment)."""

    DELIVERY = "delivery"
    SHOWROOM = "showroom"
    WORD_OF_MOUTH = "word_of_mouth"
    ONLINE_GROUP = "online_group"
    CALL_BACK = "call_back"
    RENEWAL = "renewal"
    EVENT = "event"
    IMPORT = "import"


MEMBER_TRANSITIONS: Mapping[MemberStatus, frozenset[MemberStatus]] = {
    MemberStatus.ACTIVE: frozenset({MemberStatus.SUSPENDED, MemberStatus.LEFT}),
    MemberStatus.SUSPENDED: frozenset({MemberStatus.ACTIVE, MemberStatus.LEFT}),
    MemberStatus.LEFT: frozenset({MemberStatus.ACTIVE}),
}
"""Status moves along these lines only; coming back keeps number and history."""

APPLICATION_TRANSITIONS: Mapping[ApplicationStatus, frozenset[ApplicationStatus]] = {
    ApplicationStatus.OPEN: frozenset(
        {ApplicationStatus.APPROVED, ApplicationStatus.REFUSED, ApplicationStatus.WITHDRAWN}
    ),
    ApplicationStatus.APPROVED: frozenset(),
    ApplicationStatus.REFUSED: frozenset(),
    ApplicationStatus.WITHDRAWN: frozenset(),
}
"""An application is decided once."""


# --- formats ---

_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_VIN_VALUES = {str(d): d for d in range(10)} | dict(
    zip(
        "ABCDEFGHJKLMNPRSTUVWXYZ",
        [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9],
        strict=True,
    )
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_CHECKED_REGIONS = frozenset("LH12345")
"""First characters whose makers must use the check digit: China (L, H) and North America (1-5)."""

_MOBILE = re.compile(r"(?:\+?86)?(1[3-9][0-9]{9})")


@dataclass(frozen=True, slots=True)
class Vin:
    """A VIN that may be a car. `check_digit_ok` false: a warning, since its maker need not use the digit."""

    value: str
    check_digit_ok: bool


def parse_vin(text: str) -> Vin | str:
    """The VIN in a text, or the code of its fault: vin_format, vin_repeated, vin_check_digit."""
    value = text.strip().upper()
    if not _VIN.fullmatch(value):
        return "vin_format"
    if len(set(value)) == 1:
        return "vin_repeated"
    ok = value[8] == vin_check_digit(value)
    if not ok and value[0] in _CHECKED_REGIONS:
        return "vin_check_digit"
    return Vin(value, ok)


def vin_check_digit(vin: str) -> str:
    """The character ISO 3779 wants at position 9."""
    total = sum(_VIN_VALUES[char] * weight for char, weight in zip(vin, _VIN_WEIGHTS, strict=True))
    return "0123456789X"[total % 11]


def parse_mobile(text: str) -> str | None:
    """A mainland mobile number in E.164 (+86…), or None."""
    match = _MOBILE.fullmatch(re.sub(r"[\s-]", "", text))
    return f"+86{match[1]}" if match else None


def member_number(serial: int) -> str:
    """A member number: nine digits of the serial and the check digit of ISO 7064 MOD 11,10."""
    digits = f"{serial:09d}"
    return digits + str(mod_11_10.calc_check_digit(digits))


def is_member_number(text: str) -> bool:
    """Whether the check digit holds."""
    return len(text) == 10 and bool(mod_11_10.is_valid(text))


def masked_phone(phone: str) -> str:
    """A stored number as those may see it who need not call: 138****1234."""
    national = phone.removeprefix("+86")
    return f"{national[:3]}****{national[-4:]}"


def masked_name(name: str) -> str:
    """A name as a foreign counter sees it: enough to greet, too little to look up."""
    return name[0] + "*" * (len(name) - 1)


# --- who joins ---


def needs_guardian(born_on: date, today: date) -> bool:
    """Whether a person is under 14 (PIPL, article 31): through the day of the fourteenth birthday.

    A year of age is complete on the day after the birthday, so a person born on 29 February needs no rule of its own.
    """
    return born_on >= guarded_since(today)


def guarded_since(today: date) -> date:
    """The first day of birth of those who are under 14 on a day."""
    try:
        return today.replace(year=today.year - 14)
    except ValueError:
        # on 29 February those born on the 28th are a day over it
        return date(today.year - 14, 3, 1)


@dataclass(frozen=True, slots=True)
class Person:
    """A member as the enrolment rule sees one: who has this phone, or goes on for whom had it, as `merged_name`."""

    member_id: UUID
    name: str
    status: MemberStatus = MemberStatus.ACTIVE
    merged_name: str | None = None

    def is_called(self, name: str) -> bool:
        """Whether this is the person's name, or was before a merge."""
        return name in (self.name, self.merged_name)


class Verdict(StrEnum):
    """What an enrolment comes to."""

    NEW_MEMBER = "new_member"
    ADD_VEHICLE = "add_vehicle"
    ALREADY_KNOWN = "already_known"
    PHONE_TAKEN = "phone_taken"
    VEHICLE_TAKEN = "vehicle_taken"


def judge_enrolment(name: str, by_phone: Person | None, vehicle_owner: UUID | None) -> Verdict:
    """One membership per person, one owner per vehicle at a time.

    Same phone and same name is the same person and adds the vehicle; same phone with another name is refused.

    Args:
        by_phone: the member who has the applicant's phone, if any.
        vehicle_owner: the member who owns the vehicle now, if any.
    """
    if by_phone is not None and not by_phone.is_called(name):
        return Verdict.PHONE_TAKEN
    if vehicle_owner is not None:
        same = by_phone is not None and by_phone.member_id == vehicle_owner
        return Verdict.ALREADY_KNOWN if same else Verdict.VEHICLE_TAKEN
    return Verdict.NEW_MEMBER if by_phone is None else Verdict.ADD_VEHICLE
