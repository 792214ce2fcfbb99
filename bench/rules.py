"""An import under ten active rules, and drafts tried on all of its orders: `python -m bench.rules`.

On the server of CLUB_DATABASE_URL, on which databases may be made. The ten stand beside the default rule and all answer
repair orders: four that exclude each other, a multiplier for October's first week, and five that add to the rest, with
shares, pending time, a cap of the month, a budget, status points and a question about the member. Together they
give some seven lots for five orders, and most orders need an award on record.
"""

import asyncio
import json
import time
from datetime import date
from typing import Any

from app.core import process
from app.core.actors import Actor, Role
from app.core.clock import add_months, system_clock
from app.core.db import Database
from app.earning import book as books
from app.earning import budgets, whatif
from app.earning import rules_service as rules
from app.earning.awards_models import Period
from app.earning.awards_schemas import BudgetCreate
from app.earning.definitions import Definition
from app.earning.rules_schemas import RuleCreate
from app.settings import Settings
from bench import databases, imports
from bench.databases import FIRST_PERIOD

LEAST = 10_000
"""Orders a second under ten rules."""
MOST_SECONDS = 10
"""For drafts on all shipped orders."""
_ACTOR = Actor("bench", Role.HQ_ADMIN)
_SHARES = [{"party": "hq", "percent": "60"}, {"party": "dealer", "percent": "40"}]
_DEALER = [{"party": "dealer", "percent": "100"}]

TEN: list[dict[str, Any]] = [
    {"condition": 'event.kind == "maintenance" && on.weekday <= 5', "amount": "event.paid_fen / 100 * 11 / 10",
     "stacking": {"group": "orders", "mode": "priority", "priority": 1}},
    {"condition": "event.paid_fen > 70000", "amount": "event.paid_fen / 100 + 50", "funders": _SHARES,
     "stacking": {"group": "orders", "mode": "priority", "priority": 2}},
    {"condition": 'dealer.region in ["HZ", "CD"]', "amount": "event.paid_fen / 100", "funders": _DEALER,
     "stacking": {"group": "orders", "mode": "priority", "priority": 3}},
    {"condition": 'dealer.region == "SH" && event.labour_fen > 10000', "amount": "event.paid_fen / 90",
     "stacking": {"group": "orders", "mode": "priority", "priority": 4}},
    {"condition": "on.month == 10 && on.day <= 7", "factor_percent": 200,
     "stacking": {"group": "orders", "mode": "priority", "priority": 5}},
    {"condition": "event.parts_fen > 50000", "amount": "event.parts_fen / 5000",
     "pending": {"kind": "days", "days": 14}},
    {"condition": "event.paid_fen >= 50000", "amount": "5", "caps": {"per_member_month": 10}},
    {"condition": 'event.kind == "repair" && on.weekday == 3', "amount": "10", "budgets": ["bench"]},
    {"condition": 'dealer.code == "BJ001"', "amount": "30", "funders": _DEALER},
    {"condition": "member.months >= 6 && event.paid_fen > 30000", "amount": "15",
     "status_amount": "event.paid_fen / 1000"},
]  # fmt: skip


def definition(**fields: Any) -> Definition:
    """One of the ten rules."""
    whole = {
        "trigger": "repair_order", "funders": [{"party": "hq", "percent": "100"}],
        "expiry": {"kind": "rolling_months", "months": 24}, "valid_from": FIRST_PERIOD,
        "examples": [{"fields": {"kind": "other", "paid_fen": 0}, "on": date(2025, 6, 1), "points": 0}],
    }  # fmt: skip
    if "factor_percent" in fields:
        whole["examples"] = [{"fields": {"kind": "other", "paid_fen": 0}, "on": date(2025, 6, 1), "points": 100}]
    return Definition.model_validate(whole | fields)


async def publish(dsn: str) -> None:
    """Put the ten rules in force, and the budget of one."""
    now = system_clock()
    async with Database.open(dsn) as database, database.session() as session:
        body = BudgetCreate(code="bench", name="Bench", period=Period.YEAR, points=10**9)
        await budgets.create(session, _ACTOR, body, now=now)
        for number, fields in enumerate(TEN):
            body_of_rule = RuleCreate(
                code=f"bench-{number}", label_zh="规则", label_en="Rule", definition=definition(**fields)
            )
            draft = (await rules.create(session, _ACTOR, body_of_rule, now=now)).rule
            await rules.publish(session, _ACTOR, draft.id, version=draft.version, now=now)


async def _whatif_seconds(dsn: str) -> tuple[int, float]:
    """Orders tried and seconds: every month of the shipped ones under the ten rules."""
    orders, began = 0, time.perf_counter()
    async with Database.open(dsn) as database, database.transaction(undo=True) as connection:
        in_force = (await books.book(connection)).rules
        month = FIRST_PERIOD
        while month < system_clock().date():
            orders += (await whatif.run(connection, in_force, month)).events
            month = add_months(month, 1)
    return orders, time.perf_counter() - began


def measure(server: str) -> dict[str, float]:
    """Orders a second under the default rule and under ten more, and what-if's seconds for all of them."""
    with databases.scratch(server) as network:
        databases.load_network(network)
        with databases.scratch(server, template=network) as plain:
            default = imports.itself(plain)
        asyncio.run(publish(network))
        with databases.scratch(server, template=network) as ruled:
            ten = imports.itself(ruled)
            orders, seconds = asyncio.run(_whatif_seconds(ruled))
    return {"default_per_second": default, "ten_rules_per_second": ten, "orders": orders, "whatif_seconds": seconds}


def main() -> None:
    """Measure on the server of CLUB_DATABASE_URL."""
    process.begin()
    url = Settings().database_url
    assert url is not None
    found = measure(url.get_secret_value())
    passes = found["ten_rules_per_second"] >= LEAST and found["whatif_seconds"] < MOST_SECONDS
    print(json.dumps(found | {"passes": passes}))


if __name__ == "__main__":
    main()
