"""What a month's movements come to in money, in every direction. Dealers are told as A, B, C."""

from datetime import date

from app.points import ledger
from app.settlement.rules import Charging
from tests.settlement.books import FAR, JULY, JUNE, MAY, Books, noon, request

D = date


async def test_headquarters_points_credit_the_dealer_that_took_them(books: Books) -> None:
    own, foreign, member = await books.dealer(), await books.dealer(), await books.member()
    await books.earn(member, 1000, D(2025, 5, 3), place=own)
    await books.redeem(member, 300, foreign, D(2025, 5, 9))
    assert await books.told(MAY, own, foreign) == ["B credit redemption: HQ at B 300 x 5000 = 1500"]


async def test_a_dealers_points_are_charged_to_it_wherever_they_went(books: Books) -> None:
    funder, foreign, member = await books.dealer(), await books.dealer(), await books.member()
    await books.earn(member, 1000, D(2025, 5, 3), funder=funder, place=funder)
    await books.redeem(member, 300, foreign, D(2025, 5, 9))
    await books.redeem(member, 50, funder, D(2025, 5, 10))
    assert sorted(await books.told(MAY, funder, foreign)) == [
        "A charge redemption: A at A 50 x 5000 = 250",
        "A charge redemption: A at B 300 x 5000 = 1500",
        "A credit redemption: A at A 50 x 5000 = 250",
        "B credit redemption: A at B 300 x 5000 = 1500",
    ]


async def test_points_spent_at_headquarters_credit_nobody(books: Books) -> None:
    funder, member = await books.dealer(), await books.member()
    await books.earn(member, 100, D(2025, 5, 3), funder=funder)
    await books.redeem(member, 40, ledger.HQ, D(2025, 5, 9))
    assert await books.told(MAY, funder) == ["A charge redemption: A at HQ 40 x 5000 = 200"]


async def test_a_redemption_over_two_lots_knows_both_funders(books: Books) -> None:
    funder, place, member = await books.dealer(), await books.dealer(), await books.member()
    await books.earn(member, 70, D(2025, 5, 3), expires=D(2026, 5, 31))
    await books.earn(member, 100, D(2025, 5, 4), funder=funder)
    await books.redeem(member, 100, place, D(2025, 5, 9))
    assert sorted(await books.told(MAY, funder, place)) == [
        "A charge redemption: A at B 30 x 5000 = 150",
        "B credit redemption: A at B 30 x 5000 = 150",
        "B credit redemption: HQ at B 70 x 5000 = 350",
    ]


async def test_only_what_is_captured_of_a_hold_is_money(books: Books) -> None:
    place, member = await books.dealer(), await books.member()
    await books.earn(member, 200, D(2025, 5, 3))
    held = await books.hold(member, 100, place, D(2025, 5, 9))
    released = await books.hold(member, 50, place, D(2025, 5, 9))
    assert await books.told(MAY, place) == []
    asked = request(D(2025, 5, 10))
    await ledger.capture(books.pool, member, held.posting_no, 60, cause="test", request=asked)
    await ledger.release(books.pool, member, released.posting_no, cause="test", request=request(D(2025, 5, 10)))
    assert await books.told(MAY, place) == ["A credit redemption: HQ at A 60 x 5000 = 300"]


async def test_a_refund_in_a_later_month_turns_both_sides_around(books: Books) -> None:
    funder, place, member = await books.dealer(), await books.dealer(), await books.member()
    await books.earn(member, 100, D(2025, 5, 3), funder=funder)
    spent = await books.redeem(member, 80, place, D(2025, 5, 9))
    await books.refund(member, spent, 30, D(2025, 6, 2))
    assert len(await books.told(MAY, funder, place)) == 2
    assert sorted(await books.told(JUNE, funder, place)) == [
        "A credit refund: A at B 30 x 5000 = 150",
        "B charge refund: A at B 30 x 5000 = 150",
    ]


async def test_points_refunded_after_their_lot_lapsed_keep_the_terms_of_their_grant(books: Books) -> None:
    funder, place, member = await books.dealer(), await books.dealer(), await books.member()
    await books.contract(funder, JUNE, 5000, Charging.ISSUANCE)
    await books.earn(member, 100, D(2025, 5, 3), funder=funder, expires=D(2025, 5, 31))
    spent = await books.redeem(member, 80, place, D(2025, 5, 9))
    await books.refund(member, spent, None, D(2025, 6, 2))
    await books.redeem(member, 80, place, D(2025, 7, 1))
    # granted in May, so charged at redemption, though the child lot was made under the newer terms
    assert sorted(await books.told(JUNE, funder, place)) == [
        "A credit refund: A at B 80 x 5000 = 400",
        "B charge refund: A at B 80 x 5000 = 400",
    ]
    assert sorted(await books.told(JULY, funder, place)) == [
        "A charge redemption: A at B 80 x 5000 = 400",
        "B credit redemption: A at B 80 x 5000 = 400",
    ]


