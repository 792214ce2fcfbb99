"""Settlement's SQL: the month's fold, terms in force, statements as stored and as seen."""

from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.chapters import queries as chapters
from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.core.db import Connection, insert_rows
from app.core.paging import Page, decode_cursor, id_after, paged
from app.core.problems import InvalidPayload
from app.partners.rules import party_of
from app.settlement.models import Contract, Dispute, Statement, StatementLine
from app.settlement.rules import CONFIRM_DAYS, Basis, Direction, Flow, Line, StatementStatus, amount_fen
from app.settlement.schemas import Closing, ContractRead, PeriodRead, StatementRead

_CONTRACTS = 7_320_000_000

# the dealer's own newest contract, else the general one
_IN_FORCE = """(
    SELECT rate_fen_per_thousand, charging, confirm_days FROM contract
     WHERE (dealer_code = {dealer} OR dealer_code IS NULL) AND valid_from <= {day}
     ORDER BY dealer_code NULLS LAST, valid_from DESC LIMIT 1)"""

# Each row of `money`: a move of points that is money between a dealer and headquarters. `side` tells which
# dealer: of the place, or the funder. `charging`: only when the funder's contract of the grant's day says so.
_FOLD = f"""
WITH money (from_bucket, to_bucket, side, direction, basis, charging) AS (VALUES
  ('available'::ledger.bucket, 'spent'::ledger.bucket, 'place', 'credit', 'redemption', NULL),
  ('held',      'spent',     'place',  'credit', 'redemption', NULL),
  ('available', 'spent',     'funder', 'charge', 'redemption', 'redemption'),
  ('held',      'spent',     'funder', 'charge', 'redemption', 'redemption'),
  ('spent',     'available', 'place',  'charge', 'refund',     NULL),
  ('spent',     'available', 'funder', 'credit', 'refund',     'redemption'),
  ('available', 'owed',      'place',  'credit', 'repayment',  NULL),
  ('available', 'owed',      'funder', 'charge', 'repayment',  'redemption'),
  ('issued',    'pending',   'funder', 'charge', 'issuance',   'issuance'),
  ('issued',    'available', 'funder', 'charge', 'issuance',   'issuance'),
  ('pending',   'reversed',  'funder', 'credit', 'reversal',   'issuance'),
  ('available', 'reversed',  'funder', 'credit', 'reversal',   'issuance')
), moved AS (
  SELECT CASE side WHEN 'place' THEN m.place ELSE m.funder END AS dealer, direction, basis, charging,
         m.funder, m.place, m.booked_on, l.granted_on, sum(m.points) AS points
    FROM ledger.movement m
    JOIN money USING (from_bucket, to_bucket)
    LEFT JOIN ledger.lot l ON charging IS NOT NULL AND l.member_id = m.member_id AND l.lot_no = m.lot_no
   WHERE m.period = $1 AND CASE side WHEN 'place' THEN m.place ELSE m.funder END <> 'HQ'
   GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
)
SELECT dealer, direction, basis, funder, place, terms.rate_fen_per_thousand, sum(points)::bigint
  FROM moved
  LEFT JOIN LATERAL {_IN_FORCE.format(dealer="moved.dealer", day="moved.booked_on")} terms ON true
  LEFT JOIN LATERAL {_IN_FORCE.format(dealer="moved.dealer", day="moved.granted_on")} granted ON true
 WHERE moved.charging IS NULL OR moved.charging = coalesce(granted.charging, 'redemption')
 GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608 (constants only)


async def fold(connection: Connection, period: date) -> list[Flow]:
    """A month's money flows, from the ledger alone; the rate is null where no contract is in force."""
    return [
        Flow(dealer, Direction(direction), Basis(basis), *rest)
        for dealer, direction, basis, *rest in await connection.fetch(_FOLD, period)
    ]


async def worth(connection: Connection, day: date) -> Callable[[str, int], int]:
    """What points redeemed with a dealer are worth (fen) at the rates in force on a day; nothing without a contract."""
    rows = await connection.fetch(
        """SELECT DISTINCT ON (dealer_code) dealer_code, rate_fen_per_thousand FROM contract WHERE valid_from <= $1
            ORDER BY dealer_code, valid_from DESC""",
        day,
    )
    rates: dict[str | None, int] = dict(map(tuple, rows))
    return lambda dealer, points: amount_fen(points, rates.get(dealer, rates.get(None, 0)))


