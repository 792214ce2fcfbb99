"""What each role gets of each route for what is its own, another's, and not there at all: asked of the running API.

`python -m tests.permissions` asks anew and writes tests/permissions.txt: read the difference before you believe it.
"""

import asyncio
from collections.abc import Mapping
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

import httpx

from app.core import embedded
from app.core.actors import PROGRAM_SCOPES, RIGHTS, Role
from app.core.http import Requires
from tests import asking, generated
from tests.api import running_api
from tests.asking import NOWHERE, Target, World, open_world
from tests.conftest import fresh_database, migrated_template
from tests.generated import Access


class Whose(IntEnum):
    """Whose a route's target is, for a caller of BJ001, its region, or its member."""

    OWN = 0
    FOREIGN = 1
    ABSENT = 2


NOT_THERE = {"not_your_dealer", "unknown_dealer", "unknown_region", "unknown_place"}
"""Faults of a body that names a place which there is not, or not for the caller."""


async def cell(world: World, entry: Access, role: Role) -> str:
    """What a role gets of a guarded route: a letter for each target, see `outcome`."""
    return "".join([await outcome(world, entry, role, whose) for whose in Whose])


async def outcome(world: World, entry: Access, role: Role, whose: Whose) -> str:
    """`y`: served, `-`: never (403), `.`: as if it were not there. Any other answer is a fault of the table or the app.

    A list serves who is shown the target in it.
    """
    target = await _target(world, entry, role, whose)
    answer = await ask(world, entry, role, target)
    if answer.status_code == 403 and asking.problem_of(answer) == "/problems/forbidden":
        return "-"
    if _is_missing(answer):
        return "."
    assert answer.is_success, (entry.operation, role, whose, answer.status_code, answer.text)
    shows = asking.LISTS.get(entry.operation)
    return "y" if shows is None or shows(target) in answer.text else "."


async def _target(world: World, entry: Access, role: Role, whose: Whose) -> Target:
    target = (world.own, world.foreign, NOWHERE)[whose]
    make = asking.FRESH.get(entry.operation)
    # who is refused anyway uses nothing up
    if make is None or whose is Whose.ABSENT or not may(entry.requires, role):
        return target
    return await make(world, target, role)


async def ask(world: World, entry: Access, role: Role, target: Target) -> httpx.Response:
    """A role's request for a target; a member asks for its own, or as the member of BJ001."""
    parameters = target.parameters(entry.operation)
    member = target.member if target.dealer == world.own.dealer else world.own.member
    body = asking.BODIES.get(entry.operation, lambda _: {})(target)
    is_there = target is not NOWHERE or "{" not in entry.path
    version = await asking.version(world, entry.operation, parameters) if is_there else '"0"'
    sent = asking.content_of(entry.operation, body, entry.method)
    headers = sent.pop("headers", {}) | {"If-Match": version, "Idempotency-Key": f"asked-{next(asking.serials)}"}
    params = {"limit": "200"} if entry.operation in asking.LISTS else {}
    return await world.api.request(
        entry.method, entry.path.format(**parameters), token=world.token(role, member), headers=headers, params=params,
        **sent,
    )  # fmt: skip


def _is_missing(answer: httpx.Response) -> bool:
    if answer.status_code == 422 and "errors" not in answer.json():
        return asking.problem_of(answer) == "/problems/order-refused"  # of a dealer that there is not
    if answer.status_code == 422:
        return bool(NOT_THERE & {error["code"] for error in answer.json()["errors"]})
    if answer.status_code == 409:
        return asking.problem_of(answer) == "/problems/list-not-ours"  # sealed for another's device
    return answer.status_code == 404 and asking.problem_of(answer) == "/problems/not-found"


def may(requires: Requires | None, role: Role) -> bool:
    """Whether a role has the rights a route asks for, a program with all its scopes."""
    assert requires is not None
    granted = PROGRAM_SCOPES if role is Role.API_CLIENT else RIGHTS[role]
    return (not requires.rights or bool(requires.rights & granted)) and requires.also in {None, *granted}


async def open_status(world: World, entry: Access) -> int:
    """What an open route answers who sends no token."""
    sent = await asking.OPENLY[entry.operation](world) if entry.operation in asking.OPENLY else {}
    return (await world.api.request(entry.method, entry.path, token=None, headers={}, **sent)).status_code


async def line(world: World, entry: Access) -> str:
    """A route's line of the table. Roles ask in an order that differs from route to route: it must not matter."""
    if entry.requires is None:
        return f"{entry.operation:<32} open {await open_status(world, entry)}"
    found = {role: await cell(world, entry, role) for role in _in_some_order(entry.operation)}
    return written(entry.operation, found)


def _in_some_order(operation: str) -> list[Role]:
    return sorted(Role, key=lambda role: sha256(f"{operation} {role}".encode()).digest())


def written(operation: str, found: Mapping[Role, str]) -> str:
    """An operation's line of the table; a role that gets the same for all three has it once."""
    cells = (found[role] for role in Role)
    short = (cell[0] if len(set(cell)) == 1 else cell for cell in cells)
    return " ".join([f"{operation:<32}", *(f"{cell:<3}" for cell in short)]).rstrip()


# --- writing the table ---

HEAD = """\
# What each role gets of each route for its own, another's, and what is not there: y served, - never (403), . as if it
# were not there (404). One letter where all three are alike. Columns: the roles in the order of app/core/actors.py.
# `open` routes ask for no token; beside it the status of one good request, or of one that sends nothing.
# Written by `python -m tests.permissions` from the running service; tests/test_permissions.py holds the service to it.
"""


async def _table(server: str) -> str:
    async with (
        migrated_template(server) as template, fresh_database(server, template) as dsn, running_api(dsn) as api,
    ):  # fmt: skip
        world = await open_world(api)
        lines = [await line(world, entry) for entry in generated.access()]
    return HEAD + "".join(f"{one}\n" for one in sorted(lines))


def main() -> None:
    """Ask, and write the table."""
    with embedded.server(Path(gettempdir()) / "owner-club-permissions") as dsn:
        table = asyncio.run(_table(dsn))
    generated.PERMISSIONS.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