async def test_a_debt_is_repaid_by_the_lots_funder_to_the_creditor(books: Books) -> None:
    creditor, payer, place = await books.dealer(), await books.dealer(), await books.dealer()
    member = await books.member()
    earned = await books.earn(member, 100, D(2025, 5, 3), funder=creditor)
    await books.redeem(member, 100, place, D(2025, 5, 9))
    reversed_ = await books.reverse(member, earned, D(2025, 6, 2))
    assert reversed_.owed == 100
    assert await books.told(JUNE, creditor, payer, place) == []
    repaid = await books.earn(member, 250, D(2025, 7, 2), funder=payer)
    assert (repaid.owed, repaid.available) == (0, 150)
    assert sorted(await books.told(JULY, creditor, payer, place)) == [
        "A credit repayment: B at A 100 x 5000 = 500",
        "B charge repayment: B at A 100 x 5000 = 500",
    ]


async def test_a_debt_to_headquarters_is_repaid_to_nobodys_credit(books: Books) -> None:
    payer, place, member = await books.dealer(), await books.dealer(), await books.member()
    earned = await books.earn(member, 100, D(2025, 5, 3))
    await books.redeem(member, 100, place, D(2025, 5, 9))
    await books.reverse(member, earned, D(2025, 5, 20))
    await books.earn(member, 60, D(2025, 7, 2), funder=payer)
    assert await books.told(JULY, payer, place) == ["A charge repayment: A at HQ 60 x 5000 = 300"]


async def test_under_an_issuance_contract_the_grant_is_charged_and_its_reversal_credited(
    books: Books,
) -> None:
    funder, place, member = await books.dealer(), await books.dealer(), await books.member()
    await books.contract(funder, MAY, 4000, Charging.ISSUANCE)
    earned = await books.earn(member, 100, D(2025, 5, 3), funder=funder, place=funder)
    await books.redeem(member, 30, place, D(2025, 5, 9))
    await books.reverse(member, earned, D(2025, 5, 20))
    assert sorted(await books.told(MAY, funder, place)) == [
        "A charge issuance: A at A 100 x 4000 = 400",
        "A credit reversal: A at A 70 x 4000 = 280",
        "B credit redemption: A at B 30 x 5000 = 150",
    ]
    # what was spent is owed; its repayment makes the funder whole
    await books.earn(member, 30, D(2025, 6, 3))
    assert await books.told(JUNE, funder, place) == ["A credit repayment: HQ at A 30 x 4000 = 120"]


async def test_pending_points_are_issued_once_and_expiry_returns_nothing(books: Books) -> None:
    funder, member = await books.dealer(), await books.member()
    await books.contract(funder, MAY, 5000, Charging.ISSUANCE)
    await books.earn(member, 100, D(2025, 5, 3), funder=funder, spendable_from=D(2025, 6, 3), expires=D(2025, 6, 30))
    assert await books.told(MAY, funder) == ["A charge issuance: A at HQ 100 x 5000 = 500"]
    await ledger.sweep(books.pool, now=noon(D(2025, 7, 5)))
    balance = await books.pool.fetchval("SELECT available FROM ledger.member_balance WHERE member_id = $1", member)
    assert balance == 0
    assert await books.told(JUNE, funder) == []
    assert await books.told(JULY, funder) == []


async def test_the_rate_is_that_of_the_day_and_each_line_is_rounded_once(books: Books) -> None:
    place, member = await books.dealer(), await books.member()
    await books.contract(place, D(2025, 5, 16), 1500, Charging.REDEMPTION)
    await books.earn(member, 1000, D(2025, 5, 1))
    for day in (15, 16, 17, 31):
        await books.redeem(member, 1, place, D(2025, 5, day))
    # three times 1.5 fen are 4.5, half-even 4; rounded one by one they would be 6
    assert await books.told(MAY, place) == [
        "A credit redemption: HQ at A 3 x 1500 = 4",
        "A credit redemption: HQ at A 1 x 5000 = 5",
    ]


async def test_credit_goes_by_the_places_contract_and_charge_by_the_funders(books: Books) -> None:
    funder, place, member = await books.dealer(), await books.dealer(), await books.member()
    await books.contract(funder, MAY, 6000, Charging.REDEMPTION)
    await books.contract(place, MAY, 4000, Charging.REDEMPTION)
    await books.earn(member, 100, D(2025, 5, 3), funder=funder)
    await books.redeem(member, 100, place, D(2025, 5, 9))
    assert await books.told(MAY, funder, place) == [
        "A charge redemption: A at B 100 x 6000 = 600",
        "B credit redemption: A at B 100 x 4000 = 400",
    ]


async def test_a_late_posting_is_paid_by_the_terms_of_its_business_date(books: Books) -> None:
    place, member = await books.dealer(), await books.member()
    await books.contract(place, D(2025, 8, 10), 7000, Charging.REDEMPTION)
    await books.earn(member, 100, D(2025, 8, 1))
    await books.redeem(member, 100, place, D(2025, 8, 9), sent=D(2025, 8, 20))
    assert await books.told(D(2025, 8, 1), place) == ["A credit redemption: HQ at A 100 x 5000 = 500"]


async def test_corrections_by_headquarters_are_no_dealers_money(books: Books) -> None:
    funder, member = await books.dealer(), await books.member()
    await books.earn(member, 100, D(2025, 5, 3), funder=funder)
    await ledger.adjust(books.pool, member, 50, reason="r", expires_on=FAR, request=request(D(2025, 5, 4)))
    await ledger.adjust(books.pool, member, -120, reason="r", expires_on=FAR, request=request(D(2025, 5, 5)))
    assert await books.told(MAY, funder) == []
