"""What perks brought each of the five parties: member, dealer, partner, agency and headquarters.

Uses count on the day at the till, claims on the day of the claim, both in China. Money is whole fen. Of a used voucher,
its partner delivered the value and each party bears its share: what a party delivered less what it bears is owed to it
(below zero: by it), and over all parties that is zero.
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from app.core.db import Connection


class Span(NamedTuple):
    """From which day to which, both included."""

    since: date
    until: date


class MemberFigures(BaseModel):
    """What a member had of perks; points are those of vouchers that were not given back."""

    claimed: int
    used: int
    value_fen: int
    points: int


class DealerFigures(BaseModel):
    """What a dealer's members had of perks; `saved_fen` is what of the value others bore."""

    dealer_code: str
    claimed: int
    used: int
    members: int = Field(description="who used at least one")
    value_fen: int
    borne_fen: int
    saved_fen: int


class PartnerFigures(BaseModel):
    """What a partner had of its perks; `owed_fen` above zero is owed to it for vouchers, below zero by it.

    What its points come to is on its statement.
    """

    partner_code: str
    name: str
    reach: int = Field(description="members who claimed a voucher")
    claimed: int
    redemptions: int
    delivered_fen: int
    borne_fen: int
    owed_fen: int
    paid_fen: int = Field(description="of claims, with a day of payment in the span: what it got less what it paid")


class Commission(BaseModel):
    """An agency's share of what a partner paid for points, and of the value of vouchers used there."""

    blocks_fen: int = Field(description="for points, ahead")
    points_fen: int = Field(description="for points, afterwards, by statements of months closed in the span")
    value_fen: int
    commission_fen: int


class PartnerCommission(Commission):
    """What one partner, found by the agency, brought it; so far nothing, perhaps."""

    partner_code: str
    name: str


class AgencyFigures(Commission):
    """What an agency earns. `partners` are those it has now; `by_partner` names them, and those it had."""

    agency_code: str
    name: str
    partners: int
    paid_fen: int = Field(description="of claims, with a day of payment in the span")
    by_partner: list[PartnerCommission]


class PartyNet(BaseModel):
    """What a party (HQ, a dealer, `partner:CODE`) delivered and bears; the nets of all add to 0."""

    party: str
    delivered_fen: int
    borne_fen: int
    net_fen: int


class ProgrammeFigures(BaseModel):
    """What the programme came to, as headquarters sees it."""

    partners: int
    claimed: int
    used: int
    members: int
    value_fen: int
    borne_by_hq_fen: int
    commission_fen: int
    parties: list[PartyNet]


_VOUCHERS = """
WITH v AS (
  SELECT *, status = 'used' AND used_on BETWEEN $1 AND $2 AS is_used,
         (claimed_at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN $1 AND $2 AS is_claimed
    FROM voucher
)"""


def _over(figures: str) -> str:
    """Figures over the vouchers `v` of a span ($1 to $2)."""
    return _VOUCHERS + figures


_OF_MEMBER = _over("""
SELECT count(*) FILTER (WHERE is_claimed) AS claimed, count(*) FILTER (WHERE is_used) AS used,
       coalesce(sum(value_fen) FILTER (WHERE is_used), 0)::bigint AS value_fen,
       coalesce(sum(points) FILTER (WHERE is_claimed AND refund_no IS NULL), 0)::bigint AS points
  FROM v WHERE member_id = $3""")

_OF_DEALERS = _over("""
SELECT v.dealer_code, count(*) FILTER (WHERE is_claimed) AS claimed, count(*) FILTER (WHERE is_used) AS used,
       count(DISTINCT member_id) FILTER (WHERE is_used) AS members,
       coalesce(sum(value_fen) FILTER (WHERE is_used), 0)::bigint AS value_fen,
       coalesce(sum(s.fen) FILTER (WHERE is_used), 0)::bigint AS borne_fen
  FROM v LEFT JOIN voucher_share s ON s.voucher_id = v.id AND s.party = v.dealer_code
 WHERE v.dealer_code IS NOT NULL AND (is_used OR is_claimed) AND ($3::text[] IS NULL OR v.dealer_code = ANY ($3))
 GROUP BY 1 ORDER BY 1""")

_OF_PARTNERS = _over(""", own AS (
  SELECT partner_code, count(DISTINCT member_id) FILTER (WHERE is_claimed) AS reach,
         count(*) FILTER (WHERE is_claimed) AS claimed, count(*) FILTER (WHERE is_used) AS redemptions,
         coalesce(sum(value_fen) FILTER (WHERE is_used), 0) AS delivered
    FROM v GROUP BY 1
), borne AS (
  SELECT s.party, sum(s.fen) AS fen FROM v JOIN voucher_share s ON s.voucher_id = v.id WHERE is_used GROUP BY 1
), paid AS (
  SELECT party, sum(fen) AS fen
    FROM perk_claim CROSS JOIN LATERAL (VALUES (payee, amount_fen), (payer, -amount_fen)) AS side (party, fen)
   WHERE paid_on BETWEEN $1 AND $2 GROUP BY 1
)
SELECT p.code AS partner_code, p.name, coalesce(reach, 0) AS reach, coalesce(claimed, 0) AS claimed,
       coalesce(redemptions, 0) AS redemptions, coalesce(delivered, 0)::bigint AS delivered_fen,
       coalesce(borne.fen, 0)::bigint AS borne_fen, coalesce(paid.fen, 0)::bigint AS paid_fen
  FROM partner p LEFT JOIN own ON own.partner_code = p.code LEFT JOIN borne ON borne.party = 'partner:' || p.code
  LEFT JOIN paid ON paid.party = 'partner:' || p.code
 WHERE p.code = ANY ($3::text[]) ORDER BY 1""")

