"""What docs/ shows of the code: `make docs` writes it (python -m tests.generated), tests say when it has drifted."""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic_core import PydanticUndefined
from starlette.routing import BaseRoute

import app as package
from app.core.actors import PROGRAM_SCOPES, Role
from app.core.catalogue import Language, texts
from app.core.http import Requires
from app.core.problems import Problem
from app.identity.oauth_router import router as oauth
from app.identity.session_router import keys
from app.main import PREFIX, ROUTERS, create_app
from app.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
Row = Iterable[str]
PEOPLE = [role for role in Role if role is not Role.API_CLIENT]


# --- the API ---


def api() -> FastAPI:
    """The app, never started: its document needs no database."""
    return create_app(Settings(secret="only to write documents, never to sign", database_url=None), "")


def openapi() -> str:
    """The OpenAPI document as it is committed."""
    return json.dumps(api().openapi(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


class Access(NamedTuple):
    """A route (its whole path) and who may call it; `requires` is None where nobody is asked for."""

    method: str
    path: str
    operation: str
    requires: Requires | None


def access() -> list[Access]:
    """Every route, by path."""
    found = [entry._replace(path=PREFIX + entry.path) for router in ROUTERS for entry in _routes(router.routes)]
    for routes in (keys.routes, oauth.routes, api().routes):
        found += _routes(routes)
    return sorted(found, key=lambda entry: (entry.path, entry.method))


def _routes(routes: Iterable[BaseRoute]) -> list[Access]:
    return [
        Access(method, route.path_format, route.name, next(_requirements(route.dependant), None))
        for route in routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
    ]


def _requirements(dependant: Dependant) -> Iterator[Requires]:
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Requires):
            yield dependency.call
        yield from _requirements(dependency)


PERMISSIONS = Path(__file__).with_name("permissions.txt")


def _expected() -> dict[str, list[str]]:
    lines = (line.split() for line in PERMISSIONS.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {operation: cells for operation, *cells in lines}


EXPECTED = _expected()
"""What each role, in their order, gets of each operation for its own, another's, and what is not there; or `open`."""
WORDS = {"y": "✓", "yy.": "all", "y..": "own", "-": "", ".": "none"}


def access_table() -> str:
    """Who may call what, and for whose."""
    heads = ["route", "operation", *(role.value.replace("_", " ") for role in PEOPLE)]
    return _table([*heads, "API client with"], (_access_row(entry) for entry in access()))


def _access_row(entry: Access) -> Row:
    start = [f"{entry.method} {entry.path}", f"`{entry.operation}`"]
    if entry.requires is None:
        return [*start, *("anyone" for _ in PEOPLE), "anyone"]
    expected = dict(zip(Role, EXPECTED.get(entry.operation, ["?"] * len(Role)), strict=True))
    return [*start, *(WORDS.get(expected[role], expected[role]) for role in PEOPLE), _scope(entry.requires)]


def _scope(requires: Requires) -> str:
    if not requires.rights:
        return "any scope"
    scopes = " or ".join(f"`{scope}`" for scope in sorted(requires.rights & PROGRAM_SCOPES))
    return f"{scopes} and `{requires.also}`" if scopes and requires.also else scopes


# --- problems ---


def problem_kinds() -> list[type[Problem]]:
    """Every kind of refusal the app defines, by type."""
    for module in pkgutil.walk_packages(package.__path__, "app."):
        importlib.import_module(module.name)
    return sorted((kind for kind in _subclasses(Problem) if hasattr(kind, "type")), key=lambda kind: kind.type)


def _subclasses(kind: type[Problem]) -> Iterator[type[Problem]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def problems_table() -> str:
    """Every problem type with its status and English texts."""
    english = texts(Language.EN)
    rows = {
        kind.type: [f"`{kind.type}`", str(kind.status), english[f"{kind.type}.title"], english[f"{kind.type}.detail"]]
        for kind in problem_kinds()
    }
    return _table(["type", "status", "title", "detail"], rows.values())


# --- settings ---

DEFAULTS = {"data_dir": "the user's data folder; for root `/var/lib/owner-club`"}
"""Defaults that depend on who runs the service."""


def settings_table() -> str:
    """Every environment variable."""
    rows = (
        [f"`CLUB_{name.upper()}`", DEFAULTS.get(name) or _default(field.default), field.description or ""]
        for name, field in Settings.model_fields.items()
    )
    return _table(["variable", "default", "meaning"], rows)


def _default(value: object) -> str:
    return "" if value is None or value is PydanticUndefined else f"`{value}`"


# --- writing ---


def _table(heads: Iterable[str], rows: Iterable[Row]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("  |", " |") for line in lines)


def _within(name: str, table: Callable[[], str]) -> Callable[[], str]:
    """A page as it is, with the table between its two marks made anew."""

    def page() -> str:
        text = (DOCS / name).read_text(encoding="utf-8")
        new, count = re.subn(
            r"(<!-- written by make docs -->\n).*?(<!-- end -->)",
            lambda found: f"{found[1]}\n{table()}\n{found[2]}",
            text,
            flags=re.DOTALL,
        )
        assert count == 1, f"{name} needs one pair of marks"
        return new

    return page


FILES: dict[str, Callable[[], str]] = {
    "openapi.json": openapi,
    "access.md": _within("access.md", access_table),
    "api.md": _within("api.md", problems_table),
    "settings.md": _within("settings.md", settings_table),
}
"""Files in docs/ and how they should read."""


def main() -> None:
    """Write them."""
    for name, text in FILES.items():
        (DOCS / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
