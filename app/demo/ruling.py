"""The demonstration's own earning rules: Hangzhou's dealers pay for the points of their own orders, coming to events
gives points, and at joint events a partner adds some of its own."""

from datetime import date, datetime
from decimal import Decimal

from app.core.actors import Actor
from app.core.db import Database
from app.earning import rules_service as rules
from app.earning.definitions import Definition, Example, Mode, RollingMonths, Share, Stacking
from app.earning.rules_schemas import RuleCreate
from app.earning.triggers import Trigger
from app.points.rules import LIFE_MONTHS

CODE, ATTENDING, JOINT = "orders-hz", "events", "events-joint"
_EXPIRY = RollingMonths(kind="rolling_months", months=LIFE_MONTHS)
POINTS_FOR_COMING, POINTS_A_COMPANION, POINTS_OF_A_PARTNER = 100, 20, 50


async def rule(database: Database, actor: Actor, *, since: date, now: datetime) -> None:
    """Publish the orders' rule; so both directions of settlement show."""
    body = RuleCreate(
        code=CODE, label_zh="杭州大区维修保养积分", label_en="Points for repair orders in Hangzhou",
        definition=_definition(since),
    )  # fmt: skip
    await _publish(database, actor, body, now)


async def event_rules(
    database: Database, actor: Actor, *, partner_code: str, budget: str, since: date, now: datetime
) -> None:
    """Publish what coming to events gives; the partner's part draws on its prepaid points."""
    attending = RuleCreate(
        code=ATTENDING, label_zh="参加活动积分", label_en="Points for coming to events", definition=_attending(since)
    )  # fmt: skip
    joint = RuleCreate(
        code=JOINT, label_zh="联谊活动合作伙伴积分", label_en="A partner's points at joint events",
        definition=_joint(since, f"partner:{partner_code}", budget),
    )  # fmt: skip
    await _publish(database, actor, attending, now)
    await _publish(database, actor, joint, now)


async def _publish(database: Database, actor: Actor, body: RuleCreate, now: datetime) -> None:
    """Publish a rule, if it is not there yet."""
    if await database.pool.fetchval("SELECT EXISTS (SELECT FROM rule WHERE code = $1)", body.code):
        return
    async with database.session() as session:
        draft = (await rules.create(session, actor, body, now=now)).rule
        await rules.publish(session, actor, draft.id, version=draft.version, now=now)


def _attending(since: date) -> Definition:
    come = {"code": "1", "kind": "family_day", "companions": 2}
    serviced = Example(fields={"code": "1", "kind": "free_checkup"}, on=since, points=0)
    return Definition(
        trigger=Trigger.EVENT_ATTENDED,
        # what is done in the workshop gives points by its order
        condition='event.kind != "free_checkup" && event.kind != "service_class"',
        amount=f"{POINTS_FOR_COMING} + event.companions * {POINTS_A_COMPANION}",
        funders=(Share(party="hq", percent=Decimal(100)),),
        expiry=_EXPIRY,
        valid_from=since,
        examples=(Example(fields=come, on=since, points=POINTS_FOR_COMING + 2 * POINTS_A_COMPANION), serviced),
    )


def _joint(since: date, funder: str, budget: str) -> Definition:
    come = {"code": "1", "kind": "partner_joint"}
    return Definition(
        trigger=Trigger.EVENT_ATTENDED,
        condition='event.kind == "partner_joint"',
        amount=str(POINTS_OF_A_PARTNER),
        funders=(Share(party=funder, percent=Decimal(100)),),
        expiry=_EXPIRY,
        budgets=(budget,),
        valid_from=since,
        examples=(Example(fields=come, on=since, points=POINTS_OF_A_PARTNER),),
    )


def _definition(since: date) -> Definition:
    elsewhere = Example(fields=(order := {"kind": "repair", "paid_fen": 12_345}), on=since, points=0)
    here = Example(fields=order, dealer={"code": "HZ001", "region": "HZ"}, on=since, points=123)
    return Definition(
        trigger=Trigger.REPAIR_ORDER,
        condition='dealer.region == "HZ"',
        amount="event.paid_fen / 100",
        funders=(Share(party="dealer", percent=Decimal(100)),),
        expiry=_EXPIRY,
        stacking=Stacking(group="orders", mode=Mode.PRIORITY, priority=100),
        valid_from=since,
        examples=(here, elsewhere),
    )
