"""What earns points, applied: the rules in force, and earnings brought one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import asyncpg

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach
from app.core.db import Connection, Database, rehearsal
from app.earning.rules import Funding, Rule
from app.earning.schemas import EarningCreate
from app.points import ledger
from app.points.ledger import Posting, Request

DEFAULT = Rule()


@dataclass(frozen=True, slots=True)
class OrderRules:
    """The dealers as known at one moment and the rules for their repair orders."""

    regions: Mapping[str, str]
    by_region: Mapping[str | None, list[tuple[date, Rule]]]

    def knows(self, dealer_code: str) -> bool:
        """Whether there is such a dealer."""
        return dealer_code in self.regions

    def rule(self, dealer_code: str, on: date) -> Rule:
        """The rule for a dealer's order closed on a day: its region's newest in force, else the general one."""
        for scope in (self.regions[dealer_code], None):
            for valid_from, rule in self.by_region.get(scope, ()):
                if valid_from <= on:
                    return rule
        return DEFAULT


async def order_rules(connection: Connection) -> OrderRules:
    """The rules for repair orders as they stand."""
    by_region: dict[str | None, list[tuple[date, Rule]]] = {}
    rows = await connection.fetch(
        "SELECT region_code, valid_from, points_per_yuan, expiry_months, funding"
        " FROM order_rule ORDER BY valid_from DESC, id DESC"
    )
    for region, valid_from, per_yuan, months, funding in rows:
        by_region.setdefault(region, []).append((valid_from, Rule(per_yuan, months, Funding(funding))))
    return OrderRules(await chapters.dealer_regions(connection), by_region)


async def add_order_rule(
    connection: asyncpg.Connection, rule: Rule, *, region_code: str | None, valid_from: date
) -> None:
    """Put a rule for repair orders in force from a day on; earlier orders keep theirs, as does a day that has one."""
    await connection.execute(
        """INSERT INTO order_rule (id, region_code, valid_from, points_per_yuan, expiry_months, funding)
           SELECT gen_random_uuid(), $1, $2, $3, $4, $5
            WHERE NOT EXISTS (SELECT FROM order_rule WHERE region_code IS NOT DISTINCT FROM $1 AND valid_from = $2)""",
        region_code, valid_from, rule.points_per_yuan, rule.expiry_months, rule.funding,
    )  # fmt: skip


async def earn(db: Database, actor: Actor, order: EarningCreate, request: Request, *, dry_run: bool) -> Posting:
    """Post an earning that a program or headquarters brings.

    Raises:
        InvalidPayload: the funder or the place is no dealer that the actor reaches; who is bound to dealers has to
            name one as the place.
        And what `ledger.earn` raises.
    """
    if order.funder != ledger.HQ:
        await chapters.require_reached(db, actor, "/funder", order.funder)
    if order.place != ledger.HQ or actor.reach is not Reach.ALL:
        await chapters.require_reached(db, actor, "/place", order.place)
    async with rehearsal(db.pool, dry_run) as connection:
        return await ledger.earn(connection, order.earning(request.now), request)
