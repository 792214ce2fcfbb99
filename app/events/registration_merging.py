"""What of registrations moves when two memberships become one. Whose points paid for them stays on record.

Of two live ones for the same event the one with seats goes on, else that of who goes on. The other one ends: at once
where it only waited, else with the membership (`endings.end_of_who_left`), which gives the points back, too.
"""

from uuid import UUID

import asyncpg

from app.members.merging import Mover, rows

_NOT_TWICE = """(t.status NOT IN ('registered', 'waiting', 'offered') OR NOT EXISTS (
  SELECT FROM registration o
   WHERE o.member_id = $2 AND o.event_id = t.event_id AND o.status IN ('registered', 'waiting', 'offered')))"""

_GIVE_WAY = """
UPDATE registration t
   SET status = 'cancelled', ended_by = 'merge', ended_at = now(), reason = 'the members were merged'
 WHERE t.member_id = $2 AND t.status IN ('waiting', 'offered')
   AND EXISTS (SELECT FROM registration o
                WHERE o.member_id = $1 AND o.event_id = t.event_id AND o.status = 'registered')"""

_REGISTRATIONS = rows("event registrations", "registration", only=_NOT_TWICE)


async def _move(connection: asyncpg.Connection, source: UUID, target: UUID) -> list[str]:
    await connection.execute(_GIVE_WAY, source, target)
    return await _REGISTRATIONS.move(connection, source, target)


MOVERS = (Mover(_REGISTRATIONS.name, _move, _REGISTRATIONS.restore),)
