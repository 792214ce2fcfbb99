"""`club serve`: it comes up, it shares the embedded server, and it leaves nothing behind however it is ended."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import club, data_folder, free_port, processes_of, started, wait_until_healthy


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


@pytest.mark.parametrize(("workers", "signum", "to", "times"), [
    (1, signal.SIGINT, "group", 1),
    (1, signal.SIGINT, "group", 3),
    (2, signal.SIGINT, "group", 3),
    (2, signal.SIGTERM, "parent", 1),
    (1, signal.SIGTERM, "parent", 1),
])  # fmt: skip
def test_every_end_is_clean(folder: Path, workers: int, signum: signal.Signals, to: str, times: int):
    port = free_port()
    with started("serve", data_dir=folder, port=port, workers=workers) as process:
        wait_until_healthy(process, port)
        for _ in range(times):
            (os.killpg if to == "group" else os.kill)(process.pid, signum)
            time.sleep(0.1)
            if process.poll() is not None:
                break
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
    assert processes_of(folder) == []


def test_other_commands_share_its_server(folder: Path):
    port = free_port()
    with started("serve", data_dir=folder, port=port) as process:
        wait_until_healthy(process, port)
        totals = club("totals", "--json", data_dir=folder)
        assert (totals.returncode, totals.stderr) == (0, "")
        wait_until_healthy(process, port)
        process.terminate()
        assert process.wait(30) == 0


def test_a_killed_supervisor_takes_its_workers_along_and_the_next_start_heals(folder: Path):
    port = free_port()
    with started("serve", data_dir=folder, port=port, workers=2) as process:
        wait_until_healthy(process, port)
        process.kill()
        process.wait()
    end = time.monotonic() + 30
    while any("postgres" not in process.name() for process in processes_of(folder)):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert processes_of(folder) != []  # the server: it is used, and stopped, by the next

    with started("serve", data_dir=folder, port=port) as process:
        wait_until_healthy(process, port)
        process.terminate()
        assert process.wait(30) == 0
    assert processes_of(folder) == []


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_taken_port_is_said_at_once(folder: Path, command: str):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = club(command, data_dir=folder, port=port)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"club: port {port} on 127.0.0.1 cannot be used (Address already in use): set CLUB_PORT to another\n"
    )
