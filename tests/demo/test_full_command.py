"""--full: every command takes it, and works on a database of its own beside the usual one."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
import typer

from app import cli, demo
from app.cli import opening
from tests.command import Command, invoke, surround
from tests.conftest import execute, with_database

NAME = f"club_test_{uuid4().hex[:12]}"


@pytest.fixture
def command(dsn: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs a command on the module's server, where the full-size network's database has a name of its own."""
    monkeypatch.setattr(opening, "FULL_DATABASE", NAME)
    surround(monkeypatch, dsn, tmp_path / "data")
    yield invoke
    execute(dsn, f'DROP DATABASE IF EXISTS "{NAME}" WITH (FORCE)')


def test_every_command_takes_it():
    def leaves(group: typer.Typer) -> list[list[str]]:
        names = [[info.name or (info.callback and info.callback.__name__) or ""] for info in group.registered_commands]
        for inner in group.registered_groups:
            assert inner.typer_instance is not None
            names += [[inner.name or "", *rest] for rest in leaves(inner.typer_instance)]
        return names

    found = leaves(cli.app)
    assert ["report", "network"] in found
    assert ["verify"] in found
    for path in found:
        words = [word.replace("_", "-") for word in path]
        if words == ["import-file"]:
            words = ["import"]
        told = invoke(*words, "--help")
        assert (told.exit_code, "--full" in told.output) == (0, True), (words, told.output)


def test_without_its_database_it_says_how_to_make_it(command: Command):
    result = command("verify", "--full")
    assert result.exit_code == 1
    assert "run `club demo --full --no-serve`" in result.output


def test_it_is_made_beside_the_usual_one_and_forgotten_with_the_command(command: Command, dsn: str):
    assert command("migrate", "--full").exit_code == 0
    for words in (("verify", "--full", "--json"), ("verify", "--json")):
        result = command(*words)
        assert (result.exit_code, json.loads(result.stdout)["ok"]) == (0, True), result.output
    # the next command without it is on the usual database again
    execute(dsn, f'DROP DATABASE "{NAME}" WITH (FORCE)')
    assert command("totals", "--json").exit_code == 0
    assert command("totals", "--full", "--json").exit_code == 1


def test_the_demonstration_builds_the_full_network_there(command: Command, dsn: str, monkeypatch: pytest.MonkeyPatch):
    built: list[str] = []

    async def run_full(at: str, *_: object) -> None:
        built.append(at)

    monkeypatch.setattr(demo, "run_full", run_full)
    result = command("demo", "--full", "--no-serve")
    assert result.exit_code == 0, result.output
    assert built == [with_database(dsn, NAME)]
    assert "invariants hold" in result.output
