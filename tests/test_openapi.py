"""The API's document: committed, and telling of every answer."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests import generated

DOCUMENT: dict[str, Any] = generated.api().openapi()
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
LONGEST_ID = 32
WITHOUT_BODY = {"204", "302", "303", "307"}


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _under_version() -> list[tuple[str, dict[str, Any]]]:
    return [
        (operation["operationId"], operation) for path, _, operation in _operations() if path.startswith("/api/v1/")
    ]


def test_the_committed_document_is_the_apps() -> None:
    committed = (generated.DOCS / "openapi.json").read_text(encoding="utf-8")
    assert committed == generated.openapi(), "docs/openapi.json has drifted: `make docs` writes it"


def test_operation_ids_are_unique_and_short() -> None:
    ids = [operation["operationId"] for _, _, operation in _operations()]
    assert sorted(set(ids)) == sorted(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name) or len(name) > LONGEST_ID] == []


@pytest.mark.parametrize(("name", "operation"), _under_version(), ids=lambda value: value if type(value) is str else "")
def test_an_operation_documents_its_problems(name: str, operation: dict[str, Any]) -> None:
    refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
    assert "500" in refusals
    assert {"400", "422"} <= refusals.keys() or "requestBody" not in operation
    assert "422" in refusals or "parameters" not in operation
    assert {"401", "403"} <= refusals.keys() or "security" not in operation
    for status, answer in refusals.items():
        assert answer["content"] == PROBLEM, status
        assert re.fullmatch(r"`[a-z-]+`(, `[a-z-]+`)*", answer["description"]), status


@pytest.mark.parametrize(("name", "operation"), _under_version(), ids=lambda value: value if type(value) is str else "")
def test_an_operation_says_what_it_does_and_answers(name: str, operation: dict[str, Any]) -> None:
    assert operation["description"]
    assert operation["tags"]
    answers = {status: answer for status, answer in operation["responses"].items() if status < "400"}
    assert answers
    assert all(answer.get("content") for status, answer in answers.items() if status not in WITHOUT_BODY)


def test_documented_problems_exist() -> None:
    known = {(str(kind.status), kind.type) for kind in generated.problem_kinds()}
    documented = {
        (status, problem)
        for _, operation in _under_version()
        for status, answer in operation["responses"].items()
        if status >= "400"
        for problem in re.findall(r"`([a-z-]+)`", answer["description"])
    }
    assert documented <= known


def test_every_reference_leads_somewhere() -> None:
    found = re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', generated.openapi())
    assert set(found) <= DOCUMENT["components"]["schemas"].keys()