async def party_exists(connection: Connection, party: str) -> bool:
    """Whether there is such a dealer, or such a partner (`partner:CODE`)."""
    kind, _, code = party.partition(":")
    if not code:
        return await chapters.dealer_exists(connection, kind)
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM partner WHERE code = $1)", code))


async def lock_contracts(connection: asyncpg.Connection) -> None:
    """Keep contracts and closings apart until commit: a month is sealed under the terms that folded it."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _CONTRACTS)


async def confirm_days(connection: Connection, dealers: Sequence[str], day: date) -> dict[str, int]:
    """Days for confirmation by dealer, under the terms of a day; dealers without terms are missing."""
    rows = await connection.fetch(
        f"""SELECT dealer, terms.confirm_days FROM unnest($1::text[]) dealer
              JOIN LATERAL {_IN_FORCE.format(dealer="dealer", day="$2")} terms ON true""",  # noqa: S608 (constants only)
        dealers, day,
    )  # fmt: skip
    return {dealer: days for dealer, days in rows}  # noqa: C416 (records are no tuples)


async def insert_general_contract(
    connection: asyncpg.Connection, contract_id: UUID, valid_from: date, rate: int
) -> None:
    """Write general terms (charged at redemption, rate in fen per 1,000 points) unless there are some."""
    await connection.execute(
        """INSERT INTO contract (id, valid_from, rate_fen_per_thousand, charging, confirm_days)
           SELECT $1, $2, $3, 'redemption', $4
            WHERE NOT EXISTS (SELECT FROM contract WHERE dealer_code IS NULL)""",
        contract_id, valid_from, rate, CONFIRM_DAYS,
    )  # fmt: skip


# --- months ---


async def first_period(connection: Connection) -> date | None:
    """The first month of the books."""
    first: date | None = await connection.fetchval("SELECT min(period) FROM ledger.period")
    return first


async def first_open(connection: Connection) -> date:
    """The month that is next to be closed; it has no row yet when nothing was posted to it."""
    first = await connection.fetchval(
        """SELECT coalesce(max(period) FILTER (WHERE sealed_at IS NOT NULL) + interval '1 month',
                           min(period))::date FROM ledger.period"""
    )
    assert isinstance(first, date)
    return first


async def last_sealed(connection: Connection) -> date | None:
    """The latest sealed month."""
    query = "SELECT max(period) FROM ledger.period WHERE sealed_at IS NOT NULL"
    last: date | None = await connection.fetchval(query)
    return last


async def closing(connection: Connection, period: date) -> Closing | None:
    """A sealed month's result as stored; None while it is open."""
    row = await connection.fetchrow(
        """SELECT p.period, p.sealed_at, encode(p.seal, 'hex') AS seal, count(s.id) AS statements,
                  coalesce(sum(s.credit_fen), 0)::bigint AS credit_fen,
                  coalesce(sum(s.charge_fen), 0)::bigint AS charge_fen,
                  coalesce(sum(s.net_fen), 0)::bigint AS net_fen,
                  -coalesce(sum(s.net_fen), 0)::bigint AS hq_net_fen
             FROM ledger.period p LEFT JOIN statement s USING (period)
            WHERE p.period = $1 AND p.sealed_at IS NOT NULL GROUP BY p.period""",
        period,
    )
    return Closing(**row) if row else None


async def periods(connection: Connection, cursor: str | None, limit: int) -> Page[PeriodRead]:
    """The months of the books, newest first."""
    before = _month_at(*decode_cursor(cursor, str)) if cursor else date.max
    rows = await connection.fetch(
        """SELECT period, sealed_at, encode(seal, 'hex') AS seal FROM ledger.period
            WHERE period < $1 ORDER BY period DESC LIMIT $2""",
        before, limit + 1,
    )  # fmt: skip
    months = [PeriodRead(**row) for row in rows]
    return Page[PeriodRead].model_validate(paged(months, limit, lambda month: (month.period.isoformat(),)))


def _month_at(position: object) -> date:
    try:
        return date.fromisoformat(str(position))
    except ValueError:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid") from None


# --- statements as the close writes them and verification reads them ---


