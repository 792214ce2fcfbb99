"""What of earning moves when two memberships become one: open cases and the tier.

Awards stay with whom they were posted for.
"""

from app.earning.tiers_merging import MOVER as TIERS
from app.members.merging import rows

MOVERS = (rows("earning_cases", "earning_case", only="t.status = 'open'"), TIERS)
