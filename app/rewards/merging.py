"""What of rewards moves when two memberships become one: the orders. Whose points they spent stays on record."""

from app.members.merging import rows

MOVERS = (rows("reward orders", "reward_order"),)
