"""Errors a caller can act on, as RFC 9457 problems. `type` and `code` are stable; texts come from the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from app.core.catalogue import Language, text


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a payload: where (JSON pointer), which (stable code), and the figures its text needs."""

    pointer: str
    code: str
    context: dict[str, object]


class Problem(Exception):
    """A refusal with a stable type. Keyword arguments become extension members of the answer."""

    status: ClassVar[int]
    type: ClassVar[str]

    def __init__(self, *, errors: Sequence[FieldError] = (), **members: object) -> None:
        super().__init__(self.type)
        self.errors = errors
        self.members = members

    def __str__(self) -> str:
        return f"{self.type}: {text(Language.EN, f'{self.type}.detail', self.members)}"

    def body(self, language: Language) -> dict[str, object]:
        """The problem document in a language, without what only the edge knows (instance, request id)."""
        document: dict[str, object] = {
            "type": f"/problems/{self.type}",
            "title": text(language, f"{self.type}.title", self.members),
            "status": self.status,
            "detail": text(language, f"{self.type}.detail", self.members),
            **{name: value for name, value in self.members.items() if value is not None},
        }
        if self.errors:
            document["errors"] = [
                {"pointer": e.pointer, "code": e.code, "detail": text(language, f"field.{e.code}", e.context)}
                for e in self.errors
            ]
        return document


class InvalidPayload(Problem):
    """The payload is well-formed but breaks the schema or a rule; `errors` name each fault."""

    status, type = 422, "invalid-payload"

    @classmethod
    def at(cls, pointer: str, code: str, **context: object) -> "InvalidPayload":
        """One fault at one place."""
        return cls(errors=[FieldError(pointer, code, context)])


class MalformedBody(Problem):
    """The body is not what its media type promises."""

    status, type = 400, "malformed-body"


class Unauthenticated(Problem):
    """No token, or one that is not good (any more)."""

    status, type = 401, "unauthenticated"


class Forbidden(Problem):
    """The actor's role may never do this."""

    status, type = 403, "forbidden"


class NotFound(Problem):
    """There is no such thing, or it is not the actor's to see."""

    status, type = 404, "not-found"

    def __init__(self, what: str) -> None:
        super().__init__(what=what)


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status, type = 405, "method-not-allowed"


class KeyConflict(Problem):
    """The Idempotency-Key was used before with other content."""

    status, type = 409, "idempotency-key-conflict"


class WrongStatus(Problem):
    """The record's status does not allow this; `allowed` are those that would."""

    status, type = 409, "wrong-status"

    def __init__(self, *, current: str, allowed: Sequence[str]) -> None:
        # read from the database it is a plain text; of its kind it has words in the catalogue
        kinds = {type(one) for one in allowed if isinstance(one, StrEnum)}
        named = next((kind(current) for kind in kinds if current in set(kind)), current)
        super().__init__(current=named, allowed=list(allowed))


class PreconditionFailed(Problem):
    """Somebody else changed the record since it was read."""

    status, type = 412, "precondition-failed"


class PayloadTooLarge(Problem):
    """The body exceeds the limit."""

    status, type = 413, "payload-too-large"


class NestedTooDeeply(Problem):
    """The body's arrays and objects lie in one another beyond the limit."""

    status, type = 400, "nested-too-deeply"


class MalformedRequest(Problem):
    """What came is not HTTP, or not unambiguously; the connection is closed."""

    status, type = 400, "malformed-request"


class RequestTimeout(Problem):
    """The request did not arrive in time; the connection is closed."""

    status, type = 408, "request-timeout"


class UnsupportedMediaType(Problem):
    """The route does not take this Content-Type; `accepted` are those it does."""

    status, type = 415, "unsupported-media-type"

    def __init__(self, *, accepted: Sequence[str]) -> None:
        super().__init__(accepted=list(accepted))


class TooManyRequests(Problem):
    """The caller's share of requests is used up for now."""

    status, type = 429, "too-many-requests"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)


class HeadersTooLarge(Problem):
    """The request's line and headers exceed the limit; the connection is closed."""

    status, type = 431, "headers-too-large"


class SmsUnavailable(Problem):
    """No message can be sent now."""

    status, type = 503, "sms-unavailable"


class Unexpected(Problem):
    """Our fault; the log has it under the request id."""

    status, type = 500, "unexpected"
