"""Members who register, wait and come, and the staff who let them in."""

from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import count

from app.wiring import verify
from tests.events.desk import DAY, Body, Desk
from tests.shop import Answer, Person

_nonces = count(1)
DURING = (DAY + timedelta(minutes=5)).astimezone(UTC)


@dataclass
class Guests:
    """What members and the door do with an event."""

    desk: Desk

    async def member(self, points: int = 0) -> Person:
        """A new member of BJ001."""
        return await self.desk.shop.member(points=points)

    async def register(
        self, event: Body, member: Person, *with_whom: Body, key: str | None = None, **body: object
    ) -> Answer:
        """A member registers with its party."""
        sent = {"event_id": event["id"], "companions": list(with_whom)} | body
        return await self.desk.shop.post(
            "/members/me/event-registrations", sent, self.desk.of(member), key=key
        )  # fmt: skip

    async def seated(self, event: Body, party: int = 1, points: int = 0) -> tuple[Person, Body]:
        """A new member who registers with a party, and what it is told."""
        member = await self.member(points)
        status, made = await self.register(event, member, *family(party))
        assert status == 201, made
        return member, made

    async def own(self, event: Body, member: Person, what: str = "registration") -> Answer:
        """What a member sees of its registration."""
        return await self.desk.shop.get(f"/members/me/events/{event['id']}/{what}", self.desk.of(member))

    async def status(self, event: Body, member: Person) -> str:
        """Where a member's registration stands."""
        return str((await self.own(event, member))[1]["status"])

    async def do(self, event: Body, member: Person, deed: str, **body: object) -> Answer:
        """A member accepts or cancels."""
        return await self.desk.shop.post(
            f"/members/me/events/{event['id']}/registration/{deed}", body, self.desk.of(member)
        )

    async def staff(self, event: Body, path: str, token: str = "", **body: object) -> Answer:
        """Staff do something with registrations or check-ins."""
        return await self.desk.shop.post(f"/events/{event['id']}/{path}", body, token or self.desk.director)

    async def scan(self, event: Body, token: str = "", *, nonce: str = "", **by: object) -> Answer:
        """The door scans a ticket or a card, or chooses from the list."""
        return await self.staff(event, "check-ins", token, nonce=nonce or f"scan-{next(_nonces):06d}", **by)

    async def ticket(self, event: Body, member: Person) -> str:
        """What a member's QR code says."""
        status, read = await self.own(event, member, "ticket")
        assert status == 200, read
        return str(read["code"])

    async def seats(self, event: Body) -> Body:
        """How the seats stand."""
        return dict((await self.desk.shop.get(f"/events/{event['id']}/seats", self.desk.director))[1])


def family(party: int) -> list[Body]:
    """Who comes along in a party of so many."""
    return [{"name": f"家人{number}"} for number in range(1, party)]


async def disagreeing(dsn: str) -> dict[str, list[str]]:
    """Which checks fail, and over which rows."""
    return {check.name: list(rows) for check, rows in await verify(dsn) if rows}
