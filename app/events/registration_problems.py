"""What registration and check-in can refuse."""

from datetime import datetime

from app.core.problems import Problem
from app.events.registration_rules import RegistrationStatus
from app.events.rules import EventStatus


class RegistrationNotOpen(Problem):
    """Members register between the event's times, while its registration is open."""

    status, type = 409, "registration-not-open"

    def __init__(self, *, event_status: str, opens_at: datetime, closes_at: datetime) -> None:
        super().__init__(event_status=EventStatus(event_status), opens_at=opens_at, closes_at=closes_at)


class NotInvited(Problem):
    """The event is for the invited only."""

    status, type = 409, "not-invited"


class AlreadyRegistered(Problem):
    """A member registers once for an event."""

    status, type = 409, "already-registered"

    def __init__(self, *, registration_status: str) -> None:
        super().__init__(registration_status=RegistrationStatus(registration_status))


class PartyTooBig(Problem):
    """The party is larger than the event ever has seats for."""

    status, type = 409, "party-too-big"

    def __init__(self, *, party: int, capacity: int) -> None:
        super().__init__(party=party, capacity=capacity)


class NoSeats(Problem):
    """Fewer seats are free than the party needs."""

    status, type = 409, "no-seats"

    def __init__(self, *, free: int, needed: int) -> None:
        super().__init__(free=free, needed=needed)


class OfferOver(Problem):
    """The offer's time has run out; its seats go to the next."""

    status, type = 409, "offer-over"

    def __init__(self, *, offered_until: datetime) -> None:
        super().__init__(offered_until=offered_until)


class EventBegun(Problem):
    """What is for before the event cannot be done any more."""

    status, type = 409, "event-begun"

    def __init__(self, *, starts_at: datetime) -> None:
        super().__init__(starts_at=starts_at)


class CheckedIn(Problem):
    """The party is checked in; undo that first."""

    status, type = 409, "checked-in"

    def __init__(self, *, at: datetime, by: str) -> None:
        super().__init__(at=at, by=by)


class CheckInNotOpen(Problem):
    """It is too early to check in."""

    status, type = 409, "check-in-not-open"

    def __init__(self, *, opens_at: datetime) -> None:
        super().__init__(opens_at=opens_at)


class TicketOfOtherEvent(Problem):
    """The code is good, but for another event."""

    status, type = 409, "ticket-of-other-event"


class NotSeated(Problem):
    """The registration has no seats: it waits, has an open offer, or is over."""

    status, type = 409, "not-seated"

    def __init__(self, *, registration_status: str) -> None:
        super().__init__(registration_status=RegistrationStatus(registration_status))
