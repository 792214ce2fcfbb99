"""What users read stands in both languages, and nothing is missing when a refusal is written."""

import ast
import re
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic_core._pydantic_core import list_all_errors

import app
from app.core.catalogue import Language, text, texts, yuan
from app.core.problems import Problem, WrongStatus
from app.events.rules import EventStatus
from tests import generated

ZH, EN = texts(Language.ZH), texts(Language.EN)
OTHER_SECTIONS = {
    "field", "warning", "sms", "export", "filter", "timeline", "import-fault", "import-right", "unreadable",
    "unreadable-row", "trigger", "rule_field", "signal", "event_notice", "event_draft",
    "event_file", "event_kind", "event_class", "event_status", "registration_status", "lot_status",
    "perk_claim_status",
}  # fmt: skip


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys() -> None:
    assert ZH.keys() == EN.keys()


@pytest.mark.parametrize("key", sorted(ZH.keys() & EN.keys()))
def test_both_languages_name_the_same_figures(key: str) -> None:
    assert _placeholders(ZH[key]) == _placeholders(EN[key])
    assert re.search(r"[\u4e00-\u9fff]", ZH[key])
    assert not re.search(r"[\u4e00-\u9fff]", EN[key]) or key == "sms.redemption"


@pytest.mark.parametrize("kind", generated.problem_kinds(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_a_problem_has_its_texts(kind: type[Problem]) -> None:
    assert {f"{kind.type}.title", f"{kind.type}.detail"} <= EN.keys()
    assert 400 <= kind.status < 600
    assert kind.__doc__


def test_one_type_is_one_problem() -> None:
    """A client that knows a type knows its status, wherever it meets it."""
    kinds = generated.problem_kinds()
    assert len({kind.type for kind in kinds}) == len({(kind.type, kind.status) for kind in kinds})


def test_moments_statuses_and_money_are_said_as_people_say_them() -> None:
    moment = {"opens_at": datetime(2026, 12, 1, 22, 30, 31, tzinfo=UTC)}
    assert text(Language.ZH, "check-in-not-open.detail", moment) == "签到自 2026-12-02 06:30 开始。"
    assert "2026-12-02 06:30 (China)" in text(Language.EN, "check-in-not-open.detail", moment)
    assert yuan(-123_456_05) == "-123,456.05"
    figures = {"limit_fen": 2_000_000, "limit_points": 5, "needed_fen": 2_000_001, "needed_points": 0}
    off = WrongStatus(current="proposed", allowed=[EventStatus.DRAFT]).body(Language.ZH)
    assert (off["current"], off["detail"]) == ("proposed", "当前状态为“待审批”，不能执行此操作。")
    assert "20,000.01 元" in text(Language.ZH, "beyond-region-limit.detail", figures)


def test_no_text_is_left_over() -> None:
    sections = {key.partition(".")[0] for key in EN}
    assert sections - OTHER_SECTIONS == {kind.type for kind in generated.problem_kinds()}


def test_field_codes_are_pydantics_or_ours() -> None:
    codes = {key.removeprefix("field.") for key in EN if key.startswith("field.")}
    pydantics = {error["type"] for error in list_all_errors()}
    assert codes - pydantics <= _words_in_code()


def test_texts_of_pydantics_codes_name_its_figures() -> None:
    for error in list_all_errors():
        said = EN.get(f"field.{error['type']}", "")
        assert _placeholders(said) <= {"message", *(error.get("example_context") or {})}, error["type"]


def _words_in_code() -> set[str]:
    return {
        node.value
        for file in Path(app.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
