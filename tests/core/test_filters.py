"""The filter language: what is read, what is refused and where, the SQL it becomes, and what it says to people."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Boolean, Date, Integer, Text, Uuid, column
from sqlalchemy.dialects import postgresql

from app.core.actors import Actor, Right, Role
from app.core.catalogue import Language
from app.core.filter_sql import compiled
from app.core.filter_words import explained
from app.core.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    OPERATORS,
    Field,
    FieldNotVisible,
    Kind,
    Op,
    Scope,
    needing,
    parse,
)  # fmt: skip
from app.core.problems import InvalidPayload
from app.core.relative_dates import Relative, Unit, relative

TODAY = date(2026, 8, 31)
HQ = Actor("hq", Role.HQ_ADMIN)
FIELDS = {
    field.name: field
    for field in (
        Field("name", Kind.TEXT, lambda _: column("name", Text())),
        Field("status", Kind.CHOICE, lambda _: column("status", Text()), choices=("active", "left")),
        Field("joined_on", Kind.DATE, lambda _: column("joined_on", Date())),
        Field("vehicle.count", Kind.NUMBER, lambda _: column("cars", Integer())),
        Field("visits.paid_12m_fen", Kind.MONEY, lambda _: column("paid", Integer())),
        Field(
            "sms", Kind.BOOL, lambda _: column("sms", Boolean()), labels={Language.ZH: "短信", Language.EN: "messages"}
        ),
        Field(
            "points.available", Kind.NUMBER, lambda _: column("points", Integer()), visible=needing(Right.POINTS_READ)
        ),
    )
}


def where(field: str, op: str, *value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, **({"value": value[0]} if value else {})}


ACTIVE = where("status", "is", "active")


def sql(tree: object) -> str:
    node = parse(tree, FIELDS, HQ)
    condition = compiled(node, Scope(column("id", Uuid()), TODAY))
    return str(condition.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))


def faults(tree: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidPayload) as refused:
        parse(tree, FIELDS, HQ)
    assert refused.value.body(Language.ZH)["errors"]
    return [(error.pointer, error.code) for error in refused.value.errors]


# --- SQL ---


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (ACTIVE, "status = 'active'"),
        (where("status", "is_not", "active"), "(status = 'active') IS NOT true"),
        (where("status", "one_of", ["active", "left"]), "status IN ('active', 'left')"),
        (where("status", "none_of", ["left"]), "(status IN ('left')) IS NOT true"),
        (where("name", "filled"), "name IS NOT NULL"),
        (where("name", "empty"), "(name IS NOT NULL) IS NOT true"),
        (where("name", "starts_with", " 张 "), "(name ~>=~ '张') AND (name ~<~ '张\U0010ffff')"),
        (where("vehicle.count", "more", 1), "cars > 1"),
        (where("vehicle.count", "less", -1), "cars < -1"),
        (where("visits.paid_12m_fen", "at_least", 100), "paid >= 100"),
        (where("joined_on", "at_most", "2026-01-31"), "joined_on <= '2026-01-31'"),
        (where("joined_on", "less", {"months_ago": 6}), "joined_on < '2026-02-28'"),
        (where("joined_on", "is", {"days_ahead": 1}), "joined_on = '2026-09-01'"),
        (
            where("joined_on", "between", ["2026-01-01", {"days_ago": 0}]),
            "joined_on BETWEEN '2026-01-01' AND '2026-08-31'",
        ),
        (where("sms", "is", True), "sms = true"),
        ({"not": ACTIVE}, "(status = 'active') IS NOT true"),
        ({"not": {"not": ACTIVE}}, "((status = 'active') IS NOT true) IS NOT true"),
        (
            {"or": [ACTIVE, {"and": [where("name", "is", "张伟"), where("sms", "is", False)]}]},
            "status = 'active' OR name = '张伟' AND sms = false",
        ),
        (
            {"and": [ACTIVE, {"or": [where("name", "is", "张伟"), where("sms", "is", False)]}]},
            "status = 'active' AND (name = '张伟' OR sms = false)",
        ),
    ],
)
def test_a_filter_is_one_condition(tree: dict[str, Any], expected: str) -> None:
    assert sql(tree) == expected


def test_values_are_bound() -> None:
    node = parse(where("name", "is", "'; DROP TABLE member; --"), FIELDS, HQ)
    statement = compiled(node, Scope(column("id", Uuid()), TODAY)).compile(dialect=postgresql.dialect())
    assert "DROP" not in str(statement)
    assert "'; DROP TABLE member; --" in statement.params.values()


# --- refusals ---


@pytest.mark.parametrize(
    "tree",
    [
        None, 1, "x", [], {}, {"field": "status"}, {"and": 1}, {"field": 1, "op": "is"},
        {"and": [ACTIVE], "or": [ACTIVE]}, {"not": ACTIVE, "x": 1}, ACTIVE | {"x": 1},
    ],
)  # fmt: skip
def test_what_is_no_tree(tree: object) -> None:
    assert faults(tree) == [("/filter", "filter_shape")]


@pytest.mark.parametrize(
    ("tree", "pointer", "code"),
    [
        (where("phone", "is", "1"), "/field", "filter_unknown_field"),
        (where("status", "is like", "x"), "/op", "filter_unknown_operator"),
        (where("status", "starts_with", "act"), "/op", "filter_unknown_operator"),
        (where("status", "is", "gone"), "/value", "filter_choice"),
        (where("status", "is", ["active"]), "/value", "filter_choice"),
        (where("status", "is"), "/value", "missing"),
        (where("status", "filled", True), "/value", "filter_value_unwanted"),
        (where("status", "one_of", "active"), "/value", "filter_list"),
        (where("status", "one_of", []), "/value", "filter_list"),
        (where("status", "one_of", ["active"] * 201), "/value", "filter_list"),
        (where("status", "one_of", ["active", "gone"]), "/value/1", "filter_choice"),
        (where("name", "is", 1), "/value", "filter_text"),
        (where("name", "is", "  "), "/value", "filter_text"),
        (where("name", "is", "a\0"), "/value", "filter_text"),
        (where("name", "is", "x" * 201), "/value", "filter_text"),
        (where("vehicle.count", "is", "2"), "/value", "filter_number"),
        (where("vehicle.count", "is", True), "/value", "filter_number"),
        (where("vehicle.count", "is", 1.5), "/value", "filter_number"),
        (where("vehicle.count", "is", 10**15 + 1), "/value", "filter_number"),
        (where("visits.paid_12m_fen", "is", 0.01), "/value", "filter_money"),
        (where("joined_on", "is", "2026-02-30"), "/value", "filter_date"),
        (where("joined_on", "is", "20260228"), "/value", "filter_date"),
        (where("joined_on", "is", "9999-12-31"), "/value", "filter_date"),
        (where("joined_on", "is", {"days_ago": -1}), "/value", "filter_date"),
        (where("joined_on", "is", {"days_ago": True}), "/value", "filter_date"),
        (where("joined_on", "is", {"weeks_ago": 1}), "/value", "filter_date"),
        (where("joined_on", "is", {"days_ago": 1, "months_ago": 1}), "/value", "filter_date"),
        (where("joined_on", "is", {"months_ago": 1_201}), "/value", "filter_date"),
        (where("joined_on", "between", ["2026-01-01"]), "/value", "filter_list"),
        (where("sms", "is", "true"), "/value", "filter_bool"),
        (where("sms", "at_least", True), "/op", "filter_unknown_operator"),
    ],
)
def test_a_faulty_condition_is_named(tree: dict[str, Any], pointer: str, code: str) -> None:
    assert faults(tree) == [(f"/filter{pointer}", code)]


def test_all_faults_are_named_at_once() -> None:
    tree = {"and": [where("phone", "is", "1"), {"not": {"or": [ACTIVE, where("name", "is", 1)]}}, {"or": []}]}
    assert faults(tree) == [
        ("/filter/and/0/field", "filter_unknown_field"),
        ("/filter/and/1/not/or/1/value", "filter_text"),
        ("/filter/and/2/or", "filter_empty_group"),
    ]


def nested(depth: int) -> dict[str, Any]:
    return ACTIVE if depth == 1 else {"not": nested(depth - 1)}


def test_depth_is_bounded() -> None:
    assert parse(nested(MAX_DEPTH), FIELDS, HQ)
    assert faults(nested(MAX_DEPTH + 1)) == [("/filter" + "/not" * MAX_DEPTH, "filter_too_deep")]


def test_conditions_are_bounded() -> None:
    half = {"or": [ACTIVE] * (MAX_CONDITIONS // 2)}
    assert parse({"and": [half, half]}, FIELDS, HQ)
    assert faults({"and": [half, half, ACTIVE]}) == [("/filter", "filter_too_many")]
    assert faults({"or": [ACTIVE] * (MAX_CONDITIONS + 1)}) == [("/filter/or", "filter_too_many")]


def test_a_field_one_may_not_see() -> None:
    tree = {"or": [ACTIVE, {"not": where("points.available", "at_least", "many")}]}
    reader = Actor("till", Role.API_CLIENT, scopes=frozenset({"members:read"}))
    with pytest.raises(FieldNotVisible) as refused:
        parse(tree, FIELDS, reader)
    assert refused.value.members == {"fields": "points.available"}
    assert faults(tree) == [("/filter/or/1/not/value", "filter_number")]  # headquarters sees the field, and the fault


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["status", "is", "active"]),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(
            st.sampled_from(["and", "or", "not", "field", "op", "value", "days_ago", "x"]), part, max_size=3
        )
    ),
    max_leaves=12,
)


@given(json)
def test_anything_is_read_or_refused(tree: object) -> None:
    try:
        node = parse(tree, FIELDS, HQ)
    except InvalidPayload as refused:
        pointers = [error.pointer for error in refused.errors]
        assert pointers
    else:
        assert sql(tree)
        assert all(explained(node, language) for language in Language)


# --- words ---


@pytest.mark.parametrize(
    ("tree", "zh", "en"),
    [
        (ACTIVE, "会员状态为有效", "status is active"),
        (where("status", "none_of", ["active", "left"]), "会员状态不为有效或已退会", "status is not active or left"),
        (where("joined_on", "is", {"days_ago": 0}), "入会日期为今天", "day of joining is today"),
        (where("name", "contains", "伟"), "姓名含“伟”", "name contains “伟”"),
        (where("name", "starts_with", "张"), "姓名以“张”开头", "name starts with “张”"),
        (where("joined_on", "at_least", {"months_ago": 6}), "入会日期不早于6 个月前",
         "day of joining is not before 6 months ago"),
        (where("joined_on", "between", ["2026-01-01", "2026-01-31"]), "入会日期在2026-01-01至2026-01-31之间",
         "day of joining is between 2026-01-01 and 2026-01-31"),
        (where("visits.paid_12m_fen", "more", 123456), "近 12 个月到店消费大于1,234.56 元",
         "paid for visits in 12 months is more than 1,234.56 yuan"),
        (where("sms", "is", True), "短信为是", "messages is yes"),
        (where("vehicle.count", "empty"), "无现有车辆数", "has no number of cars"),
        ({"and": [ACTIVE, {"or": [where("vehicle.count", "is", 2), where("name", "is", "李")]}, {"not": ACTIVE}]},
         "会员状态为有效 且 (现有车辆数为2 或 姓名为“李”) 且 不符合（会员状态为有效）",
         "status is active and (number of cars is 2 or name is “李”) and not (status is active)"),
    ],
)  # fmt: skip
def test_a_filter_in_words(tree: dict[str, Any], zh: str, en: str) -> None:
    node = parse(tree, FIELDS, HQ)
    assert (explained(node, Language.ZH), explained(node, Language.EN)) == (zh, en)


@pytest.mark.parametrize("kind", Kind)
def test_every_operator_has_its_words(kind: Kind) -> None:
    given = {
        Kind.TEXT: "x",
        Kind.NUMBER: 1,
        Kind.MONEY: 1,
        Kind.DATE: "2026-01-01",
        Kind.BOOL: True,
        Kind.CHOICE: "active",
    }
    field = next(field for field in FIELDS.values() if field.kind is kind)
    for op in OPERATORS[kind]:
        value: Any = [given[kind]] * 2 if op in {Op.ONE_OF, Op.NONE_OF, Op.BETWEEN} else given[kind]
        tree = where(field.name, op) if op in {Op.FILLED, Op.EMPTY} else where(field.name, op, value)
        assert len({explained(parse(tree, FIELDS, HQ), language) for language in Language}) == 2


# --- relative dates ---


@pytest.mark.parametrize(
    ("unit", "steps", "day"),
    [
        ("days_ago", 31, date(2026, 7, 31)),
        ("days_ahead", 1, date(2026, 9, 1)),
        ("months_ago", 6, date(2026, 2, 28)),
        ("months_ago", 8, date(2025, 12, 31)),
        ("months_ahead", 4, date(2026, 12, 31)),
        ("months_ahead", 18, date(2028, 2, 29)),
    ],
)
def test_a_date_by_its_distance(unit: str, steps: int, day: date) -> None:
    assert relative(unit, steps) == Relative(Unit(unit), steps)
    assert Relative(Unit(unit), steps).on(TODAY) == day
