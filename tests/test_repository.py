"""What holds of the repository as a whole: dependencies, files, pages, and a schema that is the models'."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy import CheckConstraint, Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from app.core.db import engine_options
from tests import generated

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
NOT_OURS = {"node_modules", ".git", ".venv", "__pycache__", "dist"}
PAGES = ("api.md", "settings.md")

# --- dependencies ---


def _pins(lock: str) -> dict[str, str]:
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", ""))
    pins = {}
    for entry in filter(str.strip, entries):
        found = re.match(r"([a-z0-9.-]+)==(\S+)", entry)
        assert found, entry
        assert "--hash=sha256:" in entry, entry
        pins[found[1]] = found[2]
    return pins


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host(lock: str) -> None:
    content = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in content
    assert not re.search(r"^(-|#.*(index|find-links))", content, flags=re.MULTILINE)


def test_locks_pin_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    asked = {
        LOCKS[0]: [
            *project["project"]["dependencies"],
            *(entry for extra in project["project"]["optional-dependencies"].values() for entry in extra),
        ],
        LOCKS[1]: [entry for group in groups.values() for entry in group if isinstance(entry, str)],
    }
    for lock, lines in asked.items():
        pins = _pins(lock)
        for requirement in map(Requirement, lines):
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier, f"{requirement}: `make lock`"


def test_locks_agree() -> None:
    service, tools = map(_pins, LOCKS)
    assert {name: tools[name] for name in service.keys() & tools} == {
        name: service[name] for name in service.keys() & tools
    }


# --- files ---


def _texts() -> Iterator[tuple[Path, str]]:
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts[:-1])
        if hidden or NOT_OURS & set(parts) or not path.is_file() or path.suffix in {".gz", ".pyc"}:
            continue
        yield path, path.read_text(encoding="utf-8")


def test_no_file_names_a_machine() -> None:
    personal = re.compile(r"/(?:work|root|Users)/\w|/home/\w|/tmp/try\b")
    named = [
        f"{path.relative_to(ROOT)}: {found[0]}" for path, content in _texts() if (found := personal.search(content))
    ]
    assert [name for name in named if not name.startswith("tests/test_repository.py")] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_codes(name: str) -> None:
    page = (generated.DOCS / name).read_text(encoding="utf-8")
    assert page == generated.FILES[name](), f"docs/{name} has drifted: `make docs` writes it"


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    lost = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not _leads_somewhere(page.parent / target if target else page, anchor.removeprefix("#"))
    ]
    assert lost == []


def test_pages_name_refusals_as_they_are() -> None:
    statuses = {kind.type: str(kind.status) for kind in generated.problem_kinds()}
    named = [
        (page.name, status, kind)
        for page in (ROOT / "docs").glob("*.md")
        for status, kind in re.findall(r"\b([45]\d\d) `([a-z-]+)`", page.read_text(encoding="utf-8"))
    ]
    assert named
    assert [entry for entry in named if statuses.get(entry[2]) != entry[1]] == []


def _leads_somewhere(target: Path, anchor: str) -> bool:
    if not target.exists() or not anchor:
        return target.exists()
    heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


# --- schema ---


async def test_migrations_make_the_models_tables(dsn: str) -> None:
    generated.problem_kinds()  # imports every module, and so every table
    engine = create_async_engine("postgresql+asyncpg://", **engine_options(dsn, role=None))
    try:
        async with engine.connect() as connection:
            differences = await connection.run_sync(_differences)
            checks = await connection.run_sync(_checks)
    finally:
        await engine.dispose()
    assert differences == []
    assert checks == {
        (table.name, constraint.name)
        for table in SQLModel.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    if kind == "table":
        return name in SQLModel.metadata.tables
    return kind != "schema" or name is None


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"include_name": _is_ours, "compare_type": True})
    return list(compare_metadata(context, SQLModel.metadata))


def _checks(connection: Connection) -> set[tuple[str, str]]:
    rows = connection.execute(
        text(
            "SELECT relname, conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
            " WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
        )
    )
    return {(table, name) for table, name in rows if table in SQLModel.metadata.tables}
