"""What is kept on a member, as each domain tells it: shown to the member, and forgotten with it.

Types alone, so that domains below privacy can tell as well; `privacy.holdings` joins all.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncSession

Erase = Callable[[AsyncSession, UUID, datetime], Awaitable[None]]
"""Removes what tells who a member was, in the transaction of the erasure, while its rows are still there."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One kind of rows that a domain keeps on members.

    Attributes:
        name: its section in a member's own data; the page's heading is `export.<name>` of the catalogue.
        shown: one row as the member sees it; each field has its words in the catalogue, `export.<field>`.
        rows: a member's rows, oldest first; the columns are called as the fields of `shown`.
        erase: None: what is kept leads to nobody once the member's name and phone are gone.
    """

    name: str
    shown: type[BaseModel]
    rows: Callable[[UUID], Executable]
    erase: Erase | None = None

    async def read(self, session: AsyncSession, member_id: UUID) -> list[BaseModel]:
        """A member's rows."""
        return [self.shown(**row) for row in (await session.execute(self.rows(member_id))).mappings()]
