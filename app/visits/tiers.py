"""What tiers may count of visits: orders that stand, of members who were the car's owners then."""

from app.earning.tiers_models import Measure

_STANDING = """
  FROM person p JOIN repair_order o ON o.member_id = p.id
 WHERE o.business_date > p.since AND o.business_date <= p.until AND o.cancelled_at IS NULL
   AND NOT EXISTS (SELECT FROM repair_order l WHERE l.dealer_code = o.dealer_code AND l.order_no = o.order_no
                      AND l.revision > 1 AND l.revision > o.revision)"""

MEASURES = {
    Measure.SPEND: "SELECT p.member_id, o.paid_fen AS amount" + _STANDING,
    # two orders of one day at one dealer are one visit
    Measure.VISITS: f"""
SELECT member_id, 1 AS amount FROM (SELECT DISTINCT p.member_id, o.dealer_code, o.business_date {_STANDING}) visit""",  # noqa: S608
}
