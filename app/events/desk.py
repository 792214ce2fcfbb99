"""Where registrations arrive: those who ask a process at the same time are served together, in the order of coming.

One lock of the event, one count of its seats and one commit for many: when 2,000 members want 500 seats in the same
second, that is what lets all of them have their answer in it.
"""

import asyncio
from collections import deque
from contextvars import Context
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from app.core.db import Database
from app.core.problems import Problem
from app.events import registrations
from app.events.models import ClubEvent
from app.events.registrations import Entry, Shown

MOST_TOGETHER = 500


class _Waiting(NamedTuple):
    entry: Entry
    answer: asyncio.Future[Shown]


class Desk:
    """A process's lines, one an event. A process has one: `request.app.state.desk`."""

    def __init__(self) -> None:
        self._lines: dict[UUID, deque[_Waiting]] = {}
        self._servers: set[asyncio.Task[None]] = set()

    async def register(self, db: Database, event_id: UUID, entry: Entry) -> Shown:
        """Register a member, in a transaction of its own, or together with others'.

        Raises: the refusals of `registrations.register_all`.
        """
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        if (line := self._lines.get(event_id)) is not None:
            line.append(waiting)
        else:
            self._lines[event_id] = deque([waiting])
            # not as the one who happened to come first: the database would let it see its own rows only
            server = asyncio.create_task(self._serve(db, event_id), context=Context())
            self._servers.add(server)
            server.add_done_callback(self._servers.discard)
        return await waiting.answer

    async def _serve(self, db: Database, event_id: UUID) -> None:
        line = self._lines[event_id]
        try:
            most = await _most_together(db, event_id)
            while line:
                await _answer(db, event_id, [line.popleft() for _ in range(min(most, len(line)))])
        except Exception as error:
            while line:
                _refuse(line.popleft(), error)
        finally:
            del self._lines[event_id]


async def _most_together(db: Database, event_id: UUID) -> int:
    # a fee locks a wallet: of many, in the order of coming, two events could lock each other out
    async with db.session() as session:
        has_fee = await session.scalar(select(col(ClubEvent.fee_points) > 0).where(col(ClubEvent.id) == event_id))
    return 1 if has_fee else MOST_TOGETHER


async def _answer(db: Database, event_id: UUID, together: list[_Waiting]) -> None:
    try:
        async with db.session() as session:
            outcomes = await registrations.register_all(session, event_id, [waiting.entry for waiting in together])
    except Exception as error:
        if len(together) > 1:
            # what one of them broke is not to be the others' fault
            for waiting in together:
                await _answer(db, event_id, [waiting])
            return
        _refuse(together[0], error)
        return
    for waiting, outcome in zip(together, outcomes, strict=True):
        if isinstance(outcome, Problem):
            _refuse(waiting, outcome)
        elif not waiting.answer.done():
            waiting.answer.set_result(outcome)


def _refuse(waiting: _Waiting, error: Exception) -> None:
    # who hung up has no future to answer any more
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
