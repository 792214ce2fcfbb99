"""Calls to others: one HTTP client for each process, and work that an answer does not wait for."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import httpx

log = logging.getLogger("club.outbound")


def client(timeout_seconds: float) -> httpx.AsyncClient:
    """A client that gives up after so long and follows no redirect."""
    # its log lines quote whole URLs, and with them secrets and phone numbers
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.AsyncClient(timeout=timeout_seconds, follow_redirects=False)


class Detached:
    """Work that goes on after the answer, so that how long it takes tells the caller nothing."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin; a failure is logged by its kind, since its text may quote personal data."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("detached work failed: %s", type(error).__name__)

    async def finish(self) -> None:
        """Wait for what is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)
