"""What is to be paid for a month's vouchers and to agencies: who, whom, how much. Points are on statements instead.

What counts is the day on which a use, a block or a statement's commission was put on record, in China: nothing comes
into a month that is over, so that its list is the same for ever. Money is whole fen, fixed at the claim, the booking,
or the month's close, which claims each line (`claim_steps` takes it from there).
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import NamedTuple

import asyncpg

from app.core.clock import CHINA, add_months
from app.core.db import Connection, insert_rows, new_id
from app.core.tabular import harmless
from app.partners.claim_schemas import ClaimLine, ClaimList, ClaimNet
from app.partners.rules import PerkClaimStatus, commission_fen, party_of

# what a partner bears of its own vouchers is no debt; $1 to $2, its end left out
LINES = """
SELECT date_trunc('month', at AT TIME ZONE 'Asia/Shanghai')::date AS period, payer, payee, basis, partner_code,
       count(*)::int AS count, sum(fen)::bigint AS amount_fen
  FROM (SELECT v.used_at, s.party, 'partner:' || v.partner_code, 'vouchers', v.partner_code, s.fen
          FROM voucher v JOIN voucher_share s ON s.voucher_id = v.id
         WHERE s.party <> 'partner:' || v.partner_code
        UNION ALL
        SELECT at, 'HQ', 'agency:' || agency_code, 'commission', partner_code, commission_fen
          FROM (SELECT agency_code, partner_code, commission_fen, used_at AS at FROM voucher
                UNION ALL
                SELECT agency_code, partner_code, commission_fen, at FROM partner_block
                UNION ALL
                SELECT agency_code, partner_code, commission_fen, at FROM statement_commission) earned
         WHERE commission_fen <> 0) AS due (at, payer, payee, basis, partner_code, fen)
 WHERE at >= $1 AND at < $2
 GROUP BY 1, 2, 3, 4, 5
"""

_LINE = ("period", "payer", "payee", "basis", "partner_code", "count", "amount_fen")
_CLAIMED = "SELECT * FROM perk_claim WHERE period = $1 ORDER BY basis DESC, payer, payee, partner_code"


async def of_month(connection: Connection, month: date, parties: Collection[str] | None, *, today: date) -> ClaimList:
    """A month's claims, as they stand; of a month that is not closed, what they come to so far.

    Args:
        month: its first day.
        parties: only what these pay or get; None: all.
    """
    ends = add_months(month, 1)
    rows = await connection.fetch(_CLAIMED, month) or await connection.fetch(
        f"{LINES} ORDER BY basis DESC, payer, payee, partner_code", _midnight(month), _midnight(ends)
    )
    lines = [
        ClaimLine.model_validate(dict(row))
        for row in rows
        if parties is None or {row["payer"], row["payee"]} & set(parties)
    ]
    return ClaimList(month=f"{month:%Y-%m}", is_final=today >= ends, lines=lines, nets=_nets(lines))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, CHINA)


def _nets(lines: Sequence[ClaimLine]) -> list[ClaimNet]:
    receives, pays, open_fen = Counter[str](), Counter[str](), Counter[str]()
    for line in lines:
        if line.status is PerkClaimStatus.WITHDRAWN:
            continue
        receives[line.payee] += line.amount_fen
        pays[line.payer] += line.amount_fen
        if line.status is not PerkClaimStatus.PAID:
            open_fen[line.payee] += line.amount_fen
            open_fen[line.payer] -= line.amount_fen
    return [
        ClaimNet(
            party=party, receives_fen=receives[party], pays_fen=pays[party], net_fen=receives[party] - pays[party],
            open_fen=open_fen[party],
        )
        for party in sorted(receives.keys() | pays.keys())
    ]  # fmt: skip


def as_csv(claims: ClaimList) -> bytes:
    """A list's lines under one header; UTF-8 with a byte order mark, so that Excel shows Chinese."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("month", *ClaimLine.model_fields))
    for line in claims.lines:
        cells = line.model_dump(mode="json").values()
        writer.writerow((claims.month, *(harmless(cell) if isinstance(cell, str) else cell for cell in cells)))
    return out.getvalue().encode("utf-8-sig")


# --- with the month's close ---


async def close(connection: asyncpg.Connection, period: date, funded_fen: Mapping[str, int], *, now: datetime) -> None:
    """Fix what agencies earned by a month's statements, and claim what is to be paid for it and the months before.

    Args:
        period: the month's first day; it is over.
        funded_fen: what the points that each party funded came to, by its name in the ledger.
    """
    await _earn(connection, period, funded_fen, now)
    claimed: date | None = await connection.fetchval("SELECT max(period) FROM perk_claim")
    since = add_months(claimed, 1) if claimed else date(2000, 1, 1)
    rows = await connection.fetch(LINES, _midnight(since), _midnight(add_months(period, 1)))
    columns = ["id", *_LINE, "status", "claimed_at", "version"]
    records = [(new_id(), *row, PerkClaimStatus.CLAIMED, now, 1) for row in rows]
    await insert_rows(connection, "perk_claim", columns, records)


async def _earn(connection: Connection, period: date, funded_fen: Mapping[str, int], now: datetime) -> None:
    """Agencies' commission on what points came to on their partners' statements; blocks that were paid ahead had it."""
    found = await connection.fetch(
        "SELECT code, agency_code, agency_percent FROM partner WHERE agency_code IS NOT NULL AND NOT is_prepaid"
    )
    earned = [
        (code, period, agency, fen, commission_fen(fen, percent), now, percent)
        for code, agency, percent in found
        if (fen := funded_fen.get(party_of(code), 0))
    ]
    await connection.executemany(
        """INSERT INTO statement_commission
             (partner_code, period, agency_code, charge_fen, commission_fen, at, agency_percent)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        earned,
    )


class Earned(NamedTuple):
    """An agency's commission of a month by its partner's statement; `percent` is null where it was not kept yet."""

    partner_code: str
    charge_fen: int
    commission_fen: int
    percent: Decimal | None


async def earned(connection: Connection, period: date) -> list[Earned]:
    """What agencies earned by a month's statements, as it was fixed."""
    rows = await connection.fetch(
        """SELECT partner_code, charge_fen, commission_fen, agency_percent FROM statement_commission
            WHERE period = $1 ORDER BY partner_code""",
        period,
    )
    return [Earned(*row) for row in rows]
