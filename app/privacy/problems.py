"""What privacy can refuse."""

from app.core.problems import Problem


class CodeWrong(Problem):
    """The code sent to the new number is wrong, used, too old or was tried too often."""

    status, type = 409, "code-wrong"
