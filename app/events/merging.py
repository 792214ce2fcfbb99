"""What of events moves when two memberships become one: what the member was told."""

from app.members.merging import rows

MOVERS = (rows("event notices", "event_notice"),)
