"""What reports can refuse."""

from datetime import date

from app.core.problems import Problem


class MonthNotBegun(Problem):
    """The month has not begun in China."""

    status, type = 409, "month-not-begun"

    def __init__(self, month: date) -> None:
        super().__init__(month=f"{month:%Y-%m}")
