"""The whole OpenAPI document, tried by schemathesis as each role: no undocumented status, no fault of ours."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from app.core.actors import PROGRAM_SCOPES, Reach, Role
from tests import generated
from tests.api import Api, running_api
from tests.shop import Person, Shop

EXAMPLES = 5
"""Of what the document allows, and as many of what it does not, for each operation."""
OPERATIONS = [
    found.ok()
    for found in schemathesis.openapi.from_dict(generated.api().openapi()).get_all_operations()
    if isinstance(found, Ok)
]


@pytest.fixture(scope="module")
async def fuzzed(dsn: str) -> AsyncIterator[Api]:
    """An app of its own with a member in it: what is posted here belongs to nobody else's test."""
    async with running_api(dsn) as api:
        yield api


@pytest.fixture(scope="module")
async def somebody(fuzzed: Api) -> Person:
    return await (await Shop.open(fuzzed)).member(points=1_000)


def callers(api: Api, somebody: Person) -> Iterator[str | None]:
    """A token of each role, and none."""
    yield None
    for role in Role:
        yield api.token(
            role,
            dealer="BJ001" if role.reach is Reach.DEALER else None,
            region="BJ" if role.reach is Reach.REGION else None,
            member=somebody.id if role.reach is Reach.SELF else None,
            scopes=" ".join(PROGRAM_SCOPES) if role is Role.API_CLIENT else "",
        )


def cases(operation: Any) -> "list[Case[Any]]":
    """Examples of an operation, the same in every run."""
    drawn: list[Case[Any]] = []
    for mode in GenerationMode:

        @settings(
            max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def draw(case: "Case[Any]") -> None:
            drawn.append(case)

        # an operation without parameters has nothing that could be wrong with it
        with suppress(Unsatisfiable):
            draw()
    assert drawn
    return drawn


def sendable(case: "Case[Any]") -> dict[str, Any]:
    """A case as httpx takes it, without a token: that is ours."""
    sent = case.as_transport_kwargs(base_url="http://club.test")
    sent["headers"] = {name: value for name, value in sent["headers"].items() if name != "Authorization"}
    if isinstance(sent.get("data"), bytes | str):
        sent["content"] = sent.pop("data")
    del sent["cookies"]
    return sent


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
async def test_every_answer_is_documented(fuzzed: Api, somebody: Person, operation: Any) -> None:
    for number, case in enumerate(cases(operation)):
        if number % 2 and "member_id" in case.path_parameters:
            case.path_parameters["member_id"] = str(somebody.id)
        for token in callers(fuzzed, somebody):
            answer = await fuzzed.request(**sendable(case), token=token)
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)
