"""The life of a chapter's request for materials: pure, no I/O."""

from collections.abc import Mapping
from enum import StrEnum


class MaterialKind(StrEnum):
    """What headquarters sends: for the chapter's own use, or to be given to members."""

    MATERIAL = "material"
    GIFT = "gift"


class RequestStatus(StrEnum):
    """Where a request stands; from approval on, what it asks for is out of the stock."""

    ASKED = "asked"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    SHIPPED = "shipped"
    RECEIVED = "received"


REQUEST_TRANSITIONS: Mapping[RequestStatus, frozenset[RequestStatus]] = {
    RequestStatus.ASKED: frozenset({RequestStatus.APPROVED, RequestStatus.REFUSED, RequestStatus.WITHDRAWN}),
    RequestStatus.APPROVED: frozenset({RequestStatus.SHIPPED, RequestStatus.WITHDRAWN}),
    RequestStatus.REFUSED: frozenset(),
    RequestStatus.WITHDRAWN: frozenset(),
    RequestStatus.SHIPPED: frozenset({RequestStatus.RECEIVED}),
    RequestStatus.RECEIVED: frozenset(),
}
"""What is on its way arrives, or arrives with a difference; nobody takes it back."""

OPEN = (RequestStatus.ASKED, RequestStatus.APPROVED)
"""Not on its way yet."""
