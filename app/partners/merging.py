"""What of perks moves when two memberships become one: the vouchers. Whose points they cost stays on record."""

from app.members.merging import rows

MOVERS = (rows("vouchers", "voucher"),)
