"""What pre-registration and feedback can refuse."""

from datetime import date

from app.core.problems import Problem


class SelfReferral(Problem):
    """The buyer's phone is the referrer's own."""

    status, type = 409, "self-referral"


class SameHousehold(Problem):
    """The buyer belongs to the referrer's household."""

    status, type = 409, "same-household"


class BuyerIsOwner(Problem):
    """The buyer owns a car of the brand, and no rule rewards repurchases."""

    status, type = 409, "buyer-is-owner"


class RegisteredTooLate(Problem):
    """The buyer had been at the dealer, or had ordered, before the referral was registered."""

    status, type = 409, "registered-too-late"

    def __init__(self, *, since: date) -> None:
        super().__init__(since=since)


class AlreadyReferred(Problem):
    """Another referral of this buyer came first and is still valid; whose is not told."""

    status, type = 409, "already-referred"

    def __init__(self, *, valid_until: date) -> None:
        super().__init__(valid_until=valid_until)


class NothingToAppeal(Problem):
    """No guard refuses this referral: register it."""

    status, type = 409, "nothing-to-appeal"


class IncentiveListOutdated(Problem):
    """A list of incentives would come out otherwise today than it was drawn up."""

    status, type = 409, "incentive-list-outdated"
