"""What can be wrong with tiers as a whole; single faults are of `invalid-payload`."""

from app.core.problems import Problem


class TierExists(Problem):
    """There is a tier of this code, or one from this threshold on."""

    status, type = 409, "tier-exists"


class TierHeld(Problem):
    """Members are in this tier."""

    status, type = 409, "tier-held"
