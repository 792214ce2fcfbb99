"""The formulas of domain.md on counts alone, against the figures published for May 2010."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reports.rules import Counts, Measure, ranked, share, total


@pytest.mark.parametrize(("part", "whole", "expected"), [
    (118, 146, 0.8082),
    (16, 18, 0.8889),
    (24, 28, 0.8571),
    (12, 20, 0.6),
    (0, 7, 0.0),
    (3, 2, 1.5),  # more members than owners known
    (1, 20_000, 0.0001),  # half up
    (1, 20_001, 0.0),
    (0, 0, None),
    (5, 0, None),
])  # fmt: skip
def test_a_share_has_four_decimals(part: int, whole: int, expected: float | None):
    assert share(part, whole) == expected


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_share_is_never_further_off_than_half_a_step(part: int, whole: int):
    found = share(part, whole)
    assert found is not None
    steps = round(found * 10_000)
    assert abs(2 * (part * 10_000 - steps * whole)) <= whole


def test_rates_come_from_sums_and_not_from_rates():
    small = Counts(members=1, owners=1, delivered=1, joined=1, chapters=1, covered=1, dealers_after_sales=1)
    large = Counts(members=10, applying=9, owners=99, delivered=9, chapters=1, dealers_after_sales=9)
    both = total([small, large])
    assert (both.members, both.applying, both.owners) == (11, 9, 100)
    assert (both.recruitment_rate, both.joining_rate, both.coverage) == (0.2, 0.1, 0.1)


def test_of_nothing_there_is_no_rate():
    nothing = total([])
    assert nothing == Counts()
    assert (nothing.recruitment_rate, nothing.joining_rate, nothing.coverage) == (None, None, None)


def test_equals_share_a_rank_and_who_has_no_figure_has_none():
    places = {
        "D": Counts(members=1, owners=2), "C": Counts(members=5), "B": Counts(members=2, owners=2),
        "A": Counts(members=2, owners=4), "E": Counts(owners=4),
    }  # fmt: skip
    assert ranked(places.items(), Measure.RECRUITMENT_RATE) == [(1, "B"), (2, "A"), (2, "D"), (4, "E"), (None, "C")]
    assert [code for _, code in ranked(places.items(), Measure.MEMBERS)] == ["C", "A", "B", "D", "E"]
    assert ranked(places.items(), Measure.NEW_MEMBERS)[-1] == (1, "E")