_OF_AGENCIES = _over(""", earned AS (
  SELECT agency_code, partner_code, amount_fen AS blocks, 0 AS points, 0 AS value, commission_fen FROM partner_block
   WHERE (at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN $1 AND $2
  UNION ALL
  SELECT agency_code, partner_code, 0, charge_fen, 0, commission_fen FROM statement_commission
   WHERE (at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN $1 AND $2
  UNION ALL
  SELECT agency_code, partner_code, 0, 0, value_fen, commission_fen FROM v WHERE is_used
  UNION ALL
  SELECT agency_code, code, 0, 0, 0, 0 FROM partner
)
SELECT e.agency_code, partner_code, p.name, sum(blocks)::bigint AS blocks_fen, sum(points)::bigint AS points_fen,
       sum(value)::bigint AS value_fen, sum(commission_fen)::bigint AS commission_fen
  FROM earned e JOIN partner p ON p.code = partner_code
 WHERE e.agency_code = ANY ($3::text[])
 GROUP BY 1, 2, 3 ORDER BY 1, 2""")

_AGENCIES = """
SELECT code AS agency_code, name, (SELECT count(*) FROM partner WHERE agency_code = a.code) AS partners,
       (SELECT coalesce(sum(amount_fen), 0)::bigint FROM perk_claim
         WHERE payee = 'agency:' || a.code AND paid_on BETWEEN $1 AND $2) AS paid_fen
  FROM agency a WHERE $3::text IS NULL OR code = $3 ORDER BY code"""

_OF_ALL = _over("""
SELECT (SELECT count(*) FROM partner WHERE valid_from <= $2 AND coalesce(valid_until >= $1, true)) AS partners,
       count(*) FILTER (WHERE is_claimed) AS claimed, count(*) FILTER (WHERE is_used) AS used,
       count(DISTINCT member_id) FILTER (WHERE is_used) AS members,
       coalesce(sum(value_fen) FILTER (WHERE is_used), 0)::bigint AS value_fen
  FROM v""")

_NETS = _over(""", side AS (
  SELECT 'partner:' || partner_code AS party, value_fen AS delivered, 0 AS borne FROM v WHERE is_used
  UNION ALL
  SELECT s.party, 0, s.fen FROM v JOIN voucher_share s ON s.voucher_id = v.id WHERE is_used
)
SELECT party, sum(delivered)::bigint AS delivered_fen, sum(borne)::bigint AS borne_fen,
       (sum(delivered) - sum(borne))::bigint AS net_fen
  FROM side GROUP BY 1 ORDER BY 1""")


async def of_member(connection: Connection, span: Span, member_id: UUID) -> MemberFigures:
    """What a member had."""
    row = await connection.fetchrow(_OF_MEMBER, *span, member_id)
    assert row is not None
    return MemberFigures(**row)


async def of_dealers(connection: Connection, span: Span, dealers: Collection[str] | None) -> list[DealerFigures]:
    """What each dealer's members had, of these dealers (None: all); dealers without any are left out."""
    rows = await connection.fetch(_OF_DEALERS, *span, None if dealers is None else list(dealers))
    return [DealerFigures(**row, saved_fen=row["value_fen"] - row["borne_fen"]) for row in rows]


async def of_partners(connection: Connection, span: Span, codes: Sequence[str]) -> list[PartnerFigures]:
    """What these partners had; their shares of others' perks are theirs to bear, too."""
    rows = await connection.fetch(_OF_PARTNERS, *span, list(codes))
    return [PartnerFigures(**row, owed_fen=row["delivered_fen"] - row["borne_fen"]) for row in rows]


async def of_agencies(connection: Connection, span: Span, code: str | None = None) -> list[AgencyFigures]:
    """What each agency earned, or one of them, in all and by partner."""
    agencies = await connection.fetch(_AGENCIES, *span, code)
    rows = await connection.fetch(_OF_AGENCIES, *span, [agency["agency_code"] for agency in agencies])
    return [
        _of_agency(agency, [PartnerCommission(**row) for row in rows if row["agency_code"] == agency["agency_code"]])
        for agency in agencies
    ]


def _of_agency(agency: asyncpg.Record, by_partner: list[PartnerCommission]) -> AgencyFigures:
    sums = {name: sum(getattr(one, name) for one in by_partner) for name in Commission.model_fields}
    return AgencyFigures(**agency, **sums, by_partner=by_partner)


async def of_all(connection: Connection, span: Span) -> ProgrammeFigures:
    """What all of it came to."""
    row: asyncpg.Record | None = await connection.fetchrow(_OF_ALL, *span)
    assert row is not None
    parties = [PartyNet(**net) for net in await connection.fetch(_NETS, *span)]
    return ProgrammeFigures(
        **row,
        borne_by_hq_fen=sum(net.borne_fen for net in parties if net.party == "HQ"),
        commission_fen=sum(agency.commission_fen for agency in await of_agencies(connection, span)),
        parties=parties,
    )
