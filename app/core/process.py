"""How every process of the service begins, and how it ends undisturbed."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from threading import Thread

from app.core import logs


def begin(log_format: logs.Format = "console") -> None:
    """Log to stderr, keep the heap calm, and end when the process that made this one is gone."""
    logs.install(log_format)
    settle_heap()
    # killed, a parent stops nobody: its children would keep the port and the database for ever
    if (parent := multiprocessing.parent_process()) is not None:
        Thread(target=_follow, args=(parent,), name="follow the parent", daemon=True).start()


def settle_heap() -> None:
    """Take what start-up has made for lasting, and look for garbage rarely.

    The usual collections took a quarter of an import's time, and five times the longest wait of a request.
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Start children that a terminal's Ctrl-C passes by as long as they do not ask for it: the parent ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def undisturbed_end() -> Iterator[None]:
    """See that what follows the block, the process's end, is not cut short: it would leave other processes behind."""
    try:
        yield
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)
