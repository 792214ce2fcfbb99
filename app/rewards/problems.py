"""What rewards can refuse."""

from app.core.problems import Problem


class CodeJustSent(Problem):
    """A code was sent less than a minute ago."""

    status, type = 429, "code-just-sent"
