"""Where the work under way comes from: a request, an operator's command, or the service itself."""

import getpass
import os
from collections.abc import MutableMapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from app.core.clock import system_clock


class Origin:
    """Work that the service does by itself."""

    __slots__ = ()

    operator: str | None = None
    request_id: str | None = None

    @property
    def address(self) -> str | None:
        """The network address it was asked from."""
        return None

    @property
    def operation(self) -> str | None:
        """The name of what was asked: a route's operation id, or a command."""
        return None

    def now(self) -> datetime:
        """The present, by the clock that this work goes by."""
        return system_clock()


class Requested(Origin):
    """A request. It is on every posting's way, so that all else is found out when somebody asks."""

    __slots__ = ("_scope", "request_id")

    def __init__(self, scope: MutableMapping[str, Any], request_id: str) -> None:
        self._scope, self.request_id = scope, request_id

    @property
    def address(self) -> str | None:
        """The client's, as the server takes it to be."""
        client = self._scope.get("client")
        return str(client[0]) if client else None

    @property
    def operation(self) -> str | None:
        """The route's operation id; None before one is found."""
        return getattr(self._scope.get("route"), "name", None)

    def now(self) -> datetime:
        """By the app's clock."""
        now: datetime = self._scope["app"].state.clock()
        return now


class Commanded(Origin):
    """An operator's `club` command; `operator` is the system's user."""

    __slots__ = ("_command", "operator")

    def __init__(self, command: str) -> None:
        self._command, self.operator = command, _system_user()

    @property
    def operation(self) -> str | None:
        """The command as it is typed."""
        return f"club {self._command}"


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        # a container may run as a number without a name
        return f"uid {os.getuid()}"


origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 (it has no state)
"""Of the work under way."""
