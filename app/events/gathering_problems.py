"""What surrounds an event and can be refused: surveys, results, draws, auctions."""

from datetime import date, datetime

from app.core.problems import Problem
from app.events.rules import EventKind


class SurveyClosed(Problem):
    """The survey is open once the event was held, for so many days."""

    status, type = 409, "survey-closed"

    def __init__(self, *, closes_at: datetime) -> None:
        super().__init__(closes_at=closes_at)


class WrongEventKind(Problem):
    """Contests have results, draws are drawn, auctions have lots: the event is of another kind."""

    status, type = 409, "wrong-event-kind"

    def __init__(self, *, kind: str, needed: str) -> None:
        super().__init__(kind=EventKind(kind), needed=EventKind(needed))


class ResultsGiven(Problem):
    """The results were given before; what was posted for them stands."""

    status, type = 409, "results-given"


class PrizeBudget(Problem):
    """The prizes take more points than were granted for the event."""

    status, type = 409, "prize-budget"

    def __init__(self, *, purpose: str, granted: int, needed: int) -> None:
        super().__init__(purpose=purpose, granted=granted, needed=needed)


class DrawPrepared(Problem):
    """The draw's seed was committed to: nothing of it can change any more."""

    status, type = 409, "draw-prepared"


class AlreadyDrawn(Problem):
    """The draw was drawn before."""

    status, type = 409, "already-drawn"


class NobodyToDraw(Problem):
    """Nobody takes part in the draw."""

    status, type = 409, "nobody-to-draw"


class NotTakingPart(Problem):
    """Only who has a seat at the event may bid."""

    status, type = 409, "not-taking-part"


class LotClosed(Problem):
    """The lot takes no bids (any more)."""

    status, type = 409, "lot-closed"

    def __init__(self, *, closes_at: datetime) -> None:
        super().__init__(closes_at=closes_at)


class LotStillOpen(Problem):
    """Bids are taken until its time."""

    status, type = 409, "lot-still-open"

    def __init__(self, *, closes_at: datetime) -> None:
        super().__init__(closes_at=closes_at)


class BidTooLow(Problem):
    """Somebody has bid as much, or it is below where the lot starts."""

    status, type = 409, "bid-too-low"

    def __init__(self, *, least: int) -> None:
        super().__init__(least=least)


class CalendarTooLong(Problem):
    """A calendar shows a year at most, forwards."""

    status, type = 422, "calendar-too-long"

    def __init__(self, *, from_day: date, to_day: date) -> None:
        super().__init__(from_day=from_day, to_day=to_day)


class TooManyPhotos(Problem):
    """A report has only so many photos."""

    status, type = 409, "too-many-photos"

    def __init__(self, *, most: int) -> None:
        super().__init__(most=most)
