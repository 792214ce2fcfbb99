"""What the months came to, as it stands on the screen: a line each, then the sums. 80 columns; money in yuan."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from app.core.catalogue import yuan
from app.core.db import Connection
from app.points.totals import Totals
from app.settlement.schemas import Closing

_LINE = "{:<7} {:>7} {:>10} {:>9} {:>8} {:>12} {:>12} {:>5}"
HEADINGS = _LINE.format("month", "orders", "earned", "redeemed", "expired", "dealers' net", "HQ's net", "sum")


class Month(NamedTuple):
    """One settled month; `orders` are those that earned."""

    period: date
    orders: int
    earned: int
    redeemed: int
    expired: int
    closing: Closing


async def of_month(connection: Connection, closing: Closing) -> Month:
    """A sealed month's points, from the ledger."""
    row = await connection.fetchrow(
        """SELECT count(*) FILTER (WHERE kind = 'earn' AND starts_with(cause, 'repair_order:')) AS orders,
                  coalesce(sum(points) FILTER (WHERE kind = 'earn'), 0)::bigint AS earned,
                  coalesce(sum(points) FILTER (WHERE kind = 'redeem'), 0)::bigint AS redeemed,
                  coalesce(sum(points) FILTER (WHERE kind = 'expire'), 0)::bigint AS expired
             FROM ledger.posting WHERE period = $1""",
        closing.period,
    )
    assert row is not None
    return Month(closing.period, **row, closing=closing)


def line(month: Month) -> str:
    """A month under HEADINGS."""
    return _formatted(f"{month.period:%Y-%m}", [month])


def closing_words(months: Sequence[Month], totals: Totals) -> str:
    """All months together, and the programme's points."""
    credit = sum(month.closing.credit_fen for month in months)
    charge = sum(month.closing.charge_fen for month in months)
    return "\n".join(
        [
            f"[bold]{_formatted('all', months)}[/]",
            f"dealers' credit {yuan(credit)} - charge {yuan(charge)} = net {yuan(credit - charge)} yuan\n",
            f"[bold]issued = {totals.issued:,}  redeemed = {totals.redeemed:,}  expired = {totals.expired:,}[/]",
            f"reversed = {totals.reversed:,}  outstanding = {totals.outstanding:,}  owed = {totals.owed:,}",
        ]
    )


def _formatted(name: str, months: Sequence[Month]) -> str:
    counts = (sum(getattr(month, field) for month in months) for field in ("orders", "earned", "redeemed", "expired"))
    dealers = sum(month.closing.net_fen for month in months)
    headquarters = sum(month.closing.hq_net_fen for month in months)
    nets = (dealers, headquarters, dealers + headquarters)
    return _LINE.format(name, *(f"{count:,}" for count in counts), *map(yuan, nets))
