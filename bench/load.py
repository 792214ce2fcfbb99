"""Load on the service, light enough not to be what is measured: raw connections, requests built beforehand.

A process of its own (`python -m bench.load`): the order comes as JSON on stdin, the result goes as JSON to stdout.
"""

import asyncio
import gc
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import NamedTuple, cast

import uvloop

from app.core.clock import system_clock
from app.rewards.codes import Codes
from bench.databases import DEALER, WALLETS, wallet

WARM_UP_SECONDS = 1.0
_PREPARED_PER_SECOND = 5_000
"""Requests built before the clock runs; what goes beyond is built under way."""


class What(StrEnum):
    """What is asked of the service."""

    EARN = "earn"
    REDEEM = "redeem"
    REDEEM_CODE = "redeem_code"


@dataclass(frozen=True, slots=True)
class Order:
    """One measurement."""

    what: What
    port: int
    token: str
    secret: str
    """The service's: the members' codes are made from it, as their apps would."""
    salt: str
    """Tells this measurement's keys and causes from all others."""
    first_wallet: int
    connections: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of it."""

    per_second: float
    answered: int
    """All that were accepted, with those before and after the counted time."""


class Answer(NamedTuple):
    """One answer of the service."""

    status: int
    body: bytes


class Answers:
    """Cuts a connection's bytes into answers; of the head only the status and Content-Length are read."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Answer]:
        """The answers that are complete with these bytes."""
        data = self._rest + data
        while (head := data.find(b"\r\n\r\n")) >= 0:
            at = data.lower().index(b"\r\ncontent-length:", 0, head) + len(b"\r\ncontent-length:")
            end = head + 4 + int(data[at : data.index(b"\r\n", at)])
            if len(data) < end:
                break
            yield Answer(int(data[9:12]), data[head + 4 : end])
            data = data[end:]
        self._rest = data


class Load:
    """The requests still to be sent, and how many were accepted."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.accepted = 0
        self.over = False
        self.fault: str | None = None

    def fail(self, fault: str) -> None:
        """End the measurement; the first fault is told."""
        self.fault, self.over = self.fault or fault, True


class Connection(asyncio.Protocol):
    """Sends a request as soon as the one before is answered."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.answers = Answers()
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(next(self.load.requests))

    def data_received(self, data: bytes) -> None:
        for answer in self.answers.feed(data):
            if answer.status != 201:
                self.load.fail(f"the service answered {answer.status}: {answer.body.decode(errors='replace')}")
            else:
                self.load.accepted += 1
            if self.load.over:
                self.transport.close()
            else:
                self.transport.write(next(self.load.requests))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.load.over:
            self.load.fail(f"the service closed a connection: {exc}")
        self.closed.set_result(None)


async def apply(order: Order, requests: Iterator[bytes]) -> Result:
    """Keep all connections busy; count what is accepted after the warm-up.

    Raises:
        SystemExit: an answer was not 201, or a connection was lost.
    """
    load = Load(requests)
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: Connection(load), "127.0.0.1", order.port))[1]
        for _ in range(order.connections)
    ]
    await asyncio.sleep(WARM_UP_SECONDS)
    began, before = loop.time(), load.accepted
    await asyncio.sleep(order.seconds)
    counted, elapsed = load.accepted - before, loop.time() - began
    load.over = True
    await asyncio.gather(*(connection.closed for connection in connections))
    if load.fault:
        sys.exit(load.fault)
    return Result(counted / elapsed, load.accepted)


def prepared(order: Order) -> Iterator[bytes]:
    """The order's requests, the first of them built already."""
    build = _earnings(order) if order.what is What.EARN else _redemptions(order)
    requests = (build(number) for number in itertools.count())
    ready = list(itertools.islice(requests, int(_PREPARED_PER_SECOND * (WARM_UP_SECONDS + order.seconds))))
    return itertools.chain(ready, requests)


def _earnings(order: Order) -> Callable[[int], bytes]:
    def build(number: int) -> bytes:
        member = wallet((order.first_wallet + number) % WALLETS)
        cause = f'{{"type": "bench", "key": "{order.salt}/{number}"}}'
        body = f'{{"member_id": "{member}", "points": 100, "funder": "HQ", "place": "{DEALER}", "cause": {cause}}}'
        return _request(order, "/points/earnings", number, body)

    return build


def _redemptions(order: Order) -> Callable[[int], bytes]:
    codes = Codes(order.secret.encode())

    def build(number: int) -> bytes:
        member = wallet((order.first_wallet + number) % WALLETS)
        # staff redeem at their own dealer with the member's code; a program names the dealer
        proof = (
            f'"code": "{codes.current(member, system_clock())[0]}"'
            if order.what is What.REDEEM_CODE
            else f'"dealer_code": "{DEALER}"'
        )
        body = f'{{"member_id": "{member}", "points": 20, "order_no": "{order.salt}/{number}", {proof}}}'
        return _request(order, "/redemptions", number, body)

    return build


def _request(order: Order, path: str, number: int, body: str) -> bytes:
    return (
        f"POST /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{order.port}\r\nAuthorization: Bearer {order.token}\r\n"
        f"Idempotency-Key: {order.salt}/{number}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def main() -> None:
    """Carry out the order on stdin."""
    given = json.load(sys.stdin)
    order = Order(**given | {"what": What(given["what"])})
    requests = prepared(order)
    gc.disable()
    json.dump(asdict(uvloop.run(apply(order, requests))), sys.stdout)


if __name__ == "__main__":
    main()
