"""What rewards can refuse."""

from app.core.problems import Problem


class SmsUnavailable(Problem):
    """No message can be sent now."""

    status, type = 503, "sms-unavailable"


class CodeJustSent(Problem):
    """A code was sent less than a minute ago."""

    status, type = 429, "code-just-sent"
