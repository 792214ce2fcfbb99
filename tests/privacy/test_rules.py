"""Consent and age, by the rules alone."""

from datetime import UTC, date, datetime, timedelta

import pytest

from app.members.consent_rules import Answer, Decision, may_ask, stands
from app.members.rules import needs_guardian
from app.privacy.rules import years_before

ASKED = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


def answer(decision: Decision, version: int = 2) -> Answer:
    return Answer(decision, version, ASKED)


@pytest.mark.parametrize(
    ("last", "renewed", "counts"),
    [
        (None, 1, False),
        (answer(Decision.GIVEN), 1, True),
        (answer(Decision.GIVEN), 2, True),
        (answer(Decision.GIVEN), 3, False),
        (answer(Decision.REFUSED), 1, False),
        (answer(Decision.WITHDRAWN), 1, False),
    ],
)
def test_only_a_consent_to_what_is_in_force_counts(last: Answer | None, renewed: int, counts: bool) -> None:
    assert stands(last, renewed) is counts


@pytest.mark.parametrize("no", [Decision.REFUSED, Decision.WITHDRAWN])
@pytest.mark.parametrize(("renewed", "after", "asked"), [(2, YEAR, True), (2, YEAR - timedelta(seconds=1), False),
                                                         (9, timedelta(days=1), False)])  # fmt: skip
def test_a_refusal_is_left_in_peace(no: Decision, renewed: int, after: timedelta, asked: bool) -> None:
    assert may_ask(answer(no), renewed, now=ASKED + after, quiet=YEAR) is asked


def test_who_never_answered_or_to_an_older_text_is_asked() -> None:
    assert may_ask(None, 1, now=ASKED, quiet=YEAR)
    assert may_ask(answer(Decision.GIVEN), 3, now=ASKED, quiet=YEAR)
    assert not may_ask(answer(Decision.GIVEN), 2, now=ASKED, quiet=YEAR)


@pytest.mark.parametrize(
    ("born_on", "today", "child"),
    [
        (date(2012, 11, 21), date(2026, 11, 21), True),
        (date(2012, 11, 21), date(2026, 11, 22), False),
        (date(2012, 11, 22), date(2026, 11, 21), True),
        (date(2012, 2, 29), date(2026, 2, 28), True),
        (date(2012, 2, 29), date(2026, 3, 1), False),
        (date(1990, 1, 1), date(2026, 11, 21), False),
    ],
)
def test_a_child_is_one_through_its_fourteenth_birthday(born_on: date, today: date, child: bool) -> None:
    assert needs_guardian(born_on, today) is child


def test_years_before_a_leap_day() -> None:
    assert years_before(date(2028, 2, 29), 3) == date(2025, 2, 28)
    assert years_before(date(2026, 11, 21), 10) == date(2016, 11, 21)
