"""Every route, every role, for what is its own, foreign or absent: permissions.txt says what is expected."""

from collections.abc import AsyncIterator

import pytest

from app.core.actors import Role
from tests.api import running_api
from tests.generated import EXPECTED, Access
from tests.permissions import Whose, World, guarded, written


@pytest.fixture(scope="module")
async def world(dsn: str) -> AsyncIterator[World]:
    async with running_api(dsn) as api:
        yield await World.made(api)


def test_every_route_has_its_line() -> None:
    assert sorted(EXPECTED) == sorted(entry.operation for entry in guarded())


@pytest.mark.parametrize("entry", guarded(), ids=lambda entry: entry.operation)
async def test_the_service_keeps_to_the_line(world: World, entry: Access) -> None:
    found = {role: "".join([await world.outcome(entry, role, whose) for whose in Whose]) for role in Role}
    assert written(entry.operation, found) == written(entry.operation, EXPECTED.get(entry.operation, {}))
