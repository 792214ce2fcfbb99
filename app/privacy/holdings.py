"""What domains keep on members beside what privacy knows itself; they register it through wiring.

A holding's rows are part of the member's own data, and its erasure is a step of the member's.
"""

from collections.abc import Sequence

from app.core.holdings import Holding

_HOLDINGS: dict[str, Holding] = {}


def register(*holdings: Holding) -> None:
    """Make holdings known; a name is taken once."""
    for holding in holdings:
        assert holding.name not in _HOLDINGS, f"there is a holding {holding.name} already"
        _HOLDINGS[holding.name] = holding


def holdings() -> Sequence[Holding]:
    """Every holding."""
    return tuple(_HOLDINGS.values())
