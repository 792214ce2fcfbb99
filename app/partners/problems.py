"""Refusals of partners, perks and vouchers."""

from datetime import date

from app.core.problems import Problem


class PartnerExists(Problem):
    """The code is taken by another partner or agency."""

    status, type = 409, "partner-exists"


class NotPrepaid(Problem):
    """The partner pays for its points afterwards, and has no blocks."""

    status, type = 409, "partner-not-prepaid"


class PerkNotOffered(Problem):
    """The perk is not to be had: not offered, not valid today, or not for this member."""

    status, type = 409, "perk-not-offered"


class PerkGone(Problem):
    """All vouchers of the perk are taken."""

    status, type = 409, "perk-gone"

    def __init__(self, *, quota: int) -> None:
        super().__init__(quota=quota)


class PerkLimit(Problem):
    """The member has as many vouchers of the perk as one member may."""

    status, type = 409, "perk-limit"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)


class VoucherUsed(Problem):
    """The voucher was used before."""

    status, type = 409, "voucher-used"

    def __init__(self, *, used_on: date) -> None:
        super().__init__(used_on=used_on)


class VoucherNotGood(Problem):
    """The voucher is not good on this day; `reason` says why."""

    status, type = 409, "voucher-not-good"

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
