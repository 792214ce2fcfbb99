"""What the permission table asks for: two dealers with one of everything, and what a request for it needs to be served.

What a request uses up is made anew for it, so that nobody's answer depends on who asked before. Each domain's module
says it of its own operations, by their ids; what an operation does not need has no entry:

    FRESH     how what it uses up is made, of the target's dealer
    BODIES    what it is sent to be served
    FILES     the same where it is no JSON
    VERSIONS  where the version stands that its If-Match has to name
    LISTS     what its list shows of a target to whom it is shown
"""

from typing import Any

import httpx

from tests.asking import events
from tests.asking.base import NOWHERE, Bodies, Body, Files, Fresh, Lists, Phones, Target, Versions, World, serials
from tests.asking.openly import OPENLY
from tests.asking.world import DOMAINS, open_world

__all__ = [
    "BODIES", "FILES", "FRESH", "LISTS", "NOWHERE", "OPENLY", "VERSIONS", "Phones", "Target", "World", "content_of",
    "open_world", "problem_of", "serials", "version",
]  # fmt: skip


def _of_all_domains(table: str) -> dict[str, Any]:
    entries = [entry for domain in DOMAINS for entry in getattr(domain, table, {}).items()]
    assert len(dict(entries)) == len(entries), f"an operation has two entries in {table}"
    return dict(entries)


FRESH: Fresh = _of_all_domains("FRESH")
BODIES: Bodies = _of_all_domains("BODIES")
FILES: Files = _of_all_domains("FILES")
VERSIONS: Versions = _of_all_domains("VERSIONS")
LISTS: Lists = _of_all_domains("LISTS")


async def version(world: World, operation: str, parameters: dict[str, str]) -> str:
    """The ETag that an operation on an existing record has to name."""
    if operation not in VERSIONS:
        return '"1"' if operation in events.NEW else '"0"'
    path = VERSIONS[operation].format(**parameters)
    return str((await world.api.call("GET", path, world.shop.hq)).headers["ETag"])


def content_of(operation: str, body: Body, method: str) -> Body:
    """A body as httpx takes it."""
    if operation in FILES:
        return dict(FILES[operation])
    return {"json": body} if method in {"POST", "PUT", "PATCH"} else {}


def problem_of(answer: httpx.Response) -> str:
    """The type of a refusal, empty for none."""
    return str(answer.json()["type"]) if answer.status_code >= 400 else ""
