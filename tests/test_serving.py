"""`club serve`: it comes up, it shares the embedded server, and it leaves nothing behind however it is ended."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

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


# --- raw connections ---


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """A running service with little patience and a small limit, behind a proxy at 127.0.0.1."""
    port = free_port()
    settings = {"slow_client_seconds": 1, "rate_address": "1000/hour", "trusted_proxies": "127.0.0.1"}
    with started("serve", data_dir=folder, port=port, log_format="json", **settings) as process:
        said: list[str] = []
        assert process.stdout is not None
        listener = Thread(target=said.extend, args=(process.stdout,))
        listener.start()  # a full pipe would stop it
        wait_until_healthy(process, port)
        yield port
        process.terminate()
        listener.join(30)
    # what it said of all this has no address in it, and no trace of a fault
    lines = [json.loads(line) for line in said]
    assert lines
    assert "203.0.113" not in "".join(said)
    assert [line for line in lines if line["level"] not in {"info", "warning"}] == []


def talk(port: int, *pieces: bytes, pause: float = 0.0, patience: float = 10.0) -> bytes:
    """All that the service says to these pieces until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        said = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while some := connection.recv(65_536):
                said += some
        except ConnectionError:
            pass  # closed while we still spoke
        return said


def statuses(said: bytes) -> list[int]:
    """The answers in what was said."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


def request(*headers: bytes, body: bytes = b"", line: bytes = b"POST /api/v1/sign-in HTTP/1.1") -> bytes:
    """A request's bytes."""
    head = (line, b"Host: club.test", b"Content-Type: application/json", *headers)
    return b"\r\n".join((*head, b"", body))


CLOSE = b"Connection: close"
SMUGGLED = b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: club.test\r\n\r\n"


