"""What is joined only at the top: the books' opening, and the invariants that `club verify` checks."""

from collections.abc import Sequence
from datetime import date

from app.core import db
from app.core.checks import Check
from app.core.vault import Vault
from app.members import fields, merging, timeline, vehicles
from app.members.sealing import phones_readable
from app.members.transfer_timeline import SOURCES as TRANSFER_SOURCES
from app.members.verify import CHECKS as MEMBERS
from app.points import ledger
from app.points.fields import FIELDS as POINTS_FIELDS
from app.points.timeline import SOURCES as POINTS_SOURCES
from app.points.verify import CHECKS as POINTS
from app.privacy.timeline import SOURCES as PRIVACY_SOURCES
from app.privacy.verify import CHECKS as PRIVACY
from app.settlement.service import ensure_default_contract
from app.settlement.verify import CHECKS as SETTLEMENT
from app.visits import queries as visits
from app.visits.fields import FIELDS as VISITS_FIELDS
from app.visits.merging import MOVERS as VISITS_MOVERS
from app.visits.timeline import SOURCES as VISITS_SOURCES
from app.visits.verify import CHECKS as VISITS

vehicles.register_services(visits.last_service)
fields.register(*POINTS_FIELDS, *VISITS_FIELDS)
merging.register(*VISITS_MOVERS)
timeline.register(*TRANSFER_SOURCES, *POINTS_SOURCES, *VISITS_SOURCES, *PRIVACY_SOURCES)

CHECKS: Sequence[Check] = (*POINTS, *MEMBERS, *VISITS, *PRIVACY, *SETTLEMENT)
Results = Sequence[tuple[Check, Sequence[str]]]
"""Each check with the rows that disagree."""


async def open_books(dsn: str, first_period: date, rate_fen_per_thousand: int) -> None:
    """Give an empty ledger its first month and the general contract from then on; opened books stay as they are."""
    connection = await db.connect(dsn)
    try:
        async with connection.transaction():
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM ledger.period)"):
                await ledger.open_period(connection, first_period)
                await ensure_default_contract(
                    connection, valid_from=first_period, rate_fen_per_thousand=rate_fen_per_thousand
                )
    finally:
        await connection.close()


async def verify(dsn: str, vault: Vault | None = None) -> Results:
    """Every check, all seen at one moment; with a vault also whether every phone number can be read."""
    checks = [*CHECKS, *([phones_readable(vault)] if vault else [])]
    connection = await db.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return [(check, await check.run(connection)) for check in checks]
    finally:
        await connection.close()
