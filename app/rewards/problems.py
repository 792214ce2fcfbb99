"""Refusals of rewards and orders for them."""

from datetime import date

from app.core.problems import Problem


class RewardNotOffered(Problem):
    """The reward is not to be had: not offered, not valid today, or not for this member's chapter or tier."""

    status, type = 409, "reward-not-offered"


class RewardShort(Problem):
    """Fewer are left than were asked for."""

    status, type = 409, "reward-short"

    def __init__(self, *, needed: int, left: int) -> None:
        super().__init__(needed=needed, left=left)


class RewardLimit(Problem):
    """The member would have more of a reward than one member may."""

    status, type = 409, "reward-limit"

    def __init__(self, *, limit: int, taken: int) -> None:
        super().__init__(limit=limit, taken=taken)


class PointsChoice(Problem):
    """So many points cannot be spent on this: too few, or more than the price or the order's share."""

    status, type = 409, "points-choice"

    def __init__(self, *, least: int, most: int) -> None:
        super().__init__(least=least, most=most)


class CodesGiven(Problem):
    """The order's codes are with the member, and cannot be taken back."""

    status, type = 409, "codes-given"


class CodeUsed(Problem):
    """The code was taken at a counter before."""

    status, type = 409, "code-used"

    def __init__(self, *, used_on: date) -> None:
        super().__init__(used_on=used_on)
