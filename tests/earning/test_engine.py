"""What rules give, without a database: whole yuan, month ends, stacking, multipliers, caps of a document, shares."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.earning.awards import cause_of
from app.earning.definitions import Definition, Share
from app.earning.engine import Event, Rule, Verdict, consider, days, shared
from app.earning.triggers import Trigger, Value

MEMBER, SEGMENT = UUID(int=1), UUID(int=2)
DAY = date(2026, 11, 21)


def rule(number: int = 1, dealer_code: str | None = None, **fields: Any) -> Rule:
    whole = {
        "trigger": "repair_order", "amount": "event.paid_fen / 100", "funders": [{"party": "hq", "percent": "100"}],
        "expiry": {"kind": "rolling_months", "months": 24}, "valid_from": "2026-01-01",
    }  # fmt: skip
    made = Definition.model_validate(whole | fields)
    return Rule.of(number, UUID(int=number), f"rule-{number}", {}, dealer_code, made)


def order(paid_fen: int = 12_345, dealer: str | None = "HZ001", on: date = DAY, **values: Any) -> Event:
    known: dict[str, Value] = {
        "event.kind": "repair", "event.paid_fen": paid_fen, "event.labour_fen": 0, "event.parts_fen": 0,
        "event.mileage_km": 0, "dealer.code": dealer or "", "dealer.region": "HZ", "member.months": 0,
    }  # fmt: skip
    return Event(Trigger.REPAIR_ORDER, "repair_order:HZ001:1", MEMBER, dealer, on, known | values)


def verdicts(*rules: Rule, event: Event | None = None, is_in: bool = True) -> list[tuple[Verdict, int]]:
    judged = consider(rules, event or order(), lambda segment, member: is_in and (segment, member) == (SEGMENT, MEMBER))
    return [(one.verdict, one.points) for one in judged]


@pytest.mark.parametrize(("fen", "points"), [(100, 1), (199, 1), (12_345, 123), (10**11 + 99, 10**9)])
def test_whole_yuan_earn(fen: int, points: int):
    assert verdicts(rule(), event=order(fen)) == [(Verdict.GIVES, points)]


def test_less_than_a_yuan_earns_nothing():
    assert verdicts(rule(), event=order(99)) == [(Verdict.GIVES_NOTHING, 0)]


def test_a_rule_says_why_it_gives_nothing():
    assert verdicts(rule(dealer_code="BJ001")) == [(Verdict.ELSEWHERE, 0)]
    assert verdicts(rule(valid_from="2026-11-22")) == [(Verdict.OUT_OF_DATES, 0)]
    assert verdicts(rule(valid_until="2026-11-20")) == [(Verdict.OUT_OF_DATES, 0)]
    assert verdicts(rule(condition='event.kind == "maintenance"')) == [(Verdict.NOT_MATCHED, 0)]
    assert verdicts(rule(audience=str(SEGMENT)), is_in=False) == [(Verdict.NOT_IN_AUDIENCE, 0)]
    assert verdicts(rule(audience=str(SEGMENT))) == [(Verdict.GIVES, 123)]
    assert verdicts(rule(hold_for_review="event.paid_fen > 10000")) == [(Verdict.HELD, 123)]
    assert verdicts(rule(trigger="enrolment", amount="50")) == []


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("event.paid_fen / event.mileage_km", "zero"), ("0 - event.paid_fen", "-12345"),
        ("event.paid_fen * 1000000", "12345000000"),
    ],
)  # fmt: skip
def test_an_error_parks_one_rule_and_nothing_else(amount: str, said: str):
    failed, other = consider([rule(1, amount=amount), rule(2)], order(), lambda *_: False)
    assert (failed.verdict, other.verdict, other.points) == (Verdict.FAILED, Verdict.GIVES, 123)
    assert said in str(failed.reason).lower()


def test_a_dealers_share_needs_a_dealer():
    own = rule(funders=[{"party": "dealer", "percent": "100"}])
    assert verdicts(own, event=order(dealer=None)) == [(Verdict.FAILED, 0)]


def group(mode: str, priority: int = 0) -> dict[str, Any]:
    return {"group": "orders", "mode": mode, "priority": priority}


def test_of_a_group_one_gives():
    small, large = {"amount": "10"}, {"amount": "20"}
    best = [rule(1, stacking=group("best"), **small), rule(2, stacking=group("best"), **large), rule(3, amount="5")]
    assert verdicts(*best) == [(Verdict.OUTBID, 0), (Verdict.GIVES, 20), (Verdict.GIVES, 5)]
    first = [rule(1, stacking=group("priority", 9), **small), rule(2, stacking=group("priority"), **large)]
    assert verdicts(*first) == [(Verdict.GIVES, 10), (Verdict.OUTBID, 0)]
    unmatched = rule(1, stacking=group("priority", 9), condition="false", **small)
    assert verdicts(unmatched, first[1]) == [(Verdict.NOT_MATCHED, 0), (Verdict.GIVES, 20)]


def test_multipliers_raise_what_the_group_gives():
    """Each by itself: 150 % and 200 % of 123 are 61 and 123 more."""
    half, double = (rule(n, amount=None, factor_percent=f, stacking=group("priority")) for n, f in ((2, 150), (3, 200)))
    base = rule(1, stacking=group("priority"))
    assert verdicts(base, half, double) == [(Verdict.GIVES, 123), (Verdict.GIVES, 61), (Verdict.GIVES, 123)]
    assert verdicts(half) == [(Verdict.NOTHING_TO_RAISE, 0)]
    held = rule(1, stacking=group("priority"), hold_for_review="true")
    assert verdicts(held, double) == [(Verdict.HELD, 123), (Verdict.HELD, 123)]


def test_a_document_gives_no_more_than_its_cap():
    assert verdicts(rule(caps={"per_order": 100})) == [(Verdict.GIVES, 100)]


def test_rests_go_to_the_largest_remainder():
    funders = [Share(party="hq", percent=Decimal("33.33")), Share(party="dealer", percent=Decimal("33.33")),
               Share(party="partner:HOTEL-01", percent=Decimal("33.34"))]  # fmt: skip
    assert shared(100, funders, "HZ001") == [("HQ", 33), ("HZ001", 33), ("partner:HOTEL-01", 34)]
    assert shared(1, funders, "HZ001") == [("partner:HOTEL-01", 1)]
    even = [Share(party="hq", percent=Decimal(50)), Share(party="dealer", percent=Decimal(50))]
    assert shared(7, even, "HZ001") == [("HQ", 4), ("HZ001", 3)]


@given(st.integers(1, 10**9), st.lists(st.integers(1, 10_000), min_size=2, max_size=10))
def test_shares_add_up(points: int, weights: list[int]):
    """Whatever the shares are, no point is lost or made, and none is a point away from its exact part."""
    hundredths = [weight * 10_000 // sum(weights) for weight in weights]
    hundredths[0] += 10_000 - sum(hundredths)
    funders = [
        Share(party=f"partner:P{n:02}", percent=Decimal(part) / 100) for n, part in enumerate(hundredths) if part
    ]
    parts = dict(shared(points, funders, None))
    assert sum(parts.values()) == points
    assert all(abs(parts.get(share.party, 0) - points * share.percent / 100) < 1 for share in funders)


@pytest.mark.parametrize(
    ("fields", "first", "last"),
    [
        ({}, date(2026, 11, 21), date(2028, 11, 30)),
        ({"expiry": {"kind": "rolling_months", "months": 1}}, date(2026, 11, 21), date(2026, 12, 31)),
        ({"expiry": {"kind": "activity", "months": 3}}, date(2026, 11, 21), date(2027, 2, 28)),
        ({"expiry": {"kind": "fixed_date", "on": "2027-06-30"}}, date(2026, 11, 21), date(2027, 6, 30)),
        ({"pending": {"kind": "days", "days": 14}}, date(2026, 12, 5), date(2028, 11, 30)),
        ({"pending": {"kind": "until_event", "event": "returned", "at_most_days": 30}},
         date(2026, 12, 21), date(2028, 11, 30)),
        # never shorter than a day
        ({"pending": {"kind": "days", "days": 60}, "expiry": {"kind": "fixed_date", "on": "2026-12-31"}},
         date(2027, 1, 20), date(2027, 1, 20)),
    ],
)  # fmt: skip
def test_when_points_can_be_spent(fields: dict[str, Any], first: date, last: date):
    assert days(rule(**fields), DAY)[:2] == (first, last)
    assert days(rule(**fields), DAY).activity_months == (3 if "activity" in str(fields) else None)


def test_lots_of_a_document_have_causes_of_their_own():
    assert [cause_of("repair_order:BJ001:A.2:b", part) for part in (1, 2)] == [
        "repair_order:BJ001:A.2:b", "repair_order.2:BJ001:A.2:b",
    ]  # fmt: skip
