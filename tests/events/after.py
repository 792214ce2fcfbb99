"""What happens around events in tests: members who agreed to be written to, are invited, come, and what follows."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.core.actors import Role
from tests.events.desk import DAY, Body, Desk
from tests.events.guests import DURING, Guests
from tests.shop import Answer, Person, order

LATER = DAY + timedelta(days=1)
EVERYBODY: Body = {"filter": {"field": "name", "op": "starts_with", "value": "张"}}


@dataclass
class After:
    """Everybody around an event."""

    guests: Guests

    @property
    def desk(self) -> Desk:
        """Everybody's tokens."""
        return self.guests.desk

    async def agreeing(self, *, name: str = "张伟", dealer: str = "BJ001", points: int = 0) -> Person:
        """A new member who agreed to be written to."""
        shop = self.desk.shop
        member = await shop.member(name=name, dealer=dealer, points=points)
        notices = (await shop.get("/privacy/notices", shop.hq))[1]["items"]
        version = next(one["version"] for one in notices if one["purpose"] == "marketing")
        given = {"purpose": "marketing", "decision": "given", "channel": "app", "version": version}
        status, made = await shop.post(f"/members/{member.id}/consents", given, shop.hq)
        assert status == 200, made
        return member

    async def invite(self, event: Body, token: str = "", *, path: str = "", **body: Any) -> Answer:
        """An invitation, or what it would reach."""
        return await self.desk.shop.post(
            f"/events/{event['id']}/invitations{path}", EVERYBODY | body, token or self.desk.director
        )  # fmt: skip

    async def answers(self, event: Body, member: Person, answer: str) -> Answer:
        """What a member says to its invitation."""
        return await self.put(
            f"/members/me/event-invitations/{event['id']}/answer", self.desk.of(member), answer=answer
        )

    async def put(self, path: str, token: str, **body: Any) -> Answer:
        """A PUT's status and answer."""
        answer = await self.desk.shop.api.call("PUT", path, token, json=body)
        return answer.status_code, answer.json()

    async def get(self, event: Body, what: str, token: str = "", **params: Any) -> Answer:
        """What there is of an event."""
        return await self.desk.shop.get(f"/events/{event['id']}/{what}", token or self.desk.director, **params)

    async def comes(self, event: Body, *members: Person) -> None:
        """Members come to the door, with a seat or without, on the day."""
        async with self.desk.at(DURING):
            for member in members:
                status, own = await self.guests.own(event, member)
                if status == 404:
                    made = await self.guests.staff(event, "registrations", self.desk.hq, member_id=str(member.id))
                    own = made[1]
                status, scanned = await self.guests.scan(event, registration_id=own["id"])
                assert status in {200, 201}, scanned

    async def held(self, event: Body) -> Body:
        """The event takes place."""
        async with self.desk.at(DURING):
            if (await self.desk.read(event))["status"] == "registration":
                await self.desk.done(event, "closing")
            return await self.desk.done(event, "holding")

    async def drives_in(self, member: Person, days: int, paid_fen: int = 10_000) -> None:
        """A repair order so many days after the event's day (before it, if negative)."""
        at = DAY + timedelta(days=days)
        body = order(member.vin, closed_at=str(at), labour_fen=paid_fen, parts_fen=0, paid_fen=paid_fen)
        async with self.desk.at(at + timedelta(hours=1)):
            advisor = self.desk.shop.api.token(Role.SERVICE_ADVISOR, dealer="BJ001")
            status, made = await self.desk.shop.post("/repair-orders", body, advisor)
            assert status == 201, made


def line_of(event: Body, kind: str) -> UUID:
    """The event's budget line of a kind."""
    return UUID(next(one["id"] for one in event["lines"] if one["kind"] == kind))
