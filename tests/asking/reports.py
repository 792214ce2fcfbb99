"""What requests about reports and signals need."""

from tests.asking.base import REASON, Bodies, Body, Lists, Target, Versions
from tests.now import NOW
from tests.shop import Shop


async def belongings(shop: Shop, target: Target) -> Body:
    """A signal about the dealer."""
    found = """INSERT INTO signal (id, kind, key, dealer_code, member_ids, facts, weight, status, found_at, seen_at,
                                   version)
               VALUES (gen_random_uuid(), 'referral_ring', $1, $1, '{}', '{"members": 2}', 2, 'open', $2, $2, 1)
               RETURNING id"""
    return {"signal": str(await shop.pool.fetchval(found, target.dealer, NOW))}


BODIES: Bodies = {
    "signals_judge": lambda _: {"status": "cleared"} | REASON,
}  # fmt: skip

VERSIONS: Versions = {
    "signals_judge": "/signals/{signal_id}",
}

LISTS: Lists = {
    "reports_network": lambda target: f'"{target.region}":',
    "reports_referrals": lambda target: f'"{target.region}":',
    "reports_ranking": lambda target: f'"code":"{target.dealer}"',
    "signals_list": lambda target: target.signal,
}
