"""The life of a club event, its classes and kinds, and who pays what: pure, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

PAYER = r"hq|(dealer|partner):[A-Z0-9_-]{2,32}"
"""Who pays a line: headquarters, a dealer of its own, or a partner; named as the funders of points are."""


class EventClass(StrEnum):
    """The four classes of domain.md: market activities, large care events, small everyday ones, special ones."""

    MARKET = "market"
    CARE = "care"
    EVERYDAY = "everyday"
    SPECIAL = "special"


class EventKind(StrEnum):
    """What is done at an event (domain.md, events); contests, draws and auctions have a result of their own."""

    SERVICE_CLASS = "service_class"
    FREE_CHECKUP = "free_checkup"
    SELF_DRIVE = "self_drive"
    FAMILY_DAY = "family_day"
    SPORTS = "sports"
    PHOTO_WALK = "photo_walk"
    FRUIT_PICKING = "fruit_picking"
    TEST_DRIVE = "test_drive"
    PARTNER_JOINT = "partner_joint"
    CHARITY = "charity"
    ANNUAL_MEETING = "annual_meeting"
    CONTEST = "contest"
    DRAW = "draw"
    AUCTION = "auction"
    OTHER = "other"


class EventStatus(StrEnum):
    """Where an event stands."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    RETURNED = "returned"
    REFUSED = "refused"
    APPROVED = "approved"
    PUBLISHED = "published"
    REGISTRATION = "registration"
    CLOSED = "closed"
    HELD = "held"
    REPORTED = "reported"
    SETTLED = "settled"
    CANCELLED = "cancelled"


class Queue(StrEnum):
    """Whether a party too big for the free seats stops the waiting list, or is passed over."""

    STRICT = "strict"
    SKIP = "skip"


class LineKind(StrEnum):
    """What a budget line is counted in: fen, points, or pieces of a material."""

    MONEY = "money"
    POINTS = "points"
    MATERIAL = "material"


class Part(StrEnum):
    """What an approval is of: a dealer's own money, or the rest of the event."""

    OWN = "own"
    REST = "rest"


class Decision(StrEnum):
    """What an approver says to a proposal."""

    APPROVED = "approved"
    RETURNED = "returned"
    REFUSED = "refused"


class Purse(StrEnum):
    """Whose money a chapter's yearly budget is: its dealer's own, or what headquarters grants it."""

    OWN = "own"
    HQ = "hq"


class QuestionKind(StrEnum):
    """What answers to a question of the registration are."""

    TEXT = "text"
    NUMBER = "number"
    YES_NO = "yes_no"
    CHOICE = "choice"


class TextStatus(StrEnum):
    """What became of the text message beside a notice."""

    DUE = "due"
    SENDING = "sending"
    SENT = "sent"
    UNWANTED = "unwanted"
    FAILED = "failed"
    UNCLEAR = "unclear"


class NoticeKind(StrEnum):
    """What members are told; each has its words in the catalogue, `event_notice.<kind>`."""

    CHANGED = "changed"
    CANCELLED = "cancelled"
    OFFERED = "offered"
    OFFER_LAPSED = "offer_lapsed"
    SEATED = "seated"
    INVITED = "invited"
    OUTBID = "outbid"
    WON = "won"


_ON = EventStatus
TRANSITIONS: Mapping[EventStatus, frozenset[EventStatus]] = {
    _ON.DRAFT: frozenset({_ON.PROPOSED, _ON.CANCELLED}),
    _ON.PROPOSED: frozenset({_ON.APPROVED, _ON.RETURNED, _ON.REFUSED, _ON.CANCELLED}),
    _ON.RETURNED: frozenset({_ON.PROPOSED, _ON.CANCELLED}),
    _ON.REFUSED: frozenset(),
    _ON.APPROVED: frozenset({_ON.PUBLISHED, _ON.CANCELLED}),
    _ON.PUBLISHED: frozenset({_ON.REGISTRATION, _ON.CANCELLED}),
    _ON.REGISTRATION: frozenset({_ON.CLOSED, _ON.CANCELLED}),
    _ON.CLOSED: frozenset({_ON.REGISTRATION, _ON.HELD, _ON.CANCELLED}),
    _ON.HELD: frozenset({_ON.REPORTED}),
    _ON.REPORTED: frozenset({_ON.SETTLED, _ON.HELD}),
    _ON.SETTLED: frozenset(),
    _ON.CANCELLED: frozenset(),
}
"""What took place cannot be cancelled any more; a report that is sent back makes the event held again."""

EDITABLE = frozenset({EventStatus.DRAFT, EventStatus.RETURNED})
"""In these, everything may be changed; later what was approved stands."""

CHANGEABLE = frozenset({
    EventStatus.APPROVED, EventStatus.PUBLISHED, EventStatus.REGISTRATION, EventStatus.CLOSED,
})  # fmt: skip
"""In these, only place and times may: `LATER`."""

LATER = frozenset({"place", "starts_at", "ends_at", "registration_opens_at", "registration_closes_at"})

LIVE = frozenset({EventStatus.PROPOSED, EventStatus.HELD}) | CHANGEABLE
"""In these, what was granted is promised."""

SPENT = frozenset({EventStatus.REPORTED, EventStatus.SETTLED})
"""In these, the lines say what was spent."""

PUBLIC = frozenset({
    EventStatus.PUBLISHED, EventStatus.REGISTRATION, EventStatus.CLOSED, EventStatus.HELD, EventStatus.REPORTED,
    EventStatus.SETTLED,
})  # fmt: skip
"""Members and neighbours may know of these."""


OVER = frozenset({EventStatus.REFUSED, EventStatus.SETTLED, EventStatus.CANCELLED})
"""From these no step leads on."""


def own_dealer(payer: str) -> str | None:
    """The dealer that pays; None for headquarters or a partner."""
    party, _, code = payer.partition(":")
    return code if party == "dealer" else None


def own_partner(payer: str) -> str | None:
    """The partner that pays; None for headquarters or a dealer."""
    party, _, code = payer.partition(":")
    return code if party == "partner" else None


Share = tuple[Part, str | None]
"""A part of a proposal, and whose own money it is."""


def shares(payers: Iterable[str], *, of_chapter: bool) -> Sequence[Share]:
    """Who must approve: each dealer whose own money it takes, and headquarters or the region for the rest.

    What a dealer pays all by itself is its own business; what costs nothing, and headquarters' events, are not.
    """
    payers = set(payers)
    own = sorted(filter(None, map(own_dealer, payers)))
    has_rest = not of_chapter or not own or len(payers) > len(own)
    return [*((Part.OWN, dealer) for dealer in own), *([(Part.REST, None)] if has_rest else [])]
