"""A member's one-time code: judged under the member's lock, used up by the posting and by nothing else."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from app.core.db import Database
from app.points import ledger
from app.points.ledger import Code, Posting, Request
from app.points.problems import (
    ConfirmationLocked,
    ConfirmationRequired,
    ConfirmationWrong,
    InsufficientPoints,
)
from tests.now import NOW
from tests.points.books import balances, earning, failures, request

SENT = b"digest of the code that was sent"
OTHER = b"digest of another code"
WRONG = Code(None, OTHER)
BY_SMS = Code(None, SENT)
MINUTE = timedelta(minutes=1)


def by_app(step: int) -> Code:
    """A code of the member's app that was found right, of a 60-second step."""
    return Code(step, OTHER)


@pytest.fixture(autouse=True)
async def _points(database: Database, member: UUID) -> None:
    await ledger.earn(database.pool, earning(member, 100), request())


async def spend(
    database: Database,
    member: UUID,
    code: Code | None,
    points: int = 30,
    place: str = "BJ001",
    asked: Request | None = None,
    now: datetime = NOW,
) -> Posting:
    """A confirmed redemption."""
    return await ledger.redeem(
        database.pool,
        member,
        points,
        place=place,
        cause="order:1",
        confirm=True,
        code=code,
        request=asked or request(now=now),
    )


async def sent(database: Database, member: UUID) -> bool:
    """The code goes out for 30 points at BJ001, good for five minutes."""
    return await ledger.expect_code(database.pool, member, SENT, place="BJ001", points=30, until=NOW + 5 * MINUTE)


async def test_a_code_is_required(database: Database, member: UUID) -> None:
    with pytest.raises(ConfirmationRequired):
        await spend(database, member, None)
    with pytest.raises(ConfirmationRequired):
        await ledger.hold(
            database.pool,
            member,
            30,
            place="BJ001",
            cause="order:1",
            until=NOW + MINUTE,
            confirm=True,
            request=request(),
        )
    assert await balances(database.pool, member) == (100, 0, 0, 0)


async def test_a_step_of_the_app_is_accepted_once(database: Database, member: UUID) -> None:
    assert (await spend(database, member, by_app(70))).available == 70
    for step in (70, 69):
        with pytest.raises(ConfirmationWrong):
            await spend(database, member, by_app(step))
    assert (await spend(database, member, by_app(71))).available == 40


async def test_a_sent_code_is_accepted_once(database: Database, member: UUID) -> None:
    assert await sent(database, member)
    assert (await spend(database, member, BY_SMS)).available == 70
    with pytest.raises(ConfirmationWrong):
        await spend(database, member, BY_SMS)


@pytest.mark.parametrize(
    ("points", "place", "now"), [(31, "BJ001", NOW), (30, "SH002", NOW), (30, "BJ001", NOW + 5 * MINUTE)]
)
async def test_a_sent_code_is_for_these_points_at_this_place_in_its_time(
    database: Database, member: UUID, points: int, place: str, now: datetime
) -> None:
    assert await sent(database, member)
    with pytest.raises(ConfirmationWrong):
        await spend(database, member, BY_SMS, points, place, now=now)
    assert (await spend(database, member, BY_SMS)).available == 70


async def test_another_code_is_sent_after_a_minute(database: Database, member: UUID) -> None:
    async def send(digest: bytes, after: timedelta) -> bool:
        until = NOW + after + 5 * MINUTE
        return await ledger.expect_code(database.pool, member, digest, place="BJ001", points=30, until=until)

    assert await send(SENT, timedelta(0))
    assert not await send(OTHER, timedelta(seconds=59))
    assert await send(OTHER, MINUTE)
    with pytest.raises(ConfirmationWrong):
        await spend(database, member, BY_SMS)
    assert (await spend(database, member, Code(None, OTHER))).available == 70


async def test_five_wrong_codes_lock_for_ten_minutes(database: Database, member: UUID) -> None:
    for _ in range(5):
        with pytest.raises(ConfirmationWrong):
            await spend(database, member, WRONG)
    for later in (timedelta(0), 10 * MINUTE - timedelta(seconds=1)):
        with pytest.raises(ConfirmationLocked):
            await spend(database, member, by_app(70), now=NOW + later)
    assert (await spend(database, member, by_app(70), now=NOW + 10 * MINUTE)).available == 70


async def test_wrong_codes_far_apart_do_not_add_up(database: Database, member: UUID) -> None:
    for n in range(6):
        with pytest.raises(ConfirmationWrong):
            await spend(database, member, WRONG, now=NOW + 10 * n * MINUTE)


async def test_a_right_code_forgets_the_wrong_ones(database: Database, member: UUID) -> None:
    for step in (70, 71):
        for _ in range(4):
            with pytest.raises(ConfirmationWrong):
                await spend(database, member, WRONG)
        await spend(database, member, by_app(step))


async def test_a_refused_redemption_does_not_use_up_its_code(database: Database, member: UUID) -> None:
    with pytest.raises(InsufficientPoints):
        await spend(database, member, by_app(70), points=101)
    assert (await spend(database, member, by_app(70))).available == 70
    assert await ledger.expect_code(database.pool, member, SENT, place="BJ001", points=80, until=NOW + 5 * MINUTE)
    with pytest.raises(InsufficientPoints):
        await spend(database, member, BY_SMS, points=80)
    await ledger.adjust(database.pool, member, 10, reason="goodwill", expires_on=NOW.date(), request=request())
    assert (await spend(database, member, BY_SMS, points=80)).available == 0


async def test_a_retry_gets_the_first_answer_before_its_code_is_judged(database: Database, member: UUID) -> None:
    asked = request("confirmed")
    first = await spend(database, member, by_app(70), asked=asked)
    for code in (by_app(70), WRONG, None):
        again = await spend(database, member, code, asked=asked)
        assert (again.replayed, again.posting_no, again.available) == (
            True,
            first.posting_no,
            first.available,
        )
    for _ in range(4):
        with pytest.raises(ConfirmationWrong):
            await spend(database, member, WRONG)
    assert (await spend(database, member, by_app(71))).available == 40


async def test_a_wrong_code_posts_nothing(database: Database, service: asyncpg.Connection, member: UUID) -> None:
    with pytest.raises(ConfirmationWrong):
        await spend(database, member, WRONG)
    version = await service.fetchval("SELECT version FROM ledger.member_balance WHERE member_id = $1", member)
    assert version == 1
    assert await failures(service) == {}
