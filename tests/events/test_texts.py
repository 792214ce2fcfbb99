"""Who registered is sent a text when an event is called off: each once, whatever dies meanwhile, and by day."""

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest
from pgqueuer.models import Job

from app import worker
from app.core.clock import CHINA
from app.core.problems import SmsUnavailable
from app.core.sms import Message, SmsNotTaken
from app.events import texts
from tests.api import SETTINGS
from tests.events.after import After
from tests.events.desk import DAY, Body, Desk
from tests.events.guests import Guests
from tests.now import NOW
from tests.shop import Person

EVENING = NOW.astimezone(CHINA).replace(hour=22, minute=30, second=0, microsecond=0)


class Post:
    """A sender that keeps what it sent; from the message `stuck_from` on it is in hand for ever."""

    can_send = True

    def __init__(self, *, fails: type[SmsUnavailable] | None = None, stuck_from: int = 1_000) -> None:
        self.sent: list[str] = []
        self.words: set[str] = set()
        self.fails = fails
        self.stuck_from = stuck_from
        self.all_stuck = asyncio.Event()

    async def send(self, phone: str, message: Message) -> None:
        """Note the number."""
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails
        self.sent.append(phone)
        self.words.add(message.text)
        if len(self.sent) == self.stuck_from + texts.AT_ONCE - 1:
            self.all_stuck.set()
        if len(self.sent) >= self.stuck_from:
            await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def _with_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUB_SMS", "console")


async def called_off(guests: Guests, number: int) -> tuple[Body, list[Person]]:
    """An event for which so many had registered."""
    event = await guests.desk.opened()
    members = [(await guests.seated(event))[0] for _ in range(number)]
    await guests.desk.done(event, "cancellation", reason="下雨")
    return event, members


async def work_off(desk: Desk, event: Body, post: Post, now: datetime = NOW) -> timedelta | None:
    """As the worker does with the event's job."""
    db = desk.shop.api.db
    return await texts.work_off(db, post, UUID(event["id"]), settings=SETTINGS, clock=lambda: now)


async def said(desk: Desk, event: Body) -> dict[str, str | None]:
    """What the list of registrations says of each member's text."""
    status, page = await desk.shop.get(f"/events/{event['id']}/registrations", desk.director)
    assert status == 200, page
    return {one["member_id"]: one["text_status"] for one in page["items"]}


async def prefers(desk: Desk, member: Person, *channels: str) -> None:
    """By what a member likes to be reached."""
    body, first = {"contact": {"channels": channels, "days": "any"}}, {"If-Match": '"0"'}
    answer = await desk.shop.api.call("PATCH", f"/members/{member.id}/profile", desk.hq, json=body, headers=first)
    assert answer.status_code == 200, answer.json()


async def jobs(desk: Desk, event: Body) -> int:
    query = "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'event_texts' AND payload = $1"
    found: int = await desk.shop.pool.fetchval(query, event["id"].encode())
    return found


async def test_who_registered_is_texted_and_nobody_else(after: After) -> None:
    guests, desk = after.guests, after.desk
    only_invited = await after.agreeing(name="张只看")
    event = await desk.opened(capacity=2)
    await after.invite(event, filter={"field": "name", "op": "is", "value": "张只看"})
    seated, silent, caller, gave_up = [await guests.member() for _ in range(4)]
    for member in (gave_up, seated, silent, caller):
        assert (await guests.register(event, member))[0] == 201
    assert await guests.status(event, caller) == "waiting"
    await guests.do(event, gave_up, "cancellation")
    await prefers(desk, seated, "sms", "wechat")
    await prefers(desk, caller, "phone")
    assert await said(desk, event) == {str(one.id): None for one in (gave_up, seated, silent, caller)}
    await desk.done(event, "cancellation", reason="下雨")
    assert await jobs(desk, event) == 1
    post = Post()
    assert await work_off(desk, event, post) is None
    assert sorted(post.sent) == sorted([f"+86{seated.phone}", f"+86{silent.phone}"])
    assert post.words == {
        "【车友汇】您报名的“秋日采摘”（2026-12-12 10:00）已取消。所用积分退回您的账户，详情请见活动通知。"
    }
    assert await said(desk, event) == {
        str(gave_up.id): None, str(seated.id): "sent", str(silent.id): "sent", str(caller.id): "unwanted",
    }  # fmt: skip
    notices = (await desk.shop.get("/members/me/event-notices", desk.of(only_invited)))[1]["items"]
    assert [one["kind"] for one in notices] == ["cancelled", "invited"]


