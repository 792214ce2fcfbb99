"""What can be wrong with a rule or a frame as a whole; single faults are of `invalid-payload`."""

from app.core.problems import Problem


class RuleExists(Problem):
    """There is a rule of this code."""

    status, type = 409, "rule-exists"


class FrameExists(Problem):
    """The chapter has a frame of its own, or there is a general one."""

    status, type = 409, "frame-exists"
