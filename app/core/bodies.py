"""What a request may send: the media type its route declares, not too much of it, and not nested too deeply."""

import re
from itertools import accumulate
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from app.core.problems import NestedTooDeeply, PayloadTooLarge, Problem, UnsupportedMediaType

MOST_DEPTH = 32
_JSON = "application/json"
_OURS = frozenset({_JSON, "application/x-www-form-urlencoded", "multipart/form-data"})
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())


class BodyRefused(HTTPException):
    """A problem found while the body is read: an HTTPException, since FastAPI's reader lets only those pass."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)
        self.problem = problem


class Bodies:
    """Guards the bodies of requests as their routes read them. Uploads, of other media types, guard their own."""

    def __init__(self, most_mib: int) -> None:
        self.most_mib = most_mib
        self._kinds: dict[Any, frozenset[str]] = {}

    def guarded(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` for a request; called, it raises BodyRefused for what the request's route does not take."""
        return _Guarded(self, scope, receive)

    def kinds_of(self, route: Any) -> frozenset[str]:
        """The media types a route declares; none when it declares none."""
        endpoint = getattr(route, "endpoint", None)
        if (known := self._kinds.get(endpoint)) is None:
            declared = set((getattr(route, "openapi_extra", None) or {}).get("requestBody", {}).get("content", ()))
            if (field := getattr(route, "body_field", None)) is not None:
                declared.add(field.field_info.media_type)
            known = self._kinds[endpoint] = frozenset(declared)
        return known


class _Guarded:
    __slots__ = ("bodies", "depth_matters", "is_upload", "receive", "scope", "seen")

    def __init__(self, bodies: Bodies, scope: Scope, receive: Receive) -> None:
        self.bodies = bodies
        self.scope = scope
        self.receive = receive
        self.seen: bytearray | None = None

    async def __call__(self) -> Message:
        if self.seen is None:
            # only now: whose body it is shows when it is read
            self.seen = bytearray()
            self._read_head()
        message = await self.receive()
        if not self.is_upload:
            self._read(message)
        return message

    def _read_head(self) -> None:
        headers = Headers(scope=self.scope)
        length = headers.get("content-length", "0")
        kind, _, parameters = headers.get("content-type", "").partition(";")
        kind = kind.strip().lower()
        accepted = self.bodies.kinds_of(self.scope.get("route"))
        self.is_upload = not accepted <= _OURS
        self.depth_matters = kind == _JSON
        if self.is_upload or (length == "0" and "transfer-encoding" not in headers):
            return
        foreign = kind == _JSON and not _is_utf8(parameters)
        if accepted and (foreign or kind not in accepted):
            raise BodyRefused(UnsupportedMediaType(accepted=sorted(accepted)))
        if int(length) > self.bodies.most_mib << 20:
            raise BodyRefused(PayloadTooLarge(limit_mib=self.bodies.most_mib))

    def _read(self, message: Message) -> None:
        assert self.seen is not None
        self.seen += message.get("body", b"")
        if len(self.seen) > self.bodies.most_mib << 20:
            raise BodyRefused(PayloadTooLarge(limit_mib=self.bodies.most_mib))
        if self.depth_matters and not message.get("more_body", False) and depth_of(self.seen) > MOST_DEPTH:
            raise BodyRefused(NestedTooDeeply(limit=MOST_DEPTH))


def _is_utf8(parameters: str) -> bool:
    name, _, value = parameters.strip().lower().partition("=")
    return not name or (name == "charset" and value.strip('"') in {"utf-8", "utf8"})


def depth_of(document: bytes | bytearray) -> int:
    """How deeply a JSON text nests, or something not above MOST_DEPTH where it has too few brackets to matter.

    Linear in time whatever is sent: an unclosed string counts as one.
    """
    if document.count(b"[") + document.count(b"{") <= MOST_DEPTH:
        return 0
    brackets = _STRING.sub(b"", document).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
