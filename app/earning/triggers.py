"""What can earn points, and what a rule may ask about it: typed fields, pure. Source: docs/rules.md."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from app.core.problems import FieldError

Value = int | str | bool
"""What a field holds; a date is text such as 2026-10-31, so that dates compare as they follow each other."""


class Kind(StrEnum):
    """What a field, or a part of an expression, is."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    DATE = "date"


class Trigger(StrEnum):
    """What happened, for which a rule may give points."""

    REPAIR_ORDER = "repair_order"
    ENROLMENT = "enrolment"
    VEHICLE_DELIVERED = "vehicle_delivered"
    REPURCHASE = "repurchase"
    TRADE_IN = "trade_in"
    REFERRAL_SUCCESS = "referral_success"
    EVENT_ATTENDED = "event_attended"
    BIRTHDAY = "birthday"
    PURCHASE_ANNIVERSARY = "purchase_anniversary"
    SURVEY_ANSWERED = "survey_answered"
    PROFILE_COMPLETED = "profile_completed"
    COMMUNITY_ACTIVITY = "community_activity"
    CUSTOM = "custom"


class Field(NamedTuple):
    """What is known of an event, a member, a dealer or a day; without a `default` it has to be given."""

    kind: Kind
    default: Value | None = None


_NUMBER, _TEXT, _FLAG = Field(Kind.NUMBER, 0), Field(Kind.TEXT, ""), Field(Kind.FLAG, False)
_DATE = Field(Kind.DATE, "")
_GIVEN_NUMBER, _GIVEN_TEXT = Field(Kind.NUMBER), Field(Kind.TEXT)

MEMBER = {"joined_on": _DATE, "months": _NUMBER, "chapter": _TEXT, "region": _TEXT, "source": _TEXT, "tier": _TEXT}
DEALER = {"code": _TEXT, "region": _TEXT}
DAY = {
    "date": Field(Kind.DATE), "year": _GIVEN_NUMBER, "month": _GIVEN_NUMBER, "day": _GIVEN_NUMBER,
    "weekday": _GIVEN_NUMBER,
}  # fmt: skip

EVENT: Mapping[Trigger, Mapping[str, Field]] = {
    Trigger.REPAIR_ORDER: {
        "kind": _GIVEN_TEXT, "paid_fen": _GIVEN_NUMBER, "labour_fen": _NUMBER, "parts_fen": _NUMBER,
        "mileage_km": _NUMBER,
    },
    Trigger.ENROLMENT: {"source": _GIVEN_TEXT},
    Trigger.VEHICLE_DELIVERED: {"model": _TEXT},
    Trigger.REPURCHASE: {"model": _TEXT, "cars_before": _GIVEN_NUMBER},
    Trigger.TRADE_IN: {"model": _TEXT, "old_model": _TEXT},
    Trigger.REFERRAL_SUCCESS: {
        "party": _GIVEN_TEXT, "model": _TEXT, "successes": _NUMBER, "is_repurchase": _FLAG,
    },
    Trigger.EVENT_ATTENDED: {"code": _GIVEN_TEXT, "class": _TEXT, "kind": _TEXT, "companions": _NUMBER},
    Trigger.BIRTHDAY: {"age": _NUMBER},
    Trigger.PURCHASE_ANNIVERSARY: {"years": _GIVEN_NUMBER, "model": _TEXT},
    Trigger.SURVEY_ANSWERED: {"survey": _GIVEN_TEXT, "answers": _NUMBER, "score": _NUMBER},
    Trigger.PROFILE_COMPLETED: {"percent": _GIVEN_NUMBER},
    Trigger.COMMUNITY_ACTIVITY: {"kind": _GIVEN_TEXT, "count": Field(Kind.NUMBER, 1)},
    Trigger.CUSTOM: {"name": _GIVEN_TEXT, "label": _TEXT, "count": Field(Kind.NUMBER, 1), "amount_fen": _NUMBER},
}  # fmt: skip
"""The fields of each trigger's own event. What is not known is 0, empty or false, never null."""

_FAULTS = {
    Kind.NUMBER: "rule_value_number", Kind.TEXT: "rule_value_text", Kind.FLAG: "rule_value_flag",
    Kind.DATE: "rule_value_date",
}  # fmt: skip

MOST = 10**15
"""Numbers of an event lie between -MOST and MOST: what is computed from them stays within CEL's 64 bits."""
LONGEST_TEXT = 200


@cache
def fields(trigger: Trigger) -> Mapping[str, Field]:
    """All that a trigger's rules may name, under dotted names such as `event.paid_fen`."""
    roots = {"event": EVENT[trigger], "member": MEMBER, "dealer": DEALER, "on": DAY}
    named = {f"{root}.{name}": field for root, own in roots.items() for name, field in own.items()}
    return MappingProxyType(named)


@lru_cache(maxsize=4096)
def day_values(on: date) -> Mapping[str, Value]:
    """The `on.*` values of a business date; `on.weekday` is 1 on Mondays and 7 on Sundays."""
    values: dict[str, Value] = {
        "date": on.isoformat(), "year": on.year, "month": on.month,
        "day": on.day, "weekday": on.isoweekday(),
    }  # fmt: skip
    return MappingProxyType({f"on.{name}": value for name, value in values.items()})


def read(
    root: str, known: Mapping[str, Field], given: Mapping[str, Any], pointer: str
) -> tuple[dict[str, Value], list[FieldError]]:
    """What was sent under one root (`event`, `member` or `dealer`) as typed values, and its faults.

    Args:
        known: the root's fields, such as `EVENT[trigger]`.
        given: JSON as it was sent; what is left out takes its default.
        pointer: where `given` stands in the payload.

    Returns:
        values under dotted names (complete only without faults), and a fault for each field that is unknown, missing
        or of another kind.
    """
    faults = [
        FieldError(f"{pointer}/{name}", "rule_field_unknown", {"name": f"{root}.{name}", "known": ", ".join(known)})
        for name in given
        if name not in known
    ]
    values: dict[str, Value] = {}
    for name, field in known.items():
        value = given.get(name, field.default)
        if value is None:
            faults.append(FieldError(f"{pointer}/{name}", "missing", {}))
        elif not _is(field.kind, value):
            faults.append(FieldError(f"{pointer}/{name}", _FAULTS[field.kind], {"longest": LONGEST_TEXT, "most": MOST}))
        else:
            values[f"{root}.{name}"] = value
    return values, faults


def _is(kind: Kind, value: object) -> bool:
    match kind:
        case Kind.NUMBER:
            return isinstance(value, int) and not isinstance(value, bool) and -MOST <= value <= MOST
        case Kind.TEXT:
            return isinstance(value, str) and len(value) <= LONGEST_TEXT and "\0" not in value
        case Kind.FLAG:
            return isinstance(value, bool)
        case Kind.DATE:
            return value == "" or (isinstance(value, str) and is_date(value))


def is_date(text: str) -> bool:
    """Whether a text is a date written as 2026-10-31."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
