"""What belongs to a profile: pure rules, no I/O."""

from collections.abc import Collection, Mapping
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from app.core.actors import Actor, Reach, Role


class AttributeKind(StrEnum):
    """What an attribute's values are."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOL = "bool"
    CHOICE = "choice"
    CHOICES = "choices"


WITH_CHOICES = frozenset({AttributeKind.CHOICE, AttributeKind.CHOICES})
MAX_TEXT = 500
MAX_NUMBER = 10**15


class Audience(StrEnum):
    """Who sees an attribute, or edits it; each includes those before it."""

    HEADQUARTERS = "headquarters"
    STAFF = "staff"
    MEMBER = "member"


def is_among(actor: Actor, audience: str) -> bool:
    """Whether an actor belongs to an audience; a program counts as staff, whatever it reaches."""
    match Audience(audience):
        case Audience.MEMBER:
            return True
        case Audience.STAFF:
            return actor.role is not Role.MEMBER
        case Audience.HEADQUARTERS:
            return actor.reach is Reach.ALL and actor.role is not Role.API_CLIENT


def includes(wider: Audience, narrower: Audience) -> bool:
    """Whether all of one audience belong to another."""
    order = list(Audience)
    return order.index(narrower) <= order.index(wider)


class Circle(StrEnum):
    """Where an owner stands (domain.md, the owner's life)."""

    OWNER = "owner"
    LOYAL = "loyal"
    OPINION_LEADER = "opinion_leader"
    KEY_CUSTOMER = "key_customer"


class ContactChannel(StrEnum):
    """By what a member likes to be reached."""

    PHONE = "phone"
    SMS = "sms"
    WECHAT = "wechat"
    EMAIL = "email"
    POST = "post"


class Days(StrEnum):
    """On which days a member likes to be called."""

    ANY = "any"
    WORKDAYS = "workdays"
    WEEKENDS = "weekends"


class Relation(StrEnum):
    """What a person of the household is to the member."""

    SPOUSE = "spouse"
    CHILD = "child"
    PARENT = "parent"
    SIBLING = "sibling"
    OTHER = "other"


def is_minor(born_on: date, today: date) -> bool:
    """Whether a person is under 18 (Civil Code, article 17): through the day of the eighteenth birthday."""
    return (today.year - 18, today.month, today.day) <= (born_on.year, born_on.month, born_on.day)


# --- values ---


class Stored(NamedTuple):
    """A value as it is kept: as a text, and for order as what it is."""

    value: str
    number: int | None = None
    day: date | None = None


Given = str | int | bool | list[str]

FAULTS: Mapping[AttributeKind, str] = {
    AttributeKind.TEXT: "attribute_text",
    AttributeKind.NUMBER: "attribute_number",
    AttributeKind.DATE: "attribute_date",
    AttributeKind.BOOL: "attribute_bool",
    AttributeKind.CHOICE: "attribute_choice",
    AttributeKind.CHOICES: "attribute_choices",
}
"""What is said of a value that is not of its kind."""


def stored(kind: str, choices: Collection[str], given: Given) -> list[Stored] | str:
    """An attribute's value as it is kept, or the code of its fault."""
    match AttributeKind(kind), given:
        case AttributeKind.BOOL, bool():
            return [Stored("true" if given else "false")]
        case AttributeKind.NUMBER, int() if not isinstance(given, bool) and abs(given) <= MAX_NUMBER:
            return [Stored(str(given), number=given)]
        case AttributeKind.DATE, str() if (day := _day(given)) is not None:
            return [Stored(given, day=day)]
        case AttributeKind.TEXT, str() if 0 < len(text := given.strip()) <= MAX_TEXT and text.isprintable():
            return [Stored(text)]
        case AttributeKind.CHOICE, str() if given in choices:
            return [Stored(given)]
        case AttributeKind.CHOICES, list() if given and set(given) <= set(choices):
            return [Stored(choice) for choice in sorted(set(given))]
    return FAULTS[AttributeKind(kind)]


def _day(given: str) -> date | None:
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return None
    return day if len(given) == 10 and 1900 <= day.year <= 2199 else None


def shown(kind: str, values: Collection[str]) -> Given:
    """A kept value as it is said."""
    match AttributeKind(kind):
        case AttributeKind.CHOICES:
            return sorted(values)
        case AttributeKind.NUMBER:
            return int(*values)
        case AttributeKind.BOOL:
            return list(values) == ["true"]
    return "".join(values)


# --- completeness ---

PARTS: Mapping[str, int] = {"vehicle": 25, "birth": 25, "contact": 20, "household": 10, "circle": 5}
"""What a whole profile has beside its attributes, and how much each part weighs.

A vehicle owned now, the day of birth, contact preferences, a person of the household, and the circle. Attributes weigh
what headquarters says.
"""


def score(filled: int, whole: int) -> int:
    """How complete, in whole percent, rounded down: 100 is nothing but all.

    Args:
        filled: the weights of the parts that are there, summed (over members, for a chapter).
        whole: the weights of all parts, times the members.
    """
    return filled * 100 // whole if whole else 0


# --- cards ---

READABLE = 4.5
"""The least contrast of text on its ground (WCAG 2.2, 1.4.3)."""


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours such as #0A2F5C, from 1 to 21 (WCAG 2.2, relative luminance)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
