"""One account per role, to look around with. Passwords come from the installation's secret: none is shipped."""

import base64
import hmac
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Role
from app.core.db import Database
from app.demo.perks import AGENCY, HOTEL
from app.identity import credentials, programs
from app.identity import service as identity
from app.identity.models import Account
from app.settings import Settings


class Hire(NamedTuple):
    """An account of the demonstration."""

    username: str
    name: str
    role: Role
    dealer_code: str | None = None
    partner_code: str | None = None
    agency_code: str | None = None
    scopes: tuple[str, ...] = ()


HIRES = (
    Hire("hq", "总部管理员", Role.HQ_ADMIN),
    Hire("director.sh001", "上海 SH001 客户关爱总监", Role.CARE_DIRECTOR, "SH001"),
    Hire("advisor.sh001", "上海 SH001 服务顾问", Role.SERVICE_ADVISOR, "SH001"),
    Hire("finance.hz001", "杭州 HZ001 财务结算", Role.FINANCE_CLERK, "HZ001"),
    Hire("till.hotel", "湖滨酒店 前台", Role.PARTNER_CLERK, partner_code=HOTEL.code),
    Hire("manager.hotel", "湖滨酒店 经理", Role.PARTNER_MANAGER, partner_code=HOTEL.code),
    Hire("agency", "同行商务代理", Role.AGENCY_CLERK, agency_code=AGENCY.code),
    Hire(
        "dms", "dealers' management system", Role.API_CLIENT,
        scopes=("members:apply", "members:enrol", "members:write", "network:read", "orders:cancel", "orders:read",
                "orders:write", "points:earn", "points:read", "points:redeem", "points:reverse",
                "records:export"),
    ),
)  # fmt: skip


def password(settings: Settings, username: str) -> str:
    """The account's password on this installation."""
    # the oldest secret: passwords outlive `club rotate-key`
    digest = hmac.digest(settings.signing_keys[-1], f"demo password of {username}".encode(), "sha256")
    return base64.b32encode(digest[:10]).decode().lower()


async def hire(database: Database, settings: Settings, now: datetime) -> None:
    """Make the accounts that are not there yet."""
    async with database.session() as session:
        for person in HIRES:
            known = password(settings, person.username)
            account = await identity.find(session, person.username)
            if person.role is Role.API_CLIENT:
                await _take_in(session, person, account, known, now)
                continue
            if account is None:
                account = await identity.create_account(
                    session, username=person.username, name=person.name, role=person.role,
                    dealer_code=person.dealer_code, partner_code=person.partner_code, agency_code=person.agency_code,
                    password=known, now=now, by="demo",
                )  # fmt: skip
            await credentials.waive_for_demo(session, account.id, now=now)


async def _take_in(session: AsyncSession, program: Hire, account: Account | None, secret: str, now: datetime) -> None:
    """A program with the secret that is shown; one of an earlier release has none yet."""
    if account is None:
        await programs.create(
            session, username=program.username, name=program.name, scopes=program.scopes, now=now, secret=secret
        )
    elif not await programs.secrets_of(session, account.id):
        await programs.give_secret(session, account, now, secret)
