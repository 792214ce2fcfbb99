"""What contests, draws and auctions of the full-size network come to."""

from datetime import timedelta
from uuid import UUID

from app.demo.full_calendar import PRIZE_POINTS, PUBLISHED
from app.demo.full_lives import HOUR, Life
from app.events import auctions, contests, draws
from app.events import queries as events
from app.events.contest_rules import Entrants
from app.events.contest_schemas import DrawCreate, LotCreate, Prize, Standing
from app.events.rules import EventKind, LineKind

SHARES_OF_PRIZE = (50, 30, 20)
"""In percent, of a contest's first three."""
LOT, START, STEP, BIDS = "车模一辆", 40, 20, 3
PUBLIC_VALUE = "07 11 18 23 29 31 + 05"


async def prepare(life: Life) -> None:
    """What has to be there before anybody comes: a draw's sealed seed, an auction's lot."""
    event, plan = life.event, life.plan
    published = plan.starts_at - PUBLISHED + HOUR
    if plan.kind is EventKind.DRAW:
        line = await _prize_line(life)
        prizes = [Prize(prize="首奖", points=PRIZE_POINTS // 2, line_id=line)]
        prizes.append(Prize(points=PRIZE_POINTS // 8, line_id=line, quantity=4))
        body = DrawCreate(entrants=Entrants.ATTENDED, prizes=prizes)
        await draws.prepare(life.session, life.planner, event.id, body, now=published)
    if plan.kind is EventKind.AUCTION:
        lot = LotCreate(name=LOT, start_points=START, step_points=STEP, closes_at=plan.ends_at)
        await auctions.offer(life.session, life.planner, event.id, lot, now=published)


async def bid(life: Life) -> None:
    """Guests outbid each other with the points they have for coming; the last pays when the hammer falls."""
    if life.plan.kind is not EventKind.AUCTION:
        return
    (offered,) = await auctions.lots(life.session, life.event.id)
    for number, guest in enumerate((await life.came())[:BIDS]):
        at = life.plan.ends_at - HOUR + number * timedelta(minutes=5)
        await auctions.bid(
            life.session, guest.actor, guest.member_id, offered.lot.id, START + number * STEP, now=at
        )  # fmt: skip
    await auctions.close(life.session, life.planner, life.event.id, offered.lot.id, now=life.plan.ends_at)


async def give(life: Life) -> None:
    """The winners of a contest or a draw."""
    months, now = life.settings.event_prize_months, life.plan.ends_at + HOUR
    if life.plan.kind is EventKind.CONTEST:
        line = await _prize_line(life)
        winners = zip(await life.came(), SHARES_OF_PRIZE, strict=False)
        standings = [
            Standing(member_id=guest.member_id, rank=rank, points=PRIZE_POINTS * percent // 100, line_id=line)
            for rank, (guest, percent) in enumerate(winners, start=1)
        ]
        await contests.give(life.session, life.planner, life.event.id, standings, months=months, now=now)
    if life.plan.kind is EventKind.DRAW:
        await draws.draw(life.session, life.planner, life.event.id, PUBLIC_VALUE, months=months, now=now)


async def _prize_line(life: Life) -> UUID:
    lines = await events.lines(life.session, life.event.id)
    return next(line.id for line in lines if line.kind == LineKind.POINTS)
