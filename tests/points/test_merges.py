"""Merged wallets: points and debts are conserved, older postings can still be undone, and a merge can be undone."""

from datetime import date, timedelta
from random import Random
from uuid import UUID

import pytest

from app.core.db import Database
from app.core.problems import KeyConflict, NotFound, Problem
from app.points import ledger, problems
from app.points.ledger import Posting
from app.settlement import queries as settlement
from tests.now import NOW
from tests.points.books import TODAY, balances, earning, failures, open_wallets, request


async def merge(database: Database, source: UUID, target: UUID, key: str | None = None) -> Posting:
    return await ledger.merge(database.pool, source, target, cause="merge:1", reason="twice", request=request(key))


async def unmerge(database: Database, source: UUID, target: UUID, key: str | None = None) -> Posting:
    return await ledger.unmerge(database.pool, source, target, cause="merge:1", reason="two", request=request(key))


async def earn(database: Database, member: UUID, points: int, **options: object) -> int:
    posting = await ledger.earn(database.pool, earning(member, points, **options), request())  # type: ignore[arg-type]
    return posting.posting_no


async def redeem(database: Database, member: UUID, points: int) -> int:
    posting = await ledger.redeem(database.pool, member, points, place="BJ001", cause="order:1", request=request())
    return posting.posting_no


async def reverse(database: Database, member: UUID, posting_no: int) -> Posting:
    return await ledger.reverse(database.pool, member, posting_no, cause="r", reason="wrong", request=request())


async def refund(database: Database, member: UUID, posting_no: int) -> Posting:
    return await ledger.refund(
        database.pool, member, posting_no, None, grace_until=date(2027, 3, 31), cause="f", reason="back",
        request=request(),
    )  # fmt: skip


async def sound(database: Database) -> None:
    async with database.connection() as connection:
        assert await failures(connection) == {}


async def test_lots_go_on_with_their_funders_and_dates(database: Database):
    first, second = await open_wallets(database, 2)
    await earn(database, first, 60, funder="SH002", expires_on=date(2027, 6, 30))
    await earn(database, first, 30, spendable_from=TODAY + timedelta(days=9))
    await earn(database, second, 5)

    posting = await merge(database, first, second, key="once")
    assert (posting.kind, posting.points) == (ledger.Kind.MERGE, 90)
    assert await merge(database, first, second, key="once") == Posting(
        **{field: getattr(posting, field) for field in Posting.__slots__ if field != "replayed"}, replayed=True
    )

    assert await balances(database.pool, first) == (0, 0, 0, 0)
    assert await balances(database.pool, second) == (65, 30, 0, 0)
    lots = await database.pool.fetch(
        "SELECT funder, expires_on, pending, available FROM ledger.lot WHERE member_id = $1 ORDER BY lot_no", second
    )
    assert [tuple(lot) for lot in lots] == [
        ("HQ", date(2027, 12, 31), 0, 5),
        ("SH002", date(2027, 6, 30), 0, 60),
        ("HQ", date(2027, 12, 31), 30, 0),
    ]
    await sound(database)


async def test_debts_go_along_and_are_repaid_at_once(database: Database):
    first, second = await open_wallets(database, 2)
    owing = await earn(database, first, 50)
    await redeem(database, first, 50)
    await reverse(database, first, owing)
    await earn(database, first, 20, spendable_from=TODAY + timedelta(days=3))
    assert await balances(database.pool, first) == (0, 20, 0, 50)

    await merge(database, first, second)
    assert await balances(database.pool, second) == (0, 20, 0, 50)
    await earn(database, second, 60)
    assert await balances(database.pool, second) == (10, 20, 0, 0)
    await sound(database)


async def test_older_postings_are_undone_and_follow(database: Database):
    first, second = await open_wallets(database, 2)
    earned = await earn(database, first, 100)
    redeemed = await redeem(database, first, 40)
    await merge(database, first, second)
    await redeem(database, second, 25)

    await refund(database, first, redeemed)
    assert await balances(database.pool, first) == (0, 0, 0, 0)
    assert await balances(database.pool, second) == (75, 0, 0, 0)
    await sound(database)

    await reverse(database, first, earned)
    assert await balances(database.pool, first) == (0, 0, 0, 0)
    assert await balances(database.pool, second) == (0, 0, 0, 25)
    with pytest.raises(problems.AlreadyReversed):
        await reverse(database, first, earned)
    await sound(database)


async def test_what_was_spent_before_is_owed_by_who_goes_on(database: Database):
    first, second = await open_wallets(database, 2)
    earned = await earn(database, first, 100)
    await redeem(database, first, 40)
    await merge(database, first, second)
    await reverse(database, first, earned)
    assert await balances(database.pool, second) == (0, 0, 0, 40)
    await sound(database)


async def test_undone_each_has_what_is_left(database: Database):
    first, second = await open_wallets(database, 2)
    earned = await earn(database, first, 100, expires_on=date(2027, 3, 31))
    await earn(database, second, 10)
    await merge(database, first, second)
    await redeem(database, second, 30)

    posting = await unmerge(database, first, second)
    assert (posting.kind, posting.points) == (ledger.Kind.UNMERGE, -70)
    assert await balances(database.pool, first) == (70, 0, 0, 0)
    assert await balances(database.pool, second) == (10, 0, 0, 0)
    await redeem(database, first, 5)
    await sound(database)

    await reverse(database, first, earned)
    assert await balances(database.pool, first) == (0, 0, 0, 5)
    assert await balances(database.pool, second) == (10, 0, 0, 30)
    await sound(database)
    with pytest.raises(problems.NotMerged):
        await unmerge(database, first, second)


