"""Small ledgers for the tests: dealers, members and their points, posted through the ledger's door."""

from datetime import UTC, date, datetime, time
from itertools import count
from uuid import UUID

from app.core.clock import month_end
from app.core.db import Connection, Database, insert_rows, new_id
from app.points import ledger
from app.points.ledger import HQ, Earning, Posting, Request
from app.settlement import service
from app.settlement.models import Contract
from app.settlement.rules import Charging

FAR = date(2028, 12, 31)
MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
_numbers = count(1)


def noon(day: date) -> datetime:
    """Noon in Greenwich, evening in China, of the same date."""
    return datetime.combine(day, time(12), UTC)


def request(day: date) -> Request:
    """A request of its own, sent on a day."""
    return Request("tests", f"key-{next(_numbers)}", noon(day))


class Books:
    """What tests post with."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.pool: Connection = db.pool

    async def dealer(self, *, chapter: bool = False) -> str:
        """A new dealer, with or without a chapter."""
        code = f"T{next(_numbers):05}"
        await self.pool.execute("INSERT INTO region (code, name) VALUES ('T', 'T') ON CONFLICT DO NOTHING")
        await self.pool.execute(
            "INSERT INTO dealer (code, region_code, has_after_sales, version) VALUES ($1, 'T', true, 1)", code
        )
        if chapter:
            await self.pool.execute(
                "INSERT INTO chapter (dealer_code, opened_on, version) VALUES ($1, $2, 1)", code, MAY
            )
        return code

    async def default_contract(self) -> None:
        """General terms: 5,000 fen for 1,000 points, charged at redemption."""
        async with self.db.transaction() as connection:
            await service.ensure_default_contract(connection, valid_from=MAY)

    async def contract(self, dealer: str, valid_from: date, rate: int, charging: Charging) -> None:
        """A dealer's own terms."""
        record = Contract(
            dealer_code=dealer, valid_from=valid_from, rate_fen_per_thousand=rate, charging=charging
        ).model_dump()
        async with self.db.transaction() as connection:
            await insert_rows(connection, "contract", list(record), [tuple(record.values())])

    async def member(self) -> UUID:
        """A member with an empty wallet."""
        member = new_id()
        async with self.db.transaction() as connection:
            await ledger.open_wallets(connection, [member])
        return member

    async def earn(
        self, member: UUID, points: int, on: date, *, funder: str = HQ, place: str = HQ, expires: date = FAR,
        spendable_from: date | None = None, sent: date | None = None,
    ) -> Posting:  # fmt: skip
        """Points for a document of its own."""
        earning = Earning(member, points, funder, place, f"test:{next(_numbers)}", on, spendable_from or on, expires)
        return await ledger.earn(self.pool, earning, request(sent or on))

    async def redeem(self, member: UUID, points: int, at: str, on: date, *, sent: date | None = None) -> Posting:
        """Points spent at a dealer."""
        asked = request(sent or on)
        return await ledger.redeem(self.pool, member, points, place=at, cause="test", request=asked, booked_on=on)

    async def hold(self, member: UUID, points: int, at: str, on: date) -> Posting:
        """Points set aside at a dealer until the end of the next day."""
        until = noon(month_end(on))
        return await ledger.hold(self.pool, member, points, place=at, cause="test", until=until, request=request(on))

    async def refund(self, member: UUID, original: Posting, points: int | None, on: date) -> Posting:
        """Points of a redemption given back; a lapsed lot's live on for long."""
        return await ledger.refund(
            self.pool, member, original.posting_no, points,
            grace_until=FAR, cause="test", reason="test", request=request(on),
        )  # fmt: skip

    async def reverse(self, member: UUID, original: Posting, on: date) -> Posting:
        """An earning taken back."""
        return await ledger.reverse(
            self.pool, member, original.posting_no, cause="test", reason="test", request=request(on)
        )

    async def told(self, period: date, *dealers: str) -> list[str]:
        """The month's lines of some dealers, as text; the dealers stand as A, B, C … in the order given."""
        names = {dealer: chr(ord("A") + index) for index, dealer in enumerate(dealers)}
        return [
            f"{names[line.dealer_code]} {line.direction} {line.basis}: "
            f"{names.get(line.funder, line.funder)} at {names.get(line.place, line.place)} "
            f"{line.points} x {line.rate_fen_per_thousand} = {line.amount_fen}"
            for line in await service.month_lines(self.pool, period)
            if line.dealer_code in names
        ]
