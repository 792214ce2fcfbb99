"""Referrals through the API, as consultants, members and headquarters make them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import asyncpg
import pytest

from app.core.actors import Role
from app.referrals import nightly
from tests.api import SETTINGS
from tests.members.conftest import car
from tests.now import NOW
from tests.referrals.office import Office
from tests.shop import Answer, Person, Shop

Body = dict[str, Any]
_serials = count(700_001)


@dataclass
class Desk:
    """BJ001's and SH001's sales desks."""

    shop: Shop

    def __post_init__(self) -> None:
        token = self.shop.api.token
        self.li = token(Role.SALES_CONSULTANT, dealer="BJ001", subject="li")
        self.wang = token(Role.SALES_CONSULTANT, dealer="BJ001", subject="wang")
        self.foreign = token(Role.SALES_CONSULTANT, dealer="SH001", subject="hu")
        self.foreign_director = token(Role.CARE_DIRECTOR, dealer="SH001")

    def of(self, member: Person) -> str:
        """The member's own token."""
        return self.shop.api.token(Role.MEMBER, member=member.id)

    async def register(self, member: Person, token: str = "", **fields: Any) -> Answer:
        """The member's referral of a buyer whom nobody knows, by Li."""
        body = buyer(**fields)
        return await self.shop.post("/referrals", {"referrer_no": member.member_no} | body, token or self.li)

    async def registered(self, member: Person, token: str = "", **fields: Any) -> Body:
        """The same, which is accepted."""
        status, made = await self.register(member, token, **fields)
        assert status == 201, made
        return dict(made)

    async def do(self, made: Body, deed: str, token: str, **body: Any) -> Answer:
        """A step of a referral."""
        return await self.shop.post(f"/referrals/{made['id']}/{deed}", body, token)

    async def read(self, made: Body, token: str = "") -> Body:
        """A referral as it is now."""
        status, found = await self.shop.get(f"/referrals/{made['id']}", token or self.shop.hq)
        assert status == 200, found
        return dict(found)

    async def deliver(self, phone: str | None, **fields: Any) -> Body:
        """BJ001 delivers a car today."""
        body = {
            "dealer_code": "BJ001", "vin": car(next(_serials)), "delivered_on": str(NOW.date()), "phone": phone,
            "owner_kind": "individual", "owner_name": "王芳", "consultant": "li", "model": "Sedan",
        } | fields  # fmt: skip
        status, made = await self.shop.post("/deliveries", body, self.shop.hq)
        assert status == 201, made
        return dict(made)

    async def night(self, days: int = 0) -> None:
        """The worker's night, so many days from now."""
        await nightly.work(self.shop.api.db, SETTINGS, now=NOW + timedelta(days=days))


def buyer(**fields: Any) -> Body:
    """Somebody whom nobody knows."""
    return {"buyer_name": "赵敏", "buyer_phone": f"136{next(_serials):08d}", "may_contact": True} | fields


@pytest.fixture(scope="module")
def desk(shop: Shop) -> Desk:
    """The module's sales desks."""
    return Desk(shop)


@pytest.fixture
async def office(shop: Shop, dsn: str) -> AsyncIterator[Office]:
    """An office that nobody has worked in yet."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("TRUNCATE incentive_line, incentive_list, incentive_rule")
    await connection.close()
    yield Office(shop)
    shop.api.app.state.now = NOW
