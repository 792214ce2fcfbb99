"""SQL in every text that the OpenAPI document lets in: refused or kept as text, and never more rows than without."""

from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest

from app.core.actors import Role
from tests import asking, generated
from tests.api import running_api
from tests.asking import Target, World, open_world
from tests.generated import Access
from tests.permissions import may

HOSTILE = ("' OR '1'='1' --", "'; DROP TABLE member; --", '" OR ""="', "1) UNION SELECT 1 --", "\0", "%", "_")
CALLERS = (Role.CARE_DIRECTOR, Role.SERVICE_ADVISOR, Role.FINANCE_CLERK, Role.MEMBER, Role.HQ_ADMIN, Role.API_CLIENT)
"""Who sends it: the first of them who may. Those come first to whom most is foreign."""
DOCUMENT: dict[str, Any] = generated.api().openapi()
Schema = dict[str, Any]


class Place(NamedTuple):
    """Where a text goes: in the path, the query, a header, or at this way into the body."""

    kind: str
    way: tuple[str, ...]


def places(entry: Access) -> list[Place]:
    """Every place of an operation that takes text, and every parameter of whatever type."""
    operation = DOCUMENT["paths"][entry.path][entry.method.lower()]
    found = [Place(parameter["in"], (parameter["name"],)) for parameter in operation.get("parameters", ())]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if kind in {"application/json", "application/x-www-form-urlencoded"}:
            found += [Place("body", way) for way in _texts(content["schema"], ())]
    return [place for place in found if place.kind != "cookie"]


def _texts(schema: Schema, way: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "string":
        yield way
    for kind in schema.get("anyOf", ()):
        yield from _texts(kind, way)
    for name, inner in schema.get("properties", {}).items():
        yield from _texts(inner, (*way, name))


ENTRIES = [entry for entry in generated.access() if places(entry)]


@pytest.fixture(scope="module")
async def world(dsn: str) -> AsyncIterator[World]:
    async with running_api(dsn) as api:
        yield await open_world(api)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.operation)
async def test_it_is_only_text(world: World, entry: Access) -> None:
    role = next((role for role in CALLERS if entry.requires is not None and may(entry.requires, role)), None)
    plain = await _send(world, entry, role, await _fresh(world, entry, role), None, "")
    for place in places(entry):
        for text in HOSTILE:
            if place.kind == "header" and text == "\0":
                continue  # no server would hand it on
            target = await _fresh(world, entry, role) if place.kind == "body" else world.own
            answer = await _send(world, entry, role, target, place, text)
            assert answer.status_code < 500, (place, text, answer.text)
            # an order may have been recorded under such a number
            assert answer.is_error or place.kind != "path" or text in answer.json().values(), (place, text)
            assert _rows(answer) <= max(_rows(plain), 1), (place, text)
            assert not _shows_foreign(world, entry, role, answer), (place, text)


async def test_all_is_there_as_before(world: World) -> None:
    for target in (world.own, world.foreign):
        answer = await world.api.call("GET", f"/members/{target.member.id}", world.shop.hq)
        assert answer.json()["member_no"] == target.member.member_no


async def _fresh(world: World, entry: Access, role: Role | None) -> Target:
    make = asking.FRESH.get(entry.operation)
    return world.own if make is None or role is None else await make(world, world.own, role)


async def _send(
    world: World, entry: Access, role: Role | None, target: Target, place: Place | None, text: str
) -> httpx.Response:
    """A request as it should be, but for the text at this place."""
    kind, way = place or Place("", ("",))
    path = {name: quote(value, safe="") for name, value in target.parameters(entry.operation).items()}
    path |= {way[0]: quote(text, safe="")} if kind == "path" else {}
    body = deepcopy(asking.BODIES.get(entry.operation, lambda _: {})(target))
    if kind == "body":
        _put(body, way, text)
    sent = asking.content_of(entry.operation, body, entry.method)
    if entry.operation == "programs_token":
        sent = {"data": {"grant_type": "client_credentials"} | body}
    headers = {"If-Match": '"0"', "Idempotency-Key": f"asked-{next(asking.serials)}"} | sent.pop("headers", {})
    return await world.api.request(
        entry.method, entry.path.format(**path), token=world.token(role, target.member) if role else None,
        headers=headers | ({way[0]: text} if kind == "header" else {}),
        params={way[0]: text} if kind == "query" else None, **sent,
    )  # fmt: skip


def _put(body: dict[str, Any], way: tuple[str, ...], text: str) -> None:
    for name in way[:-1]:
        body = body.setdefault(name, {})
    body[way[-1]] = text


def _rows(answer: httpx.Response) -> int:
    if answer.is_error or not answer.content or "json" not in answer.headers["Content-Type"]:
        return 0
    content = answer.json()
    return len(content if isinstance(content, list) else content.get("items", [content]))


def _shows_foreign(world: World, entry: Access, role: Role | None, answer: httpx.Response) -> bool:
    shows = asking.LISTS.get(entry.operation)
    is_limited = role is not None and (role.is_dealer_staff or role is Role.MEMBER)
    return is_limited and shows is not None and shows(world.foreign) in answer.text
