"""What `club verify` holds of settlement. A row that disagrees is named by its month, dealer and line."""

from collections.abc import Sequence

import asyncpg

from app.core.checks import Check, sql_check
from app.partners import claims
from app.partners.rules import commission_fen, party_of
from app.settlement import queries, rules, service
from app.settlement.problems import NoContract
from app.settlement.rules import Line


async def _recompute(connection: asyncpg.Connection) -> list[str]:
    rows: list[str] = []
    for period in await queries.statement_digests(connection):
        stored = await queries.stored_lines(connection, period)
        try:
            recomputed = await service.month_lines(connection, period)
        except NoContract as problem:
            rows.append(f"{period:%Y-%m}: {problem}")
        else:
            rows.extend(f"{period:%Y-%m} {row}" for row in _differences(stored, recomputed))
    return rows


def _differences(stored: list[Line], recomputed: list[Line]) -> list[str]:
    ledger = {line[:2]: line for line in recomputed}
    statement = {line[:2]: line for line in stored}
    return [
        f"{dealer} line {line_no}: statement {_told(statement.get(key))}, ledger {_told(ledger.get(key))}"
        for key in sorted(ledger.keys() | statement.keys())
        for dealer, line_no in [key]
        if ledger.get(key) != statement.get(key)
    ]


def _told(line: Line | None) -> str:
    if line is None:
        return "nothing"
    what = f"{line.direction} {line.basis} {line.funder} at {line.place}"
    return f"{what}: {line.points} points, {line.amount_fen} fen"


async def _digests(connection: asyncpg.Connection) -> list[str]:
    return [
        f"{period:%Y-%m}"
        for period, digest in (await queries.statement_digests(connection)).items()
        if rules.digest(period, await queries.stored_lines(connection, period)) != digest
    ]


async def _commissions(connection: asyncpg.Connection) -> list[str]:
    rows: list[str] = []
    for period in await queries.statement_digests(connection):
        if not (earned := await claims.earned(connection, period)):
            continue
        funded = rules.funded_fen(await queries.stored_lines(connection, period))
        for partner, charge, commission, percent in earned:
            expected = funded[party_of(partner)]
            due = commission if percent is None else commission_fen(expected, percent)
            if (charge, commission) != (expected, due) or abs(commission) > abs(charge):
                rows.append(f"{period:%Y-%m} {partner}: {commission} of {charge} fen, statement {due} of {expected}")
    return rows


CHECKS: Sequence[Check] = (
    Check("statements-recompute", "every sealed month's lines come out of the ledger again", _recompute),
    Check("statements-commission", "agencies' commission is their share of their partners' statements", _commissions),
    Check("statements-digest", "every sealed month's statements are those its seal covers", _digests),
    sql_check(
        "statements-net-zero",
        "each month's nets and headquarters' mirror of every line add up to zero",
        """
        SELECT format('%s: dealers %s fen, headquarters %s fen',
                      to_char(period, 'YYYY-MM'), sum(net_fen), sum(mirror))
          FROM statement CROSS JOIN LATERAL (
            SELECT coalesce(sum(CASE direction WHEN 'charge' THEN amount_fen ELSE -amount_fen END), 0)
              FROM statement_line WHERE statement_id = id) lines (mirror)
         GROUP BY period HAVING sum(net_fen) + sum(mirror) <> 0 ORDER BY period
        """,
    ),
    sql_check(
        "statement-sums",
        "each statement's sums are those of its lines",
        """
        SELECT to_char(period, 'YYYY-MM') || ' ' || dealer_code FROM statement CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount_fen) FILTER (WHERE direction = 'credit'), 0) AS credit,
                   coalesce(sum(amount_fen) FILTER (WHERE direction = 'charge'), 0) AS charge
              FROM statement_line WHERE statement_id = id) lines
         WHERE (credit_fen, charge_fen, net_fen) <> (credit, charge, credit - charge)
         ORDER BY period, dealer_code
        """,
    ),
    sql_check(
        "statements-sealed",
        "no statement stands in an open month",
        """
        SELECT to_char(period, 'YYYY-MM') || ' ' || dealer_code FROM statement s
         WHERE NOT EXISTS (SELECT FROM ledger.period p WHERE p.period = s.period AND p.sealed_at IS NOT NULL)
         ORDER BY period, dealer_code
        """,
    ),
)
