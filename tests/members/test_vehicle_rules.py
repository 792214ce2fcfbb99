"""Mileages only rise; services come due by time and by mileage."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.members.vehicle_rules import CLAIM_TRANSITIONS, ClaimStatus, Due, Interval, Read, drops, next_service

FIRST = date(2026, 1, 31)


def read(day: int, km: int) -> Read:
    return Read(date(2026, 1, 1) + timedelta(days=day), km)


@pytest.mark.parametrize(
    ("readings", "found"),
    [
        ([], []),
        ([read(0, 5)], [False]),
        ([read(0, 5), read(1, 5), read(2, 6)], [False, False, False]),
        ([read(0, 5), read(1, 4)], [False, True]),
        ([read(0, 5), read(0, 4)], [False, True]),
        ([read(5, 50), read(3, 60)], [False, True]),  # noted later, of an earlier day
        ([read(5, 50), read(3, 40)], [False, False]),
        ([read(0, 5), read(1, 4), read(2, 4), read(3, 6)], [False, True, True, False]),
        ([read(0, 900), read(1, 100), read(2, 110)], [False, True, True]),  # until the first is withdrawn
        ([read(1, 100), read(2, 110)], [False, False]),
    ],
)
def test_what_was_noted_first_stands(readings: list[Read], found: list[bool]):
    assert drops(readings) == found


@given(st.lists(st.builds(read, st.integers(0, 50), st.integers(0, 1_000)), max_size=30))
def test_what_stands_only_rises(readings: list[Read]):
    stands = [one for one, is_drop in zip(readings, drops(readings), strict=True) if not is_drop]
    kms = [one.km for one in sorted(stands, key=lambda one: (one.read_on, one.km))]
    assert kms == sorted(kms)
    assert drops(stands) == [False] * len(stands)


@pytest.mark.parametrize(
    ("interval", "km", "today", "due"),
    [
        (Interval(6, 5_000), 7_000, date(2026, 7, 30), Due(date(2026, 7, 31), 7_001, False)),
        (Interval(6, 5_000), 7_000, date(2026, 7, 31), Due(date(2026, 7, 31), 7_001, True)),
        (Interval(6, 5_000), 7_001, FIRST, Due(date(2026, 7, 31), 7_001, True)),
        (Interval(6, 5_000), None, FIRST, Due(date(2026, 7, 31), 7_001, False)),
        (Interval(1, None), 99_999, FIRST, Due(date(2026, 2, 28), None, False)),
        (Interval(None, 5_000), None, date(2036, 1, 1), Due(None, 7_001, False)),
        (Interval(None, None), 99_999, date(2036, 1, 1), Due(None, None, False)),
        (Interval(12, None), None, date(2027, 1, 31), Due(date(2027, 1, 31), None, True)),
    ],
)
def test_service_is_due_by_whichever_comes_first(interval: Interval, km: int | None, today: date, due: Due):
    assert next_service(interval, Read(FIRST, 2_001), km, today) == due


def test_a_claim_is_decided_once():
    assert [status for status, steps in CLAIM_TRANSITIONS.items() if steps] == [ClaimStatus.ASKED]
