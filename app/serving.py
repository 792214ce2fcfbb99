"""The API as processes: one, or several under a supervisor, on a port that is already open."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from app.core import process
from app.core.protocol import PatientProtocol
from app.settings import Settings

BACKLOG = 2048


def listen(settings: Settings) -> socket.socket:
    """Take the port: who connects before the API is up waits until it answers.

    Raises:
        OSError: it is taken, or not ours to take.
    """
    family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)


def serve(settings: Settings, dsn: str, port: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; requests under way are answered first (10 s)."""
    # worker processes read their settings anew
    newest, *older = (secret.decode() for secret in settings.signing_keys)
    os.environ |= {
        "CLUB_DATABASE_URL": dsn, "CLUB_SECRET": newest, "CLUB_OLD_SECRETS": ",".join(older), "CLUB_SMS": settings.sms,
    }  # fmt: skip
    config = uvicorn.Config(
        "app.main:from_environment", factory=True, workers=settings.workers, loop="uvloop", ws="none",
        http=cast(type[asyncio.Protocol], partial(PatientProtocol, patience=settings.slow_client_seconds)),
        proxy_headers=bool(settings.trusted_proxies), forwarded_allow_ips=list(settings.trusted_proxies),
        backlog=BACKLOG, access_log=False, log_config=None, log_level="warning", server_header=False,
        timeout_graceful_shutdown=10,
        timeout_worker_healthcheck=30,  # on a busy machine a worker needs more than the usual 5 s to come up
    )  # fmt: skip
    with suppress(KeyboardInterrupt), process.undisturbed_end():
        # a server that has ended in good order raises the signal again: as an interrupt it ends here, and all is well
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if settings.workers == 1:
            _Server(config).run([port])
        else:
            _supervise(config, port)


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # a second Ctrl-C would break off what the first one ends in good order
        super().handle_exit(signal.SIGTERM, frame)


def _supervise(config: uvicorn.Config, port: socket.socket) -> None:
    supervisor = _Supervisor(config, [port])
    supervisor.run()
    if any(child.exitcode == uvicorn.config.STARTUP_FAILURE for child in supervisor.processes):
        sys.exit(uvicorn.config.STARTUP_FAILURE)


class _Process(Process):
    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = _Server(self.config)
        return self._server


class _Supervisor(Multiprocess):
    def init_processes(self) -> None:
        self.processes = [_Process(self.config, self.sockets) for _ in range(self.processes_num)]
        with process.deaf_children():
            for child in self.processes:
                child.start()
