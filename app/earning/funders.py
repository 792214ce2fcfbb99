"""Parties that fund rules besides headquarters and dealers: who knows them says what is wrong with a rule."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.problems import FieldError
from app.earning.definitions import Definition

Faults = Callable[[AsyncSession, Definition, str | None, str], Awaitable[list[FieldError]]]
"""What is wrong with a definition's funders, given the rule's chapter (None: headquarters') and the pointer to it."""
_JUDGES: list[Faults] = []


def register(judge: Faults) -> None:
    """Make known who judges funders; through wiring."""
    _JUDGES.append(judge)


async def faults(session: AsyncSession, definition: Definition, dealer_code: str | None, at: str) -> list[FieldError]:
    """What all judges find."""
    return [fault for judge in _JUDGES for fault in await judge(session, definition, dealer_code, at)]
