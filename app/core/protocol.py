"""The HTTP connections: patience that ends, heads that are not endless, and refusals of what is not HTTP."""

import asyncio
from typing import Any

import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.core.catalogue import Language
from app.core.problems import HeadersTooLarge, MalformedRequest, Problem, RequestTimeout

MOST_HEAD_BYTES = 64 * 1024
LEAST_BODY_BYTES_PER_SECOND = 512
MOST_FRAMING = 8
"""Bytes of chunk sizes a byte of body: the smallest chunk, of one byte, has five."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which waits for a request for ever, with an end to it.

    A head must arrive within `patience` (seconds), a body within that and its size at 512 bytes a second, unless we
    are the ones who do not read it; an answer must be taken, piece by piece, within `patience`. One timer a connection
    looks after all that, four times in that span: a request costs nothing but the notes it compares. What comes around
    the body, chunk extensions and trailers, is read by nobody, is not kept, and may be no longer than a head.

    httptools refuses what is ambiguous, such as Content-Length beside Transfer-Encoding.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        patience: float,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.patience = patience
        self.arriving_since: float | None = None
        """When the request under way began to arrive; None between requests."""
        self.received = 0
        """Of it, bytes after its first piece."""
        self.of_body = 0
        """Of it, bytes of the body itself."""
        self.in_head = True
        """Whether the head of the request under way, or of the next one, has not come to its end."""
        self.has_spoken = False
        self.answered: RequestResponseCycle | None = None
        self.unsent = (0, 0.0)
        """Bytes of answers that the client has not taken, and since when they have not become fewer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Also: begin to be impatient."""
        super().connection_made(transport)
        self.arriving_since = self.loop.time()
        self.watch = self.loop.call_later(self.patience / 4, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Also: stop looking; and tell the request being answered: uvicorn tells the last one, if several wait."""
        self.watch.cancel()
        if self.answered is not None:
            self.answered.disconnected = True
            self.answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Also: count."""
        self.has_spoken = True
        self.received += len(data)
        super().data_received(data)
        if self._is_bloated() and not self.transport.is_closing():
            self._refuse(HeadersTooLarge())

    def _is_bloated(self) -> bool:
        if self.in_head:
            return self.received > MOST_HEAD_BYTES
        return self.received - self.of_body > MOST_HEAD_BYTES + MOST_FRAMING * self.of_body

    def on_message_begin(self) -> None:
        """Also: a request begins to arrive."""
        super().on_message_begin()
        self.arriving_since, self.received, self.of_body, self.in_head = self.loop.time(), 0, 0, True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Only of the head: uvicorn would append trailers to it, without end."""
        if self.in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Also: its head is there."""
        self.in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Also: count."""
        self.of_body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Also: all of it is there."""
        self.arriving_since, self.received, self.of_body, self.in_head = None, 0, 0, True
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.answered = cycle
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP is refused with a problem."""
        self._refuse(MalformedRequest())

    def _look(self) -> None:
        now = self.loop.time()
        self.watch = self.loop.call_later(self.patience / 4, self._look)
        if self._is_stuck(now):
            self.transport.abort()
        elif self.arriving_since is not None and self._is_late(now, self.arriving_since):
            self._refuse(RequestTimeout())

    def _is_late(self, now: float, since: float) -> bool:
        if self.flow.read_paused:
            self.arriving_since = now - self.of_body / LEAST_BODY_BYTES_PER_SECOND
            return False
        allowed = 0 if self.in_head else self.of_body / LEAST_BODY_BYTES_PER_SECOND
        return now - since > self.patience + allowed

    def _is_stuck(self, now: float) -> bool:
        waiting = self.transport.get_write_buffer_size()
        before, since = self.unsent
        if waiting == 0 or waiting < before or before == 0:
            since = now
        self.unsent = (waiting, since)
        return now - since > self.patience

    def _refuse(self, problem: Problem) -> None:
        """Close; with a word, where none of the answers before can be mistaken for it."""
        if self.has_spoken and self._may_answer() and not self.transport.is_closing():
            body = orjson.dumps(problem.body(Language.ZH))
            head = [
                STATUS_LINE[problem.status].rstrip(),
                b"content-type: application/problem+json",
                b"content-language: zh",
                b"content-length: %d" % len(body),
                b"connection: close",
            ]
            self.transport.write(b"\r\n".join([*head, b"", body]))
        self.transport.close()

    def _may_answer(self) -> bool:
        if self.in_head:
            return self.cycle is None or self.cycle.response_complete
        return not self.cycle.response_started and not self.pipeline
