"""The service as users run it: `club serve` in a process of its own, one worker."""

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from app.core.vault import fresh_key
from bench.figures import BenchError

ROOT = Path(__file__).parents[1]
_START_LIMIT_SECONDS = 60
UNLIMITED = "1000000000/minute"
"""All requests are counted as ever, but the load is one caller's."""
DATA_KEY = fresh_key()
"""Of this run: its databases end with it."""


class Service:
    """A running service."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, secret: str) -> None:
        self.process = process
        self.port = port
        self.secret = secret

    def resident_mib(self) -> float:
        """What the process, which is its own only worker, keeps in memory now."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20


@contextmanager
def running(dsn: str) -> Iterator[Service]:
    """The service over a database for as long as the block lasts."""
    port, secret = _free_port(), secrets.token_hex(32)
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        cwd=ROOT,
        env=environment(dsn, port, secret),
        stdout=subprocess.DEVNULL,
    )
    try:
        _await_health(process, port)
        yield Service(process, port, secret)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment(dsn: str, port: int = 8000, secret: str = "never used: nothing is signed here") -> dict[str, str]:
    """What a `club` command of the run gets: nothing of the caller's own settings but these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CLUB_")}
    ours = {"DATABASE_URL": dsn, "PORT": str(port), "SECRET": secret, "WORKERS": "1", "DATA_KEYS": DATA_KEY}
    ours |= dict.fromkeys(("RATE_ACCOUNT", "RATE_CLIENT", "RATE_WRONG_CODES"), UNLIMITED)
    return plain | {f"CLUB_{name}": value for name, value in ours.items()}


@contextmanager
def watched_memory(service: Service) -> Iterator[list[float]]:
    """Collects the service's resident size (MiB), twice a second."""
    seen, over = [service.resident_mib()], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            seen.append(service.resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_LIMIT_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"`club serve` ended with {process.returncode} instead of serving")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise BenchError(f"the service was not ready in {_START_LIMIT_SECONDS} s")
