"""What belongs to a profile, without a database."""

from datetime import date

import pytest

from app.core.actors import Actor, Role
from app.members.profile_rules import (
    FAULTS,
    AttributeKind,
    Audience,
    Given,
    Stored,
    includes,
    is_among,
    is_minor,
    score,
    shown,
    stored,
)


@pytest.mark.parametrize(
    ("born_on", "today", "minor"),
    [
        (date(2008, 11, 22), date(2026, 11, 22), True),  # through the day of the birthday
        (date(2008, 11, 21), date(2026, 11, 22), False),
        (date(2008, 2, 29), date(2026, 2, 28), True),
        (date(2008, 2, 29), date(2026, 3, 1), False),
        (date(1960, 1, 1), date(2026, 1, 1), False),
    ],
)
def test_minors(born_on: date, today: date, minor: bool) -> None:
    assert is_minor(born_on, today) is minor


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("text", " 茶 ", [Stored("茶")]),
        ("number", -3, [Stored("-3", number=-3)]),
        ("date", "2026-02-28", [Stored("2026-02-28", day=date(2026, 2, 28))]),
        ("bool", True, [Stored("true")]),
        ("choice", "a", [Stored("a")]),
        ("choices", ["b", "a", "b"], [Stored("a"), Stored("b")]),
    ],
)
def test_values_are_kept_and_said(kind: str, given: Given, kept: list[Stored]) -> None:
    assert stored(kind, ("a", "b"), given) == kept
    said = shown(kind, [one.value for one in kept])
    assert said == (["a", "b"] if kind == "choices" else given.strip() if isinstance(given, str) else given)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", ""), ("text", "a\nb"), ("text", "x" * 501), ("text", 1), ("number", "1"), ("number", True),
        ("date", "20260228"), ("date", "2026-02-30"), ("date", "1899-12-31"), ("bool", 1), ("bool", "true"),
        ("choice", "c"), ("choice", ["a"]), ("choices", "a"), ("choices", ["a", "c"]), ("choices", []),
    ],
)  # fmt: skip
def test_values_of_another_kind(kind: str, given: Given) -> None:
    assert stored(kind, ("a", "b"), given) == FAULTS[AttributeKind(kind)]


def test_audiences_lie_in_one_another() -> None:
    hq, staff = Actor("a", Role.HQ_ADMIN), Actor("b", Role.CARE_STAFF, "BJ001")
    program, member = Actor("c", Role.API_CLIENT), Actor("d", Role.MEMBER)
    assert [is_among(hq, one) for one in Audience] == [True, True, True]
    assert [is_among(staff, one) for one in Audience] == [False, True, True]
    assert [is_among(program, one) for one in Audience] == [False, True, True]
    assert [is_among(member, one) for one in Audience] == [False, False, True]
    assert includes(Audience.MEMBER, Audience.HEADQUARTERS)
    assert not includes(Audience.HEADQUARTERS, Audience.STAFF)


@pytest.mark.parametrize(("filled", "whole", "percent"), [(0, 0, 0), (119, 120, 99), (120, 120, 100), (1, 120, 0)])
def test_a_hundred_is_nothing_but_all(filled: int, whole: int, percent: int) -> None:
    assert score(filled, whole) == percent
