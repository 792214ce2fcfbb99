"""Expressions of rules: what they give, and that a mistake is found when they are written."""

from datetime import date

import pytest

from app.earning.checking import DEEPEST, LONGEST
from app.earning.expressions import EvaluationError, ExpressionFault, Scopes, compiled
from app.earning.triggers import DEALER, EVENT, MEMBER, MOST, Kind, Trigger, Value, day_values, fields, read

VALUES: dict[str, Value] = {
    "event.kind": "repair", "event.paid_fen": 12_345, "event.labour_fen": 0, "event.parts_fen": 12_345,
    "event.mileage_km": 20_000, "member.months": 14, "member.tier": "", "member.joined_on": "2025-01-15",
    "dealer.code": "HZ001", "dealer.region": "HZ", **day_values(date(2026, 5, 2)),
}  # fmt: skip


def value(source: str, kind: Kind = Kind.NUMBER) -> int | bool:
    expression = compiled(source, Trigger.REPAIR_ORDER, kind)
    return expression.value(Scopes(Trigger.REPAIR_ORDER, expression.names).next(VALUES))


def fault(source: str, kind: Kind = Kind.NUMBER) -> str:
    with pytest.raises(ExpressionFault) as refused:
        compiled(source, Trigger.REPAIR_ORDER, kind)
    return refused.value.code


@pytest.mark.parametrize(
    ("source", "points"),
    [
        ("event.paid_fen / 100", 123),
        ("event.paid_fen * 3 / 200", 185),
        ("event.paid_fen/100*2+1-3", 244),
        ("-event.paid_fen % 100", -45),
        ("(1 + 2) * 3", 9),
        ("on.weekday >= 6 ? 200 : 100", 200),
        ("event.kind == 'repair' ? (member.months > 12 ? 3 : 2) : 1", 3),
        ("event.kind.size()", 6),
        ("007", 7),
        ("1" + "+1" * 499, 500),
    ],
)
def test_numbers(source: str, points: int) -> None:
    assert value(source) == points


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("true", True),
        ("!true", False),
        ('dealer.region == "HZ" && event.paid_fen >= 10000', True),
        ("dealer.region in ['SH', 'HZ']", True),
        ("on.month in [4, 5] || member.tier == 'gold'", True),
        ("on.date >= '2026-05-01' && on.date < '2026-05-04'", True),
        ("member.joined_on < '2025-01-01'", False),
        ("dealer.code.startsWith('HZ') && !dealer.code.endsWith('2')", True),
        ("member.tier.contains('old')", False),
        ("event.kind != 'it\\'s' == true", True),
        ("'in' == '&&'", False),
        ("'豪' == '豪'", True),
    ],
)
def test_flags(source: str, holds: bool) -> None:
    assert value(source, Kind.FLAG) is holds


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", "expression_unreadable"),
        ("1 +", "expression_unreadable"),
        ("1 2", "expression_unreadable"),
        ("(1", "expression_unreadable"),
        ("1.5", "expression_unreadable"),
        ("1u", "expression_unreadable"),
        ("1 # x", "expression_unreadable"),
        ("[1].map(x, x)", "expression_unreadable"),
        ("--1", "expression_unreadable"),
        ("true ? true ? 1 : 2 : 3", "expression_unreadable"),
        ("'a\nb'.size()", "expression_unreadable"),
        ("r'a'.size()", "expression_unknown_name"),
        ("'''a'''.size()", "expression_unreadable"),
        ("1 in [1", "expression_unreadable"),
        ("event.paid", "expression_unknown_name"),
        ("event", "expression_unknown_name"),
        ("paid_fen", "expression_unknown_name"),
        ("event_paid_fen", "expression_unknown_name"),
        ("event.paid_fen.size", "expression_unknown_name"),
        ("null", "expression_unknown_name"),
        ("double(1)", "expression_unknown_name"),
        ("event.kind.matches('r')", "expression_unknown_name"),
        ("event.paid_fen.size()", "expression_method_of_text"),
        ("event.kind.startsWith(1)", "expression_method_of_text"),
        ("event.paid_fen + event.kind", "expression_mixed"),
        ("event.kind + 'x'", "expression_mixed"),
        ("-event.kind", "expression_mixed"),
        ("event.paid_fen ? 1 : 2", "expression_mixed"),
        ("true ? 1 : 'a'", "expression_mixed"),
        # never evaluated, and yet found
        ("true || 1 > 'a' ? 1 : 2", "expression_mixed"),
        ("event.kind", "expression_not_number"),
        ("true", "expression_not_number"),
        (f"{MOST + 1}", "expression_number_too_large"),
        ("(" * DEEPEST + "1" + ")" * DEEPEST, "expression_too_deep"),
        ("true ? 1 : " * DEEPEST + "1", "expression_too_deep"),
        ("1" + " " * LONGEST, "string_too_long"),
    ],
)
def test_a_number_is_refused(source: str, code: str) -> None:
    assert fault(source) == code


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("event.paid_fen", "expression_not_flag"),
        ("1 < 2 < 3", "expression_mixed"),
        ("true < false", "expression_mixed"),
        ("!1", "expression_mixed"),
        ("1 && true", "expression_mixed"),
        ("event.kind == 1", "expression_mixed"),
        ("on.date > '1 May 2026'", "expression_mixed"),
        ("event.kind in [1]", "expression_mixed"),
        ("event.kind in ['a', 1]", "expression_mixed"),
        ("event.kind in []", "expression_unreadable"),
    ],
)
def test_a_flag_is_refused(source: str, code: str) -> None:
    assert fault(source, Kind.FLAG) == code


