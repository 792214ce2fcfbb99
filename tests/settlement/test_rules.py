"""Arithmetic and the statement's life, without a database."""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.settlement import rules
from app.settlement.rules import Basis, Direction, Flow, StatementStatus

POINTS = st.integers(0, 10**12)
RATES = st.integers(0, 10**6)
FLOWS = st.builds(
    Flow,
    st.sampled_from(["BJ001", "SH002", "GZ003"]),
    st.sampled_from(Direction),
    st.sampled_from(Basis),
    st.sampled_from(["HQ", "BJ001"]),
    st.sampled_from(["SH002", "GZ003"]),
    st.sampled_from([4999, 5000]),
    st.integers(1, 10**9),
)


@given(POINTS, RATES)
@example(1, 500)
@example(3, 500)
@example(5, 500)
@example(1, 501)
def test_money_is_decimals_half_even(points: int, rate: int) -> None:
    exact = Decimal(points * rate) / 1000
    assert rules.amount_fen(points, rate) == int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


@pytest.mark.parametrize(("points", "fen"), [(1, 0), (3, 2), (5, 2), (7, 4), (1000, 500)])
def test_a_half_goes_to_the_even_fen(points: int, fen: int) -> None:
    assert rules.amount_fen(points, 500) == fen


@given(st.lists(FLOWS, unique_by=lambda flow: flow[:6]), st.randoms())
def test_lines_do_not_depend_on_the_order_of_flows(flows, random) -> None:
    shuffled = random.sample(flows, len(flows))
    lines = rules.lines(flows)
    assert rules.lines(shuffled) == lines
    assert rules.digest(date(2026, 10, 1), rules.lines(shuffled)) == rules.digest(date(2026, 10, 1), lines)
    for dealer in {flow.dealer_code for flow in flows}:
        numbers = [line.line_no for line in lines if line.dealer_code == dealer]
        assert numbers == list(range(1, len(numbers) + 1))


@given(st.lists(FLOWS, unique_by=lambda flow: flow[:6]))
def test_sums_are_credits_less_charges(flows) -> None:
    lines = rules.lines(flows)
    signed = sum(line.amount_fen if line.direction is Direction.CREDIT else -line.amount_fen for line in lines)
    assert rules.sums(lines).net_fen == signed


@given(st.lists(FLOWS, unique_by=lambda flow: flow[:6], min_size=1), st.integers(0), st.integers(1, 8))
def test_the_digest_sees_every_figure(flows, index, column) -> None:
    lines = rules.lines(flows)
    line = lines[index % len(lines)]
    changed = [*line]
    changed[column] = changed[column] + 1 if isinstance(changed[column], int) else f"{changed[column]}x"
    other = [type(line)(*changed) if each is line else each for each in lines]
    assert rules.digest(date(2026, 10, 1), other) != rules.digest(date(2026, 10, 1), lines)


def test_the_digest_names_its_month() -> None:
    assert rules.digest(date(2026, 10, 1), []) != rules.digest(date(2026, 11, 1), [])


def test_nothing_follows_payment_and_only_confirmation_leads_to_it() -> None:
    assert rules.TRANSITIONS[StatementStatus.PAID] == frozenset()
    into = {to: {s for s in StatementStatus if to in rules.TRANSITIONS[s]} for to in StatementStatus}
    assert into[StatementStatus.PAID] == {StatementStatus.CONFIRMED}
    assert into[StatementStatus.DISPUTED] == {StatementStatus.ISSUED, StatementStatus.DISPUTED}