async def test_without_a_provider_or_guests_there_is_no_job(guests: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await jobs(guests.desk, (await called_off(guests, 0))[0]) == 0
    monkeypatch.setenv("CLUB_SMS", "none")
    event, [member] = await called_off(guests, 1)
    assert await jobs(guests.desk, event) == 0
    assert await said(guests.desk, event) == {str(member.id): None}


async def test_a_text_belongs_to_the_registration_that_ended_with_the_event(guests: Guests) -> None:
    desk, member = guests.desk, await guests.member()
    event = await desk.opened()
    for _ in range(2):
        assert (await guests.register(event, member))[0] == 201
        async with desk.at(NOW + timedelta(minutes=5)):
            await guests.do(event, member, "cancellation")
    assert (await guests.register(event, member))[0] == 201
    async with desk.at(NOW + timedelta(minutes=10)):
        await desk.done(event, "cancellation", reason="下雨")
    page = (await desk.shop.get(f"/events/{event['id']}/registrations", desk.director))[1]
    assert [one["text_status"] for one in page["items"]] == [None, None, "due"]


async def test_a_job_that_breaks_down_leaves_nobody_to_wait(guests: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    event, members = await called_off(guests, 3)

    async def broken(*_: object) -> None:
        raise LookupError("a fault of ours")

    monkeypatch.setattr(texts, "_send_all", broken)
    job = cast(Job, SimpleNamespace(payload=event["id"].encode()))
    with pytest.raises(LookupError):
        await worker._send_texts(guests.desk.shop.api.db, Post(), job, lambda: NOW)
    assert await said(guests.desk, event) == {str(member.id): "failed" for member in members}


async def test_a_worker_that_dies_loses_and_repeats_nothing(guests: Guests) -> None:
    event, members = await called_off(guests, 20)
    post = Post(stuck_from=6)
    dying = asyncio.create_task(work_off(guests.desk, event, post))
    await post.all_stuck.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    again = Post()
    assert await work_off(guests.desk, event, again) is None
    sent = post.sent + again.sent
    assert sorted(sent) == sorted(f"+86{member.phone}" for member in members), "all of them, each once"
    # of those it had in hand nobody knows whether they came
    told = list((await said(guests.desk, event)).values())
    assert (told.count("sent"), told.count("unclear")) == (20 - texts.AT_ONCE, texts.AT_ONCE)


_UNMARKED = """
SELECT n.id, m.phone FROM event_notice n JOIN member m ON m.id = n.member_id
 WHERE n.event_id = $1 AND n.text_status = 'due' ORDER BY n.id LIMIT 1"""


@pytest.mark.parametrize("marked", [True, False])
async def test_two_workers_send_each_once(guests: Guests, marked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    event, members = await called_off(guests, 10)
    if not marked:
        monkeypatch.setattr(texts, "_CLAIM", _UNMARKED)
    post = Post()
    await asyncio.gather(*(work_off(guests.desk, event, post) for _ in range(2)))
    assert (len(post.sent) == len(members)) is marked
    assert len(set(post.sent)) == len(members)


async def test_nobody_is_texted_in_the_night(guests: Guests) -> None:
    event, [_] = await called_off(guests, 1)
    post = Post()
    assert await work_off(guests.desk, event, post, EVENING) == timedelta(hours=9, minutes=30)
    assert post.sent == []
    assert await work_off(guests.desk, event, post, EVENING + timedelta(hours=9, minutes=30)) is None
    assert len(post.sent) == 1


async def test_a_provider_that_takes_nothing_is_tried_again_until_the_event(guests: Guests) -> None:
    event, [member] = await called_off(guests, 1)
    assert await work_off(guests.desk, event, Post(fails=SmsNotTaken)) == timedelta(minutes=5)
    assert await said(guests.desk, event) == {str(member.id): "due"}
    assert await work_off(guests.desk, event, Post(fails=SmsNotTaken), DAY) is None
    assert await said(guests.desk, event) == {str(member.id): "failed"}


async def test_what_may_be_under_way_or_is_refused_is_not_tried_again(guests: Guests) -> None:
    event, [member] = await called_off(guests, 1)
    assert await work_off(guests.desk, event, Post(fails=SmsUnavailable)) is None
    assert await said(guests.desk, event) == {str(member.id): "failed"}
    post = Post()
    assert await work_off(guests.desk, event, post) is None
    assert post.sent == []
