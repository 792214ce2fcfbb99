"""Whether an event brought members to the workshop: those who came beside like ones who were invited and did not.

What is compared are visits (days with a closed order) in the `DAYS` days after the event, with all dealers. Who was
not invited is not compared: whoever comes unasked is keen already. The invited as a whole stand beside the control
group, if there is one: that comparison needs no matching.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.clock import china_date
from app.core.db import unrestricted
from app.events import invitations
from app.events.gathering_rules import Mean, Visits, matched

DAYS = 90
_YEAR = 365


class Comparison(NamedTuple):
    """Each group with what it did until the day `until`, which has passed or not."""

    until: date
    is_complete: bool
    came: Mean
    absent: Mean
    unmatched: int
    invited: Mean
    control: Mean


async def compare(session: AsyncSession, actor: Actor, event_id: UUID, *, now: datetime) -> Comparison:
    """Compare who came with who did not.

    Raises:
        NotFound, Forbidden.
    """
    event = await invitations.run_by(session, actor, event_id)
    first, last = china_date(event.starts_at), china_date(event.ends_at)
    until = last + timedelta(days=DAYS)
    # sums alone leave this function; members of a chapter may have driven elsewhere
    await unrestricted(session)
    invited, control = await _visits(session, event_id, first, last, until)
    pairs = matched(invited)
    return Comparison(
        until=until, is_complete=china_date(now) > until,
        came=Mean.of([pair.came for pair in pairs]), absent=Mean.of([pair.absent for pair in pairs]),
        unmatched=sum(one.came for one in invited) - len(pairs), invited=Mean.of(invited), control=Mean.of(control),
    )  # fmt: skip


_VISITS = """
SELECT i.is_control, i.member_id,
       EXISTS (
         SELECT FROM registration r JOIN check_in c ON c.registration_id = r.id AND c.undone_at IS NULL
          WHERE r.event_id = i.event_id AND r.member_id = i.member_id AND r.status = 'registered') AS came,
       m.dealer_code, v.before, v.before_fen, v.after, v.after_fen
  FROM invitation i
  JOIN member m ON m.id = i.member_id
  CROSS JOIN LATERAL (
    SELECT count(DISTINCT o.business_date) FILTER (WHERE o.business_date < :first) AS before,
           coalesce(sum(o.paid_fen) FILTER (WHERE o.business_date < :first), 0) AS before_fen,
           count(DISTINCT o.business_date) FILTER (WHERE o.business_date > :last) AS after,
           coalesce(sum(o.paid_fen) FILTER (WHERE o.business_date > :last), 0) AS after_fen
      FROM repair_order o
     WHERE o.member_id = i.member_id AND o.cancelled_at IS NULL AND o.business_date BETWEEN :from AND :until) v
 WHERE i.event_id = :event
"""


async def _visits(
    session: AsyncSession, event_id: UUID, first: date, last: date, until: date
) -> tuple[Sequence[Visits], Sequence[Visits]]:
    """The visits of the invited, and of the control group."""
    span = {"event": event_id, "first": first, "last": last, "from": first - timedelta(days=_YEAR), "until": until}
    groups: tuple[list[Visits], list[Visits]] = ([], [])
    for is_control, member_id, came, dealer_code, *figures in await session.execute(text(_VISITS), span):
        groups[is_control].append(Visits(member_id, came, dealer_code, *map(int, figures)))
    return groups
