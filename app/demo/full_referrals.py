"""Referral purchases of the full-size network: pure, and the same for the same network.

Published (domain.md, "Figures with a fixed formula"): how many there were, and how many of them in Shanghai. Invented:
the other regions' shares (by their members), who referred whom, and when.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from itertools import islice
from random import Random
from typing import NamedTuple

from app.core.clock import CHINA
from app.demo.full import MEMBERS, NEW_CHAPTERS, SEED, Network, Owner, shares

REFERRALS = 1_749
IN_SHANGHAI = 298
SOONEST, LATEST = 3, 80
"""Days between a referral and the delivery."""


class Referred(NamedTuple):
    """A member's referral of a buyer who did not join."""

    referrer: Owner
    buyer: Owner
    consultant: str
    registered_at: datetime


def by_region() -> dict[str, int]:
    """How many each region had."""
    rest = {region: float(members) for region, members in MEMBERS.items() if region != "SH"}
    return {"SH": IN_SHANGHAI} | shares(REFERRALS - IN_SHANGHAI, rest)


def referred(network: Network) -> list[Referred]:
    """The network's referrals, in the order in which they were registered."""
    random = Random(f"{SEED}-referrals")  # noqa: S311 (nothing is to be kept secret)
    members, consultants = _by_chapter(network.members), {row[1]: row[6] for row in network.deliveries}
    made: list[Referred] = []
    for region, number in by_region().items():
        buyers = [owner for owner in network.others if owner.chapter[:2] == region]
        random.shuffle(buyers)
        candidates = (_of(random, buyer, members[buyer.chapter], consultants[buyer.vin]) for buyer in buyers)
        made += islice(filter(None, candidates), number)
    return sorted(made, key=lambda one: (one.registered_at, one.buyer.vin))


def _by_chapter(members: Iterable[Owner]) -> defaultdict[str, list[Owner]]:
    found: defaultdict[str, list[Owner]] = defaultdict(list)
    for owner in members:
        if owner.chapter not in NEW_CHAPTERS:
            found[owner.chapter].append(owner)
    return found


def _of(random: Random, buyer: Owner, members: list[Owner], consultant: str) -> Referred | None:
    """A referral of a buyer by a member of the chapter who had joined; None: nobody had."""
    day = buyer.delivered_on - timedelta(days=random.randint(SOONEST, LATEST))
    joined = [owner for owner in random.sample(members, min(20, len(members))) if owner.delivered_on < day]
    if not joined:
        return None
    return Referred(joined[0], buyer, consultant, datetime.combine(day, time(random.randint(9, 18)), CHINA))
