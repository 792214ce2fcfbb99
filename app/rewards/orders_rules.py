"""The life of an order of a reward: pure, no I/O."""

from collections.abc import Mapping
from enum import StrEnum


class OrderStatus(StrEnum):
    """Where an order stands: while held, points and stock are set aside; from confirmed on, spent and issued."""

    HELD = "held"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"
    RETURNED = "returned"


_S = OrderStatus
ORDER_TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    _S.HELD: frozenset({_S.CONFIRMED, _S.CANCELLED, _S.LAPSED}),
    _S.CONFIRMED: frozenset({_S.SHIPPED, _S.DELIVERED, _S.CANCELLED}),
    _S.SHIPPED: frozenset({_S.DELIVERED, _S.RETURNED}),
    _S.DELIVERED: frozenset({_S.RETURNED}),
    _S.CANCELLED: frozenset(),
    _S.LAPSED: frozenset(),
    _S.RETURNED: frozenset(),
}
"""Held points that nobody confirms lapse with their hold; what is on its way arrives, or comes back."""

GONE = (OrderStatus.CANCELLED, OrderStatus.LAPSED, OrderStatus.RETURNED)
"""Of these the member has nothing: they count towards no limit."""
