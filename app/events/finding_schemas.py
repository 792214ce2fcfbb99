"""Events as members find them."""

from datetime import datetime

from app.events.registration_rules import RegistrationStatus
from app.events.schemas import EventSummary, Question


class FoundEvent(EventSummary):
    """An event one may come to. Fees are a person's; `registration_status` is null for who is not registered."""

    registration_opens_at: datetime
    registration_closes_at: datetime
    fee_points: int
    fee_fen: int
    is_open: bool
    is_invited: bool
    registration_status: RegistrationStatus | None


class FoundEventDetails(FoundEvent):
    """What one has to know before registering; seats in persons. Where parties wait, newcomers wait behind them."""

    purpose: str
    questions: list[Question]
    free_seats: int
    waiting_parties: int