def test_a_fault_says_where_and_what_there_is() -> None:
    with pytest.raises(ExpressionFault) as refused:
        compiled("1 + event.paid", Trigger.CUSTOM, Kind.NUMBER)
    assert refused.value.context["at"] == 5
    assert refused.value.context["name"] == "event.paid"
    assert "event.amount_fen" in str(refused.value.context["known"])


@pytest.mark.parametrize(
    "source", ["event.paid_fen / event.labour_fen", "event.paid_fen % event.labour_fen", f"{MOST} * {MOST}"]
)
def test_what_has_no_value_says_so(source: str) -> None:
    with pytest.raises(EvaluationError, match=r"by zero|verflow"):
        value(source)


def test_an_expression_knows_what_it_asks_for() -> None:
    expression = compiled("event.kind == 'event.paid_fen' && on.month == 5", Trigger.REPAIR_ORDER, Kind.FLAG)
    assert expression.names == {"event.kind", "on.month"}


@pytest.mark.parametrize("trigger", Trigger)
def test_every_field_can_be_asked_for(trigger: Trigger) -> None:
    sample: dict[Kind, str] = {Kind.NUMBER: "1", Kind.TEXT: "'x'", Kind.FLAG: "true", Kind.DATE: "'2026-10-31'"}
    for name, field in fields(trigger).items():
        assert compiled(f"{name} == {sample[field.kind]}", trigger, Kind.FLAG).names == {name}


def test_what_is_left_out_takes_its_default() -> None:
    values, faults = read("event", EVENT[Trigger.REPAIR_ORDER], {"kind": "repair", "paid_fen": 5}, "/fields")
    assert faults == []
    assert values == {
        "event.kind": "repair", "event.paid_fen": 5, "event.labour_fen": 0, "event.parts_fen": 0,
        "event.mileage_km": 0,
    }  # fmt: skip
    assert read("member", MEMBER, {}, "")[0]["member.tier"] == ""
    assert read("dealer", DEALER, {"code": "HZ001"}, "")[0] == {"dealer.code": "HZ001", "dealer.region": ""}


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("paid_fen", "5", "rule_value_number"),
        ("paid_fen", 5.0, "rule_value_number"),
        ("paid_fen", True, "rule_value_number"),
        ("paid_fen", MOST + 1, "rule_value_number"),
        ("kind", 5, "rule_value_text"),
        ("kind", "x" * 201, "rule_value_text"),
        ("kind", "\0", "rule_value_text"),
        ("kind", None, "missing"),
        ("price", 5, "rule_field_unknown"),
    ],
)
def test_what_is_sent_is_typed(name: str, given: object, code: str) -> None:
    sent = {"kind": "repair", "paid_fen": 5} | {name: given}
    _, faults = read("event", EVENT[Trigger.REPAIR_ORDER], sent, "/fields")
    assert [(fault.pointer, fault.code) for fault in faults] == [(f"/fields/{name}", code)]


@pytest.mark.parametrize("given", ["2026-02-30", "20260101", "today", 5])
def test_a_date_is_written_as_one(given: object) -> None:
    _, faults = read("member", MEMBER, {"joined_on": given}, "/member")
    assert [fault.code for fault in faults] == ["rule_value_date"]


@pytest.mark.parametrize("given", [1, "true"])
def test_a_flag_is_true_or_false(given: object) -> None:
    known = EVENT[Trigger.REFERRAL_SUCCESS]
    _, faults = read("event", known, {"party": "buyer", "is_repurchase": given}, "")
    assert [fault.code for fault in faults] == ["rule_value_flag"]


def test_scopes_one_after_another_have_each_their_own_values() -> None:
    expression = compiled(
        "dealer.code == 'HZ001' ? event.paid_fen : 0 - event.paid_fen", Trigger.REPAIR_ORDER, Kind.NUMBER
    )
    scopes = Scopes(Trigger.REPAIR_ORDER, expression.names)
    events = [("HZ001", 5), ("BJ001", 6), ("HZ001", 7), ("HZ001", 8)]
    found = [expression.value(scopes.next({"dealer.code": code, "event.paid_fen": fen})) for code, fen in events]
    assert found == [5, -6, 7, 8]