async def insert_statements(
    connection: asyncpg.Connection, statements: Sequence[Statement], lines: Sequence[Line]
) -> None:
    """Write a month's statements and their lines."""
    ids = {statement.dealer_code: statement.id for statement in statements}
    columns = list(Statement.model_fields)
    records = [tuple(getattr(statement, column) for column in columns) for statement in statements]
    await insert_rows(connection, "statement", columns, records)
    columns = ["statement_id", *Line._fields[1:]]
    await insert_rows(connection, "statement_line", columns, [(ids[line.dealer_code], *line[1:]) for line in lines])


async def stored_lines(connection: Connection, period: date) -> list[Line]:
    """A month's lines as the statements hold them, ordered by dealer and line."""
    rows = await connection.fetch(
        """SELECT s.dealer_code, l.line_no, l.direction, l.basis, l.funder, l.place, l.rate_fen_per_thousand,
                  l.points, l.amount_fen
             FROM statement s JOIN statement_line l ON l.statement_id = s.id
            WHERE s.period = $1 ORDER BY s.dealer_code COLLATE "C", l.line_no""",
        period,
    )
    return [
        Line(dealer, line_no, Direction(direction), Basis(basis), *rest)
        for dealer, line_no, direction, basis, *rest in rows
    ]


# --- what verification compares ---


async def statement_digests(connection: Connection) -> dict[date, bytes]:
    """Every sealed month's digest of its statements."""
    query = "SELECT period, statements FROM ledger.period WHERE sealed_at IS NOT NULL ORDER BY period"
    return {period: digest for period, digest in await connection.fetch(query)}  # noqa: C416


# --- what users see ---


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """The statements an actor may see: headquarters all, a region its dealers', dealers' and partners' staff theirs."""
    if actor.partner_code is not None:
        return col(Statement.dealer_code) == party_of(actor.partner_code)
    return dealer_visible_to(actor, col(Statement.dealer_code))


async def statements(
    session: AsyncSession, actor: Actor, *, period: date | None, dealer_code: str | None,
    status: StatementStatus | None, cursor: str | None, limit: int,
) -> Page[StatementRead]:  # fmt: skip
    """Statements, newest month first, then by dealer."""
    month, dealer = col(Statement.period), col(Statement.dealer_code)
    query = select(Statement).where(visible_to(actor)).order_by(month.desc(), dealer).limit(limit + 1)
    for column, wanted in ((month, period), (dealer, dealer_code), (col(Statement.status), status)):
        if wanted is not None:
            query = query.where(column == wanted)
    if cursor:
        at, after = decode_cursor(cursor, str, str)
        query = query.where(or_(month < _month_at(at), and_(month == _month_at(at), dealer > after)))
    found = (await session.scalars(query)).all()
    page = paged(found, limit, lambda last: (last.period.isoformat(), last.dealer_code))
    return Page[StatementRead].model_validate(page)


async def statement(session: AsyncSession, actor: Actor, statement_id: UUID, *, lock: bool = False) -> Statement | None:
    """A statement the actor may see; with `lock`, as it stands once others have let go of it."""
    query = select(Statement).where(col(Statement.id) == statement_id, visible_to(actor))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found: Statement | None = await session.scalar(query)
    return found


async def statement_lines(session: AsyncSession, statement_id: UUID) -> Sequence[StatementLine]:
    """A statement's lines in order."""
    query = select(StatementLine).where(col(StatementLine.statement_id) == statement_id)
    return (await session.scalars(query.order_by(col(StatementLine.line_no)))).all()


async def disputes(session: AsyncSession, statement_id: UUID) -> Sequence[Dispute]:
    """A statement's disputes, oldest first."""
    query = select(Dispute).where(col(Dispute.statement_id) == statement_id).order_by(col(Dispute.id))
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def contracts(
    session: AsyncSession, *, dealer_code: str | None, cursor: str | None, limit: int
) -> Page[ContractRead]:
    """Contracts in the order they were made."""
    query = select(Contract).order_by(col(Contract.id)).limit(limit + 1)
    if dealer_code is not None:
        query = query.where(col(Contract.dealer_code) == dealer_code)
    if after := id_after(cursor):
        query = query.where(col(Contract.id) > after)
    found = (await session.scalars(query)).all()
    return Page[ContractRead].model_validate(paged(found, limit, lambda last: (str(last.id),)))
