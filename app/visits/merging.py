"""What of visits moves when two memberships become one.

Repair orders stay with whom their points were posted for: the ledger carries on what is undone of them.
"""

from app.members.merging import rows

MOVERS = (rows("deliveries", "delivery"),)
