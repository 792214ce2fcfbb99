"""What surrounds events and moves when two memberships become one. Whose points were bid stays on record."""

from app.members.merging import Mover, rows


def _one_an_event(name: str, table: str, key: str) -> Mover:
    """Rows of which a member has one an event: where both have one, each stays."""
    there = f"NOT EXISTS (SELECT FROM {table} o WHERE o.member_id = $2 AND o.event_id = t.event_id)"
    return rows(name, table, key=key, only=there)


MOVERS = (
    _one_an_event("event invitations", "invitation", "event_id::text"),
    _one_an_event("survey answers", "survey_answer", "event_id::text"),
    _one_an_event("event results", "event_result", "id::text"),
    rows("auction bids", "auction_bid"),
)
