"""What is to be paid for a month's vouchers and to agencies: who, whom, how much. Points are on statements instead.

What counts is the day on which a use, a block or a statement's commission was put on record, in China: nothing comes
into a month that is over, so that its list is the same for ever. Money is whole fen, fixed at the claim, the booking,
or the month's close.
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time
from typing import Literal

from pydantic import BaseModel, Field

from app.core.clock import CHINA, add_months
from app.core.db import Connection
from app.partners.rules import commission_fen, party_of


class ClaimLine(BaseModel):
    """One party's debt to another for what one partner did; parties are named as in the ledger, or `agency:CODE`."""

    payer: str
    payee: str
    basis: Literal["vouchers", "commission"]
    partner_code: str
    count: int = Field(description="vouchers, or what commission was earned by")
    amount_fen: int = Field(description="below zero: refunded points took commission back")


class ClaimNet(BaseModel):
    """What a party gets and gives by the list; the nets of all add to 0."""

    party: str
    receives_fen: int
    pays_fen: int
    net_fen: int


class ClaimList(BaseModel):
    """A month's claims: `is_final` once the month is over."""

    month: str
    is_final: bool
    lines: list[ClaimLine]
    nets: list[ClaimNet]


# what a partner bears of its own vouchers is no debt
_LINES = """
SELECT s.party AS payer, 'partner:' || v.partner_code AS payee, 'vouchers' AS basis, v.partner_code,
       count(*) AS count, sum(s.fen)::bigint AS amount_fen
  FROM voucher v JOIN voucher_share s ON s.voucher_id = v.id
 WHERE v.used_at >= $1 AND v.used_at < $2 AND s.party <> 'partner:' || v.partner_code
 GROUP BY s.party, v.partner_code
UNION ALL
SELECT 'HQ', 'agency:' || agency_code, 'commission', partner_code, count(*), sum(commission_fen)::bigint
  FROM (SELECT agency_code, partner_code, commission_fen, used_at AS at FROM voucher
        UNION ALL
        SELECT agency_code, partner_code, commission_fen, at FROM partner_block
        UNION ALL
        SELECT agency_code, partner_code, commission_fen, at FROM statement_commission) earned
 WHERE at >= $1 AND at < $2 AND commission_fen <> 0
 GROUP BY agency_code, partner_code
 ORDER BY 3 DESC, 1, 2, 4
"""


async def of_month(connection: Connection, month: date, parties: Collection[str] | None, *, today: date) -> ClaimList:
    """A month's claims.

    Args:
        month: its first day.
        parties: only what these pay or get; None: all.
    """
    begins, ends = (datetime.combine(day, time.min, CHINA) for day in (month, add_months(month, 1)))
    rows = [ClaimLine(**row) for row in await connection.fetch(_LINES, begins, ends)]
    lines = [line for line in rows if parties is None or {line.payer, line.payee} & set(parties)]
    return ClaimList(month=f"{month:%Y-%m}", is_final=today >= ends.date(), lines=lines, nets=_nets(lines))


def _nets(lines: Sequence[ClaimLine]) -> list[ClaimNet]:
    receives, pays = Counter[str](), Counter[str]()
    for line in lines:
        receives[line.payee] += line.amount_fen
        pays[line.payer] += line.amount_fen
    return [
        ClaimNet(party=party, receives_fen=receives[party], pays_fen=pays[party], net_fen=receives[party] - pays[party])
        for party in sorted(receives.keys() | pays.keys())
    ]


def as_csv(claims: ClaimList) -> bytes:
    """A list's lines under one header; UTF-8 with a byte order mark, so that Excel shows Chinese."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("month", *ClaimLine.model_fields))
    writer.writerows((claims.month, *line.model_dump().values()) for line in claims.lines)
    return out.getvalue().encode("utf-8-sig")


async def earn(connection: Connection, period: date, funded_fen: Mapping[str, int], *, now: datetime) -> None:
    """Agencies' commission on what points came to on their partners' statements of a month, with its close.

    Who pays ahead brought it by its blocks already.

    Args:
        funded_fen: what the points that each party funded came to, by its name in the ledger.
    """
    found = await connection.fetch(
        "SELECT code, agency_code, agency_percent FROM partner WHERE agency_code IS NOT NULL AND NOT is_prepaid"
    )
    earned = [
        (code, period, agency, fen, commission_fen(fen, percent), now)
        for code, agency, percent in found
        if (fen := funded_fen.get(party_of(code), 0))
    ]
    await connection.executemany("INSERT INTO statement_commission VALUES ($1, $2, $3, $4, $5, $6)", earned)
