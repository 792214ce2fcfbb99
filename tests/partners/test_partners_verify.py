"""What `club verify` finds when vouchers, quotas, shares, points or blocks are tampered with."""

import pytest

from tests.partners.deals import claimed, disagreeing, partner, perk, use
from tests.shop import Shop

TAMPERED = {
    "perks-quota": ("UPDATE perk SET claimed = claimed + 1", "UPDATE perk SET claimed = claimed - 1"),
    "vouchers-used": (
        "UPDATE voucher SET used_on = used_on + 90 WHERE status = 'used'",
        "UPDATE voucher SET used_on = used_on - 90 WHERE status = 'used'",
    ),
    "vouchers-shares": (
        "UPDATE voucher SET value_fen = value_fen + 1", "UPDATE voucher SET value_fen = value_fen - 1",
    ),
    "vouchers-postings": ("UPDATE voucher SET refund_no = posting_no", "UPDATE voucher SET refund_no = NULL"),
    "partners-prepaid": (
        "UPDATE budget SET points = points + 1 WHERE code LIKE 'partner-%'",
        "UPDATE budget SET points = points - 1 WHERE code LIKE 'partner-%'",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
async def sold(shop: Shop) -> Shop:
    """A prepaid partner, one voucher of it that is used and one that is not, each worth something and paid for."""
    hotel = await partner(shop, is_prepaid=True)
    block = {"points": 100, "amount_fen": 50_000, "reference": "B-1"}
    assert (await shop.post(f"/partners/{hotel}/blocks", block, shop.hq))[0] == 201
    tea = await perk(shop, hotel, points=10, value_fen=500, quota=9)
    member = await shop.member(points=100)
    voucher, _ = [await claimed(shop, member, tea) for _ in range(2)]
    assert (await use(shop, hotel, voucher["code"]))[0] == 201
    return shop


async def test_books_in_order_disagree_nowhere(sold: Shop, dsn: str) -> None:
    assert await disagreeing(dsn) == {}


@pytest.mark.parametrize("check", TAMPERED)
async def test_tampering_is_found(sold: Shop, dsn: str, check: str) -> None:
    tamper, mend = TAMPERED[check]
    await sold.pool.execute(tamper)
    try:
        assert set(await disagreeing(dsn)) == {check}
    finally:
        await sold.pool.execute(mend)