async def test_a_chain_is_undone_from_its_end(database: Database):
    first, second, third = await open_wallets(database, 3)
    await earn(database, first, 7)
    await earn(database, second, 20)
    await merge(database, first, second)
    await merge(database, second, third)
    assert await balances(database.pool, third) == (27, 0, 0, 0)
    with pytest.raises(problems.MergedSince):
        await unmerge(database, first, second)
    with pytest.raises(problems.NotMerged):
        await unmerge(database, first, third)
    await unmerge(database, second, third)
    await sound(database)
    await unmerge(database, first, second)
    assert await balances(database.pool, first) == (7, 0, 0, 0)
    assert await balances(database.pool, second) == (20, 0, 0, 0)
    await sound(database)


async def test_refusals_change_nothing(database: Database):
    first, second, third = await open_wallets(database, 3)
    await earn(database, first, 50)
    with pytest.raises(problems.SameMember):
        await merge(database, first, first)
    with pytest.raises(NotFound):
        await merge(database, UUID(int=1), second)
    hold = await ledger.hold(
        database.pool, first, 10, place="BJ001", cause="order:9", until=NOW + timedelta(minutes=9), request=request()
    )
    with pytest.raises(problems.HoldsOpen):
        await merge(database, first, second)
    await ledger.release(database.pool, first, hold.posting_no, cause="x", request=request())
    await merge(database, first, second, key="taken")
    with pytest.raises(KeyConflict):
        await merge(database, third, second, key="taken")
    for source, target in ((first, third), (second, first), (third, first)):
        with pytest.raises(problems.AlreadyMerged):
            await merge(database, source, target)
    with pytest.raises(problems.WalletClosed):
        await earn(database, first, 1)
    with pytest.raises(problems.WalletClosed):
        await redeem(database, first, 1)
    await ledger.close_wallet(database.pool, third)  # type: ignore[arg-type]
    with pytest.raises(problems.WalletClosed):
        await merge(database, second, third)
    async with database.transaction() as connection:
        await ledger.open_wallets(connection, [first])
    with pytest.raises(problems.WalletClosed):
        await earn(database, first, 1)
    assert await balances(database.pool, second) == (50, 0, 0, 0)
    await sound(database)


async def test_money_does_not_notice(database: Database):
    """A merge moves no fen: the month's flows are those of the postings alone."""
    first, second = await open_wallets(database, 2)
    await earn(database, first, 100, funder="SH002")
    before = await settlement.fold(database.pool, TODAY.replace(day=1))
    await merge(database, first, second)
    await unmerge(database, first, second)
    assert sorted(map(str, await settlement.fold(database.pool, TODAY.replace(day=1)))) == sorted(map(str, before))


class Club:
    """Four members, what they do at random, and the postings so far that can be undone."""

    def __init__(self, database: Database, members: list[UUID], seed: int) -> None:
        self.database, self.members, self.draw = database, members, Random(seed)
        self.earned: list[tuple[UUID, int]] = []
        self.redeemed: list[tuple[UUID, int]] = []
        self.deeds = (
            self.earn,
            self.earn_later,
            self.redeem,
            self.redeem,
            self.merge,
            self.part,
            self.reverse,
            self.refund,
        )

    async def earn(self, member: UUID, _: UUID) -> None:
        funder = self.draw.choice(["HQ", "SH002"])
        self.earned.append((member, await earn(self.database, member, self.draw.randint(1, 90), funder=funder)))

    async def earn_later(self, member: UUID, _: UUID) -> None:
        spendable = TODAY + timedelta(days=self.draw.randint(1, 9))
        self.earned.append((member, await earn(self.database, member, 30, spendable_from=spendable)))

    async def redeem(self, member: UUID, _: UUID) -> None:
        self.redeemed.append((member, await redeem(self.database, member, self.draw.randint(1, 60))))

    async def merge(self, member: UUID, other: UUID) -> None:
        before = await self.net()
        await merge(self.database, member, other)
        assert await self.net() == before

    async def part(self, member: UUID, other: UUID) -> None:
        before = await self.net()
        await unmerge(self.database, member, other)
        assert await self.net() == before

    async def reverse(self, *_: UUID) -> None:
        await reverse(self.database, *self.draw.choice(self.earned))

    async def refund(self, *_: UUID) -> None:
        await refund(self.database, *self.draw.choice(self.redeemed))

    async def net(self) -> int:
        """What all have, less what they owe."""
        held = [await balances(self.database.pool, member) for member in self.members]
        return sum(available + pending + held - owed for available, pending, held, owed in held)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_nothing_is_lost(database: Database, seed: int):
    club = Club(database, await open_wallets(database, 4), seed)
    for member in club.members:
        await club.earn(member, member)
        await club.earn(member, member)
        club.redeemed.append((member, await redeem(database, member, 1)))
    refused = 0
    for _ in range(50):
        try:
            await club.draw.choice(club.deeds)(*club.draw.sample(club.members, 2))
        except Problem:
            refused += 1
        else:
            await sound(database)
    assert refused < 40
