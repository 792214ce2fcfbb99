"""The world that is asked: two dealers with one of everything, and an account of each role."""

from datetime import timedelta

from app.core.actors import Role
from app.settlement import service
from tests.api import Api
from tests.asking import (
    chapters,
    earning,
    events,
    identity,
    members,
    partners,
    points,
    privacy,
    referrals,
    reports,
    rewards,
    settlement,
    visits,
)
from tests.asking.base import FIRST_MONTH, Phones, Target, World
from tests.now import NOW
from tests.shop import Shop

MONTHS = 12
"""Closed, so that each dealer has some statements to confirm and to pay."""
DOMAINS = (
    partners, privacy, events, points, visits, members, identity, settlement, chapters, earning, referrals, reports,
    rewards,
)  # fmt: skip
"""In the order in which they are asked what there is: consents name a partner."""


async def open_world(api: Api) -> World:
    """Enough of both dealers to ask every route for."""
    api.app.state.sms = Phones()
    shop = await Shop.open(api)
    month = FIRST_MONTH
    for _ in range(MONTHS):
        await service.close(api.db, month, now=NOW)
        month = (month + timedelta(days=31)).replace(day=1)
    own, foreign = await _belongings(shop, "BJ001"), await _belongings(shop, "SH001")
    accounts = {role: await identity.account_of(shop, role, own) for role in Role if _is_person(role)}
    statements = {one.dealer: (await settlement.statements_of(shop, one.dealer))[1:] for one in (own, foreign)}
    return World(shop, own, foreign, accounts, statements)


def _is_person(role: Role) -> bool:
    return role not in {Role.MEMBER, Role.API_CLIENT}


async def _belongings(shop: Shop, dealer: str) -> Target:
    target = Target(dealer, dealer[:2], await shop.member(dealer=dealer, points=10_000))
    for domain in DOMAINS:
        target = target._replace(**await domain.belongings(shop, target))
    return target
