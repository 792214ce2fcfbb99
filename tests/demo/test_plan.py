"""Who redeems what: drawn from the orders alone."""

from datetime import date
from uuid import UUID

from app.demo.plan import LEAST, SHARE_OF_ORDERS, STEP, Visit, redemptions

MEMBER = UUID(int=1)


def visits(count: int, *, earns: int = 0, member: UUID = MEMBER) -> list[Visit]:
    return [Visit(member, date(2025, 6, 1), "SH001", f"RO{number}", earns) for number in range(count)]


def test_it_comes_out_the_same_every_time_whoever_the_member_is():
    first = [(r.visit.order_no, r.points) for r in redemptions(visits(500, earns=100), {MEMBER: 5_000})]
    other = visits(500, earns=100, member=UUID(int=2))
    assert [(r.visit.order_no, r.points) for r in redemptions(other, {UUID(int=2): 5_000})] == first != []


def test_a_realistic_share_redeems():
    rich = [visit._replace(member_id=UUID(int=number)) for number, visit in enumerate(visits(2_000))]
    redeemed = list(redemptions(rich, {visit.member_id: 10_000 for visit in rich}))
    assert abs(len(redeemed) / 2_000 - SHARE_OF_ORDERS) < 0.03
    assert all(r.points % STEP == 0 and 3_000 <= r.points <= 10_000 for r in redeemed)


def test_nobody_redeems_what_is_not_there():
    balance = 0
    spent = {r.visit.order_no: r.points for r in redemptions(visits(300, earns=90), {})}
    for visit in visits(300, earns=90):
        points = spent.get(visit.order_no, 0)
        assert points == 0 or LEAST <= points <= balance
        balance += visit.earns - points
    assert spent
    assert list(redemptions(visits(300), {MEMBER: LEAST - 1})) == []