def test_a_raw_request_is_answered(port: int):
    said = talk(port, request(CLOSE, b"Content-Length: 2", body=b"{}"))
    assert statuses(said) == [422]
    assert b"application/problem+json" in said
    chunked = talk(port, request(CLOSE, b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"))
    assert statuses(chunked) == [422]


@pytest.mark.parametrize("sent", [
    request(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=SMUGGLED),
    request(b"Transfer-Encoding: chunked", b"Content-Length: 6", body=SMUGGLED),
    request(b"Content-Length: 2", b"Content-Length: 2", body=b"{}"),
    request(b"Content-Length: 2", b"Content-Length: 40", body=b"{}"),
    request(b"Content-Length: 2, 2", body=b"{}"),
    request(b"Content-Length: -2", body=b"{}"),
    request(b"Content-Length: +2", body=b"{}"),
    request(b"Content-Length: 0x2", body=b"{}"),
    request(b"Content-Length: 2_0", body=b"{}"),
    request(b"Content-Length: 99999999999999999999999", body=b"{}"),
    request(b"Content-Length : 2", body=b"{}"),
    request(b"Transfer-Encoding: xchunked", body=SMUGGLED),
    request(b"Transfer-Encoding: chunked, identity", body=SMUGGLED),
    request(b"Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"),
    request(b"Transfer-Encoding: chunked", body=b"2 \r\n{}\r\n0\r\n\r\n"),
    request(b"X: a\r\n folded", body=b"{}"),
    request(b"X: a\0b", body=b"{}"),
    request(b"X: a\rContent-Length: 2", body=b"{}"),
    request(b"Content-Length: 2", body=b"{}").replace(b"\r\n", b"\n"),
    request(line=b"POST /api/v1/sign-in HTTP/9.9"),
    request(line=b"GARBAGE"),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
])  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(port: int, sent: bytes):
    said = talk(port, sent)
    assert statuses(said) == [400]
    assert b'"/problems/malformed-request"' in said


def test_nothing_is_served_after_a_refusal(port: int):
    good = request(b"Content-Length: 2", body=b"{}")
    bad = request(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=SMUGGLED)
    assert 200 not in statuses(talk(port, good + bad))
    # the first answer is waited for: the refusal is the second's
    assert statuses(talk(port, good, bad, pause=0.3)) in ([422, 400], [422])


def test_an_endless_head_is_refused(port: int):
    said = talk(port, b"GET /health HTTP/1.1\r\n", *[b"X: " + b"a" * 8_000 + b"\r\n"] * 100, pause=0.001)
    assert statuses(said) in ([431], [])
    # a large one that is whole is heard
    assert statuses(talk(port, request(CLOSE, b"X: " + b"a" * 30_000, line=b"GET /health HTTP/1.1"))) == [200]


CHUNKED = request(b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n")


@pytest.mark.parametrize(("start", "flood"), [
    (b"0\r\n", b"a:b\r\n" * 1_600),
    (b"0\r\na:", b"b" * 8_000),
    (b"", b"1;" + b"x" * 8_000 + b"\r\n \r\n"),
])  # fmt: skip
def test_what_comes_around_a_body_has_an_end(port: int, start: bytes, flood: bytes):
    taken = 0
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, suppress(ConnectionError):
        connection.sendall(CHUNKED + start)
        for _ in range(600):
            connection.sendall(flood)
            taken += len(flood)
            time.sleep(0.002)
    # what lies in the kernel's buffers nobody has read
    assert taken < 2_000_000


def test_trailers_are_nobodys_headers(port: int):
    trailers = request(
        CLOSE,
        b"Transfer-Encoding: chunked",
        body=b"2\r\n{}\r\n0\r\nContent-Type: text/plain\r\nX-Forwarded-For: 1\r\n\r\n",
    )
    assert statuses(talk(port, trailers)) == [422]


def test_a_body_in_the_smallest_pieces_is_read(port: int):
    body = b"{" + b" " * 40_000 + b"}"
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    said = talk(
        port,
        request(CLOSE, b"Transfer-Encoding: chunked"),
        *(pieces[n : n + 8_000] for n in range(0, len(pieces), 8_000)),
    )
    assert statuses(said) == [422]


@pytest.mark.parametrize(
    ("pieces", "answered"),
    [
        ([], []),
        ([b"GET /health HT"], [408]),
        ([b"GET /health HTTP/1.1\r\nHost: club.test\r\n"], [408]),
        ([request(b"Content-Length: 20", body=b"{")], [408]),
        ([request(b"Transfer-Encoding: chunked", body=b"2\r\n{")], [408]),
        # answered already: what is sent so slowly now is no request
        ([request(b"Content-Length: 20", line=b"GET /health HTTP/1.1", body=b"{")], [200]),
    ],
)
def test_who_does_not_go_on_is_not_waited_for(port: int, pieces: list[bytes], answered: list[int]):
    started_at = time.monotonic()
    said = talk(port, *pieces)
    assert statuses(said) == answered
    assert 0.9 < time.monotonic() - started_at < 6
    assert (b'"/problems/request-timeout"' in said) == (answered == [408])


@pytest.mark.parametrize("start", [b"GET /health HTTP/1.1\r\n", request(b"Content-Length: 500", body=b"{")])
def test_nor_who_goes_on_by_drops(port: int, start: bytes):
    drop = b"X: a\r\n" if start.startswith(b"GET") else b" "
    began = time.monotonic()
    said = talk(port, start, *[drop] * 60, pause=0.1)
    assert statuses(said) in ([408], [])
    assert time.monotonic() - began < 8


def test_who_does_not_read_is_let_go(port: int):
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.settimeout(1)
        ask = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: club.test\r\n\r\n"
        deaf.sendall(ask * 20)
        time.sleep(5)
        # what lies in the kernel's buffers can still be read; then it is over
        got = 0
        with suppress(ConnectionError):
            while some := deaf.recv(65_536):
                got += len(some)
    assert 0 < got < 20 * 1_000_000


def test_the_clients_address_is_the_trusted_proxys_word(port: int):
    def status_for(*forwarded: bytes, line: bytes = b"GET /api/v1/me HTTP/1.1") -> int:
        headers = [b"X-Forwarded-For: " + address for address in forwarded]
        return statuses(talk(port, request(CLOSE, *headers, line=line)))[0]

    several = b"".join(request(b"X-Forwarded-For: 203.0.113.9", line=b"GET /nothing HTTP/1.1") for _ in range(1_000))
    last = request(CLOSE, b"X-Forwarded-For: 203.0.113.9", line=b"GET /nothing HTTP/1.1")
    assert statuses(talk(port, several + last))[-1] == 429
    # a client that adds an address of its own is still known by what the proxy saw
    assert status_for(b"198.51.100.1, 203.0.113.9") == 429
    assert status_for(b"198.51.100.1", b"203.0.113.9") == 429
    assert status_for(b"203.0.113.10") == 401


def test_an_upgrade_is_not_followed(port: int):
    said = talk(port, request(CLOSE, b"Upgrade: websocket", line=b"GET /health HTTP/1.1"))
    assert statuses(said) in ([200], [400])


def test_no_proxy_is_trusted_unasked(folder: Path):
    free = free_port()
    with started("serve", data_dir=folder, port=free, rate_address="3/hour") as process:
        wait_until_healthy(process, free)
        seen = [
            statuses(talk(free, request(CLOSE, b"X-Forwarded-For: 203.0.113.%d" % n, line=b"GET / HTTP/1.1")))[0]
            for n in range(4)
        ]
        process.terminate()
        assert process.wait(30) == 0
    assert seen[-1] == 429
