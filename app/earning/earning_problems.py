"""What budgets and cases can refuse."""

from app.core.problems import Problem


class BudgetExists(Problem):
    """The code is taken by another budget."""

    status, type = 409, "budget-exists"


class StillFails(Problem):
    """The earning cannot be given yet: its rule fails, gives nothing, or a limit is reached."""

    status, type = 409, "earning-still-fails"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
