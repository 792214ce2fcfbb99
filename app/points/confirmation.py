"""How a member confirms that its points are spent."""

from typing import NamedTuple

from app.points.ledger import Code


class Confirm(NamedTuple):
    """Signed in, the member confirms by asking itself; at a counter a one-time code of its own is `needed`."""

    needed: bool
    code: Code | None = None


SIGNED_IN = Confirm(needed=False)
