"""What an order earns and for how long: whole yuan, month ends, and which rule is in force."""

from datetime import date

import pytest

from app.core.db import Database
from app.earning.rules import Funding, Rule
from app.earning.service import OrderRules, add_order_rule, order_rules
from app.points.rules import last_spendable_day


@pytest.mark.parametrize(
    ("fen", "points"), [(0, 0), (1, 0), (99, 0), (100, 1), (199, 1), (12_345, 123), (10**12 - 1, 9_999_999_999)]
)
def test_whole_yuan_earn(fen: int, points: int):
    assert Rule().points(fen) == points
    assert Rule(points_per_yuan=3).points(fen) == 3 * points


@pytest.mark.parametrize(
    ("booked_on", "last_day"),
    [
        (date(2025, 5, 4), date(2027, 5, 31)),
        (date(2025, 5, 31), date(2027, 5, 31)),
        (date(2025, 6, 1), date(2027, 6, 30)),
        (date(2026, 2, 1), date(2028, 2, 29)),
        (date(2025, 12, 31), date(2027, 12, 31)),
    ],
)
def test_points_live_to_the_end_of_the_24th_month(booked_on: date, last_day: date):
    assert Rule().expires_on(booked_on) == last_spendable_day(booked_on) == last_day


def test_other_lives():
    assert Rule(expiry_months=1).expires_on(date(2026, 1, 31)) == date(2026, 2, 28)
    assert Rule(expiry_months=13).expires_on(date(2026, 11, 30)) == date(2027, 12, 31)


def test_who_is_charged():
    assert [Rule(funding=funding).funder("HZ001") for funding in Funding] == ["HQ", "HZ001"]


def test_which_rule_is_in_force():
    old, new, hangzhou = Rule(2), Rule(3), Rule(funding=Funding.DEALER)
    rules = OrderRules(
        {"HZ001": "HZ", "BJ001": "BJ"},
        {
            None: [(date(2026, 3, 1), new), (date(2026, 1, 1), old)],
            "HZ": [(date(2026, 2, 1), hangzhou)],
        },
    )
    assert [rules.rule("HZ001", date(2026, month, day)) for month, day in [(1, 1), (1, 31), (2, 1), (3, 1)]] == [
        old, old, hangzhou, hangzhou,
    ]  # fmt: skip
    assert [rules.rule("BJ001", date(2026, month, 1)) for month in (1, 2, 3)] == [old, old, new]
    assert rules.rule("BJ001", date(2025, 12, 31)) == Rule()
    assert (rules.knows("BJ001"), rules.knows("XX001")) == (True, False)


async def test_rules_are_followed_and_never_changed(database: Database):
    await database.pool.execute("INSERT INTO region (code, name) VALUES ('HZ', 'Hangzhou')")
    await database.pool.execute(
        "INSERT INTO dealer (code, region_code, has_after_sales, version) VALUES ('HZ001', 'HZ', true, 1)"
    )
    first, second = Rule(2, 12, Funding.DEALER), Rule(4)
    async with database.transaction() as connection:
        await add_order_rule(connection, first, region_code="HZ", valid_from=date(2026, 1, 1))
        await add_order_rule(connection, second, region_code="HZ", valid_from=date(2026, 1, 1))
        await add_order_rule(connection, second, region_code=None, valid_from=date(2025, 6, 1))
        await add_order_rule(connection, first, region_code=None, valid_from=date(2025, 6, 1))
    rules = await order_rules(database.pool)
    assert rules.rule("HZ001", date(2026, 1, 1)) == first
    assert rules.rule("HZ001", date(2025, 12, 31)) == second
    assert rules.rule("HZ001", date(2025, 5, 31)) == Rule()
