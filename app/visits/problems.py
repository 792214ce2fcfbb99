"""What visits can refuse."""

from app.core.problems import Problem


class UnknownFormat(Problem):
    """The upload is neither CSV nor JSON lines."""

    status, type = 415, "unknown-format"


class OrderRefused(Problem):
    """A single repair order was refused; `reason` says why."""

    status, type = 422, "order-refused"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)


class OrderConflict(Problem):
    """The document is known with other content."""

    status, type = 409, "order-conflict"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
