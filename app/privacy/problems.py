"""What privacy can refuse."""

from app.core.problems import Problem


class NoticeOutdated(Problem):
    """The member saw an older text than the one in force, `version`."""

    status, type = 409, "notice-outdated"


class ConsentMissing(Problem):
    """The member has not agreed to this partner's getting its data."""

    status, type = 409, "consent-missing"


class CodeWrong(Problem):
    """The code sent to the new number is wrong, used, too old or was tried too often."""

    status, type = 409, "code-wrong"
