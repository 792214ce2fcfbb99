"""What the ledger can refuse."""

from app.core.problems import Problem


class InsufficientPoints(Problem):
    """Fewer points are spendable on the business date than asked for."""

    status, type = 409, "insufficient-points"

    def __init__(self, *, needed: int, available: int) -> None:
        super().__init__(needed=needed, available=available)


class DocumentConflict(Problem):
    """The cause has a live earning with other content; reverse it first."""

    status, type = 409, "document-conflict"


class AlreadyReversed(Problem):
    """The earning was reversed before."""

    status, type = 409, "already-reversed"


class WrongKind(Problem):
    """Only an earning can be reversed, only a redemption refunded."""

    status, type = 409, "wrong-posting-kind"


class ExceedsOriginal(Problem):
    """More points than the original posting has left."""

    status, type = 409, "exceeds-original"

    def __init__(self, *, left: int) -> None:
        super().__init__(left=left)


class ExceedsOwed(Problem):
    """More points than the member owes."""

    status, type = 409, "exceeds-owed"

    def __init__(self, *, owed: int) -> None:
        super().__init__(owed=owed)


class HoldResolved(Problem):
    """The hold was captured or released before."""

    status, type = 409, "hold-resolved"


class HoldExpired(Problem):
    """The hold's time has run out; its points go back."""

    status, type = 409, "hold-expired"


class WalletClosed(Problem):
    """The member's wallet accepts no postings."""

    status, type = 409, "wallet-closed"


class FutureDate(Problem):
    """The business date lies in the future (China time)."""

    status, type = 422, "future-date"


class DatesOutOfOrder(Problem):
    """The points would lapse before they could be spent."""

    status, type = 422, "dates-out-of-order"


class ConfirmationRequired(Problem):
    """The member's one-time code is missing."""

    status, type = 403, "confirmation-required"


class ConfirmationWrong(Problem):
    """The one-time code is wrong, used or too old."""

    status, type = 403, "confirmation-wrong"


class ConfirmationLocked(Problem):
    """Too many wrong codes; try again in ten minutes."""

    status, type = 429, "confirmation-locked"


class SameMember(Problem):
    """A member cannot be merged with themself."""

    status, type = 409, "same-member"


class AlreadyMerged(Problem):
    """One of the two was merged into another member before."""

    status, type = 409, "already-merged"


class HoldsOpen(Problem):
    """Points are held for a purchase under way."""

    status, type = 409, "holds-open"


class NotMerged(Problem):
    """The two are not merged with each other, or no longer."""

    status, type = 409, "not-merged"


class MergedSince(Problem):
    """The member who goes on was merged into another since; that is undone first."""

    status, type = 409, "merged-since"
