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


class OrderTooLarge(Problem):
    """More was paid than one order of a dealer's may be; headquarters can send it."""

    status, type = 422, "order-too-large"

    def __init__(self, *, limit_fen: int) -> None:
        super().__init__(limit_fen=limit_fen)


class TooManyImports(Problem):
    """The sender's earlier uploads have not been worked off."""

    status, type = 429, "too-many-imports"

    def __init__(self, *, limit: int, limit_mib: int) -> None:
        super().__init__(limit=limit, limit_mib=limit_mib)


class OrderConflict(Problem):
    """The document is known with other content."""

    status, type = 409, "order-conflict"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)


class DeliveryConflict(Problem):
    """The car's delivery is known with other content."""

    status, type = 409, "delivery-conflict"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)


class NotAMiss(Problem):
    """The car's owner joined, or is no individual: there is nothing to close or correct."""

    status, type = 409, "not-a-miss"


class MonthOver(Problem):
    """The month has ended: its plan stays what it was."""

    status, type = 409, "month-over"
