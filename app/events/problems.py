"""What events can refuse."""

from datetime import datetime

from app.core.problems import Problem


class EventNotBegun(Problem):
    """An event that has not begun cannot have taken place."""

    status, type = 409, "event-not-begun"

    def __init__(self, *, starts_at: datetime) -> None:
        super().__init__(starts_at=starts_at)


class RegistrationOver(Problem):
    """The time to register is over: nobody could."""

    status, type = 409, "registration-over"

    def __init__(self, *, closed_at: datetime) -> None:
        super().__init__(closed_at=closed_at)


class EventInThePast(Problem):
    """An event is planned for the future."""

    status, type = 409, "event-in-the-past"

    def __init__(self, *, starts_at: datetime) -> None:
        super().__init__(starts_at=starts_at)


class BudgetExceeded(Problem):
    """The approval goes beyond what is left of the year's budget; the figures say by how much."""

    status, type = 409, "budget-exceeded"

    def __init__(
        self, *, year: int, needed_fen: int, left_fen: int, needed_points: int, left_points: int
    ) -> None:  # fmt: skip
        super().__init__(
            year=year, needed_fen=needed_fen, left_fen=left_fen, needed_points=needed_points, left_points=left_points
        )


class BeyondLimit(Problem):
    """The region grants so much and no more: this is headquarters' to approve."""

    status, type = 409, "beyond-region-limit"

    def __init__(self, *, needed_fen: int, limit_fen: int, needed_points: int, limit_points: int) -> None:
        super().__init__(
            needed_fen=needed_fen, limit_fen=limit_fen, needed_points=needed_points, limit_points=limit_points
        )


class BudgetYearOver(Problem):
    """The year is over: its budget stands."""

    status, type = 409, "budget-year-over"

    def __init__(self, *, year: int) -> None:
        super().__init__(year=year)


class NothingToApprove(Problem):
    """No part of the proposal waits for this approver's decision."""

    status, type = 409, "nothing-to-approve"
