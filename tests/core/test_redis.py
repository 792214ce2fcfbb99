"""Requests counted in Redis, for several processes together: against a server that speaks its protocol."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha1
from importlib.resources import files
from typing import cast

import pytest
from limits.aio.storage import RedisStorage
from pydantic import SecretStr

from app.core.actors import Actor, Role
from app.core.problems import TooManyRequests
from app.core.rates import Rates
from app.settings import Settings
from tests.api import SETTINGS
from tests.standin import closed_port

COUNTING = files("limits").joinpath("resources/redis/lua_scripts/incr_expire.lua").read_text()
"""The one script that counting in fixed windows needs: INCRBY, then EXPIRE when it was the first."""


class Server:
    """As much of Redis as is asked of it, in RESP2; it can be made to forget its scripts, and to fall silent."""

    def __init__(self) -> None:
        self.values: dict[bytes, tuple[int, float]] = {}
        self.scripts: set[str] = set()
        self.asked: list[str] = []
        self.is_silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        while head := await reader.readline():
            words = [await self._word(reader) for _ in range(int(head[1:]))]
            self.asked.append(words[0].decode().upper())
            if not self.is_silent:
                writer.write(self._answer(self.asked[-1], words[1:]))
                await writer.drain()
        writer.close()

    async def _word(self, reader: asyncio.StreamReader) -> bytes:
        length = int((await reader.readline())[1:])
        return (await reader.readexactly(length + 2))[:-2]

    def _answer(self, command: str, words: list[bytes]) -> bytes:
        match command:
            case "EVALSHA":
                return self._count(*words)
            case "SCRIPT":
                assert words == [b"LOAD", COUNTING.encode()]
                self.scripts.add(sha1(words[1]).hexdigest())
                return b"$40\r\n%s\r\n" % sha1(words[1]).hexdigest().encode()
            case "TTL":
                return b":%d\r\n" % math.ceil(self._live(words[0])[1] - time.time())
            case "GET":
                count = str(self._live(words[0])[0]).encode()
                return b"$%d\r\n%s\r\n" % (len(count), count)
            case _:
                return b"+OK\r\n"

    def _count(self, script: bytes, keys: bytes, key: bytes, seconds: bytes, amount: bytes) -> bytes:
        if script.decode() not in self.scripts:
            return b"-NOSCRIPT No matching script. Please use EVAL.\r\n"
        assert keys == b"1"
        count, ends = self._live(key)
        self.values[key] = count + int(amount), ends or time.time() + int(seconds)
        return b":%d\r\n" % (count + int(amount))

    def _live(self, key: bytes) -> tuple[int, float]:
        count, ends = self.values.get(key, (0, 0.0))
        return (count, ends) if ends > time.time() else (0, 0.0)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Server, str]]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield server, f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
    finally:
        listener.close()


@asynccontextmanager
async def counting(url: str) -> AsyncIterator[Rates]:
    """One process's limits: three requests an hour."""
    rates = Rates(SETTINGS.model_copy(update={"limits_storage": SecretStr(url), "rate_account": "3/hour"}))
    try:
        yield rates
    finally:
        storage = cast(RedisStorage, rates._limiter.storage)
        await storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]


SOMEBODY = Actor("one", Role.AUDITOR)


async def test_processes_count_together():
    async with listening() as (server, url), counting(url) as here, counting(url) as there:
        for rates in (here, there, here):
            await rates.count(SOMEBODY, "-")
        with pytest.raises(TooManyRequests) as refused:
            await there.count(SOMEBODY, "-")
        assert 3_590 < refused.value.members["retry_after_seconds"] <= 3_600  # type: ignore[operator]
        # others have a window of their own, and one that ended begins anew
        await there.count(Actor("two", Role.AUDITOR), "-")
        server.values.clear()
        await there.count(SOMEBODY, "-")


async def test_a_restarted_server_is_told_the_script_again():
    async with listening() as (server, url), counting(url) as rates:
        await rates.count(SOMEBODY, "-")
        server.scripts.clear()
        await rates.count(SOMEBODY, "-")
        assert server.asked.count("SCRIPT") == 2
        assert [count for count, _ in server.values.values()] == [2]


async def test_one_that_is_gone_refuses_nobody(caplog: pytest.LogCaptureFixture):
    async with counting(closed_port().replace("http", "redis")) as rates:
        began = time.monotonic()
        for _ in range(5):
            await rates.count(SOMEBODY, "-")
        assert time.monotonic() - began < 2
    assert "limits are not kept: ConnectionError" in caplog.text


async def test_nor_one_that_is_silent(caplog: pytest.LogCaptureFixture):
    async with listening() as (server, url), counting(url) as rates:
        server.is_silent = True
        began = time.monotonic()
        await rates.count(SOMEBODY, "-")
        assert time.monotonic() - began < 2
    assert "limits are not kept: TimeoutError" in caplog.text


def test_the_address_is_a_setting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLUB_LIMITS_STORAGE", "redis://:tXq7@redis.example:6379/0")
    settings = Settings()
    assert settings.limits_storage is not None
    assert "tXq7" not in repr(settings)
