"""Who is asking: an actor is a subject with a role and the one thing that role is bound to."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Role(StrEnum):
    """Roles of this release; each has one scope (all, one dealer, oneself)."""

    HQ = "hq"
    CARE_DIRECTOR = "care_director"
    SERVICE_ADVISOR = "service_advisor"
    FINANCE_CLERK = "finance_clerk"
    MEMBER = "member"
    API_CLIENT = "api_client"

    @property
    def is_dealer_staff(self) -> bool:
        """Bound to one dealer: sees and does only what is its own."""
        return self in {Role.CARE_DIRECTOR, Role.SERVICE_ADVISOR, Role.FINANCE_CLERK}


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated caller: staff have a `dealer_code`, members their `member_id`, programs their `scopes`."""

    subject: str
    role: Role
    dealer_code: str | None = None
    member_id: UUID | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def place(self) -> str:
        """Where this actor's postings happen: its dealer, or headquarters."""
        return self.dealer_code or "HQ"


class Authenticator(Protocol):
    """Turns a bearer token into an actor; None when it is not (or no longer) good."""

    def __call__(self, token: str) -> Actor | None: ...
