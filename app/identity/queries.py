"""Reads of accounts and their grants."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.actors import Role
from app.identity import grants
from app.identity.models import Account, AccountKind, Grant


class StaffMember(NamedTuple):
    """An account under one of its grants."""

    account: Account
    grant: Grant


async def staff_of(
    session: AsyncSession, dealer_code: str, today: date, *, after: UUID | None, limit: int
) -> Sequence[StaffMember]:
    """A dealer's accounts by grant, oldest first, from after a grant's id; whose grant is over, is staff no more."""
    query = (
        select(Account, Grant)
        .join(Grant, col(Grant.account_id) == col(Account.id))
        .where(col(Grant.dealer_code) == dealer_code, grants.not_over(today))
        .order_by(col(Grant.id))
        .limit(limit)
    )
    rows = await session.execute(query if after is None else query.where(col(Grant.id) > after))
    return [StaffMember(account, grant) for account, grant in rows]


async def staff_member(session: AsyncSession, account_id: UUID, today: date) -> Sequence[StaffMember]:
    """A person under each grant that is not over, oldest first, the account locked for change."""
    account = await session.get(Account, account_id, with_for_update=True, populate_existing=True)
    if account is None:
        return []
    mine = select(Grant).where(Grant.account_id == account_id, grants.not_over(today)).order_by(col(Grant.id))
    return [StaffMember(account, grant) for grant in await session.scalars(mine)]


async def accounts(
    session: AsyncSession, today: date, *, kind: AccountKind | None, role: Role | None, dealer_code: str | None,
    is_active: bool | None, after: UUID | None, limit: int,
) -> Sequence[Account]:  # fmt: skip
    """Accounts, oldest first, from after an id; None does not filter. A role or dealer is one granted and not over."""
    query = select(Account).order_by(col(Account.id)).limit(limit)
    if after is not None:
        query = query.where(col(Account.id) > after)
    if kind is not None:
        query = query.where(col(Account.kind) == kind)
    if is_active is not None:
        query = query.where(col(Account.is_active) == is_active)
    if role is not None or dealer_code is not None:
        granted = select(Grant.account_id).where(grants.not_over(today))
        granted = granted if role is None else granted.where(col(Grant.role) == role)
        granted = granted if dealer_code is None else granted.where(col(Grant.dealer_code) == dealer_code)
        query = query.where(col(Account.id).in_(granted))
    return (await session.scalars(query)).all()


async def grants_by_account(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[Grant]]:
    """All grants these accounts ever had, oldest first."""
    found: dict[UUID, list[Grant]] = {account_id: [] for account_id in ids}
    for grant in await session.scalars(select(Grant).where(col(Grant.account_id).in_(ids)).order_by(col(Grant.id))):
        found[grant.account_id].append(grant)
    return found
