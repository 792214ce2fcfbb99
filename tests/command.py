"""The `club` command: run within this process, or as a user starts it, in a data folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from typer.testing import CliRunner

from app import cli
from tests.api import DATA_KEY

CLUB = str(Path(sys.executable).with_name("club"))
PATIENCE = 60
"""Seconds, for a busy machine."""

Result = Any  # click's, which typer keeps to itself
Command = Callable[..., Result]


def surround(monkeypatch: pytest.MonkeyPatch, dsn: str, data_dir: Path) -> None:
    """Set what a command within this process finds: a database, a data folder, the tests' data key, no secret."""
    monkeypatch.setenv("CLUB_DATABASE_URL", dsn)
    monkeypatch.setenv("CLUB_DATA_DIR", str(data_dir))
    monkeypatch.setenv("CLUB_DATA_KEYS", DATA_KEY)
    monkeypatch.delenv("CLUB_SECRET", raising=False)


def invoke(*arguments: object, typed: str = "") -> Result:
    """Run a command within this process."""
    return CliRunner().invoke(cli.app, list(map(str, arguments)), input=typed)


@contextmanager
def data_folder() -> Iterator[Path]:
    """A new data folder, in a place that root's server user may enter too."""
    parent = Path(tempfile.mkdtemp(prefix="club-"))
    parent.chmod(0o711)
    try:
        yield parent / "data"
    finally:
        for process in processes_of(parent):
            process.kill()
        shutil.rmtree(parent)


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def environment(**settings: object) -> dict[str, str]:
    """The surroundings of a command: none of our own CLUB_ settings, but these."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CLUB_")}
    return ours | {f"CLUB_{name.upper()}": str(value) for name, value in settings.items()}


def club(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [CLUB, *arguments], env=environment(**settings), capture_output=True, text=True, check=False, timeout=PATIENCE
    )


@contextmanager
def started(*arguments: str, **settings: object) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on, in a process group of its own as a terminal would have it."""
    process = subprocess.Popen(
        [CLUB, *arguments], env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def read_to(output: IO[str] | None, start: str) -> str:
    """What a command says, up to the line that starts so."""
    assert output is not None
    said = ""
    for line in output:
        said += line
        if line.startswith(start):
            return said
    raise AssertionError(said)


def wait_until_healthy(process: subprocess.Popen[str], port: int) -> None:
    """Wait until the command's API answers."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as answer:
                assert answer.status == 200
                return
        except OSError:
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < end, "the API does not come up"
            time.sleep(0.1)


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes that were started with a data folder: the server of it, and whoever has it in the environment."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if any(str(folder) in word for word in told):
            found.append(process)
    return found
