"""What of referrals moves when two memberships become one: those a member made, and those it bought by."""

from app.members.merging import rows

MOVERS = (rows("referrals", "referral", column="referrer_id"), rows("referred", "referral", column="buyer_id"))
