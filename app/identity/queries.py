"""Reads of accounts for the domains above."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.identity.models import Account


async def staff_of(session: AsyncSession, dealer_code: str, *, after: UUID | None, limit: int) -> Sequence[Account]:
    """A dealer's accounts, oldest first, from after an id."""
    query = select(Account).where(col(Account.dealer_code) == dealer_code).order_by(col(Account.id)).limit(limit)
    return (await session.scalars(query if after is None else query.where(col(Account.id) > after))).all()


async def staff_account(session: AsyncSession, account_id: UUID) -> Account | None:
    """A dealer's account, locked for change; headquarters' and programs' are not staff."""
    account = await session.get(Account, account_id, with_for_update=True, populate_existing=True)
    return account if account is not None and account.dealer_code is not None else None
