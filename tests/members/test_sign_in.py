"""Members sign in by a code sent to their phone, and nobody learns by it whose number is a member's."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from app.core.actors import Role
from app.core.problems import SmsUnavailable
from app.core.sms import Message
from app.members.sign_in_queries import forget_codes
from app.members.sign_in_rules import wait_for_code
from tests.api import Api
from tests.now import NOW
from tests.shop import Answer, Person, Shop

FAILED, TOO_MANY = (401, "/problems/sign-in-failed"), (429, "/problems/too-many-codes")
_strangers = count(1)


class Phones:
    """Everybody's telephone: the last code that reached each number."""

    can_send = True

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.sent = 0
        self.down = False

    async def send(self, phone: str, message: Message) -> None:
        """Deliver a message."""
        if self.down:
            raise SmsUnavailable
        found = re.search(r"\d{6}", message.text)
        assert found is not None
        self.codes[phone], self.sent = found[0], self.sent + 1


@pytest.fixture
async def phones(api: Api) -> AsyncIterator[Phones]:
    phones, usual = Phones(), api.app.state.sms
    api.app.state.sms = phones
    yield phones
    api.app.state.sms, api.app.state.now = usual, NOW


def stranger() -> str:
    """A number that nobody has."""
    return f"177{next(_strangers):08d}"


def kind(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1]["type"]


async def ask(api: Api, phone: str) -> Answer:
    """Ask for a code; what is to be sent has been."""
    answer = await api.call("POST", "/member-sign-in/code", json={"phone": phone})
    await api.app.state.detached.finish()
    return answer.status_code, answer.json()


async def enter(api: Api, phone: str, code: str) -> Answer:
    answer = await api.call("POST", "/member-sign-in", json={"phone": phone, "code": code})
    return answer.status_code, answer.json()


def wrong(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**6:06d}"


async def asked(api: Api, phones: Phones, member: Person) -> str:
    assert (await ask(api, member.phone))[0] == 202
    return phones.codes[f"+86{member.phone}"]


# --- signing in ---


async def test_a_member_signs_in(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member(points=70)
    code = await asked(api, phones, member)
    answer = await api.call("POST", "/member-sign-in", json={"phone": f"+86 {member.phone}", "code": code})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.json()
    me = (await api.call("GET", "/me", tokens["access_token"])).json()
    assert (me["subject"], me["role"]) == (member.member_no, "member")
    wallet = await api.call("GET", f"/members/{member.id}/points", tokens["access_token"])
    assert wallet.json()["available"] == 70
    again = await api.call("POST", "/sign-in/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert again.status_code == 200


async def test_a_sign_in_is_recorded(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    assert (await enter(api, member.phone, await asked(api, phones, member)))[0] == 200
    found = await api.db.pool.fetch(
        "SELECT actor, changes::text || target_ids::text FROM audit_event WHERE action = 'signed-in' AND actor = $1",
        member.member_no,
    )
    assert len(found) == 1
    assert member.phone not in found[0][1]


async def test_a_code_is_good_once(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    code = await asked(api, phones, member)
    assert (await enter(api, member.phone, code))[0] == 200
    assert kind(await enter(api, member.phone, code)) == FAILED


@pytest.mark.parametrize(("seconds", "status"), [(299, 200), (300, 401)])
async def test_a_code_lives_five_minutes(api: Api, shop: Shop, phones: Phones, seconds: int, status: int) -> None:
    member = await shop.member()
    code = await asked(api, phones, member)
    api.app.state.now = NOW + timedelta(seconds=seconds)
    assert (await enter(api, member.phone, code))[0] == status


@pytest.mark.parametrize(("tries", "status"), [(4, 200), (5, 401)])
async def test_a_code_stands_five_tries(api: Api, shop: Shop, phones: Phones, tries: int, status: int) -> None:
    member = await shop.member()
    code = await asked(api, phones, member)
    for number in range(1, tries + 1):
        assert kind(await enter(api, member.phone, wrong(code, number))) == FAILED
    assert (await enter(api, member.phone, code))[0] == status


async def test_a_new_code_replaces_the_one_before(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    first = await asked(api, phones, member)
    for number in range(1, 6):
        await enter(api, member.phone, wrong(first, number))
    api.app.state.now = NOW + timedelta(minutes=1)
    second = await asked(api, phones, member)
    if first != second:
        assert kind(await enter(api, member.phone, first)) == FAILED
    assert (await enter(api, member.phone, second))[0] == 200


async def test_a_code_is_of_its_number(api: Api, shop: Shop, phones: Phones) -> None:
    one, other = await shop.member(), await shop.member()
    code = await asked(api, phones, one)
    assert kind(await enter(api, other.phone, code)) == FAILED
    assert (await enter(api, one.phone, code))[0] == 200


async def test_who_is_not_active_does_not_get_in(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    code = await asked(api, phones, member)
    step = {"to": "suspended", "reason": "test"}
    assert (await api.call("POST", f"/members/{member.id}/status", shop.hq, json=step)).status_code == 200
    assert kind(await enter(api, member.phone, code)) == FAILED
    sent, api.app.state.now = phones.sent, NOW + timedelta(minutes=1)
    assert (await ask(api, member.phone))[0] == 202
    assert phones.sent == sent


# --- nothing is said of who is a member ---


async def test_a_stranger_gets_the_same_answers(api: Api, shop: Shop, phones: Phones) -> None:
    member, unknown = await shop.member(), stranger()
    answers: list[list[Any]] = []
    for phone in (member.phone, unknown):
        api.app.state.now = NOW
        seen: list[Any] = [await ask(api, phone), await ask(api, phone), await enter(api, phone, "000000")]
        api.app.state.now = NOW + timedelta(minutes=1)
        seen += [await ask(api, phone), await enter(api, phone, "000000")]
        answers.append([_without_id(answer) for answer in seen])
    assert answers[0] == answers[1]
    assert [status for status, _ in answers[0]] == [202, 429, 401, 202, 401]
    assert f"+86{unknown}" not in phones.codes


def _without_id(answer: Answer) -> Answer:
    return answer[0], {name: value for name, value in answer[1].items() if name != "request_id"}


async def test_the_same_is_written_for_a_stranger(api: Api, shop: Shop, phones: Phones) -> None:
    rows = "SELECT count(*) FROM sign_in_code"
    before = await api.db.pool.fetchval(rows)
    for phone in ((await shop.member()).phone, stranger()):
        assert (await ask(api, phone))[0] == 202
    assert await api.db.pool.fetchval(rows) == before + 2


async def test_a_strangers_code_opens_nothing(api: Api, shop: Shop, phones: Phones) -> None:
    """Even one that a stranger had guessed: here the number becomes a stranger's after the code was sent."""
    member = await shop.member()
    code = await asked(api, phones, member)
    await api.db.pool.execute("UPDATE member SET phone_index = $2 WHERE id = $1", member.id, bytes(32))
    assert kind(await enter(api, member.phone, code)) == FAILED


async def test_a_provider_that_is_down_is_not_told(api: Api, shop: Shop, phones: Phones) -> None:
    """It would tell who is a member: nothing is sent to strangers."""
    phones.down = True
    member = await shop.member()
    assert (await ask(api, member.phone))[0] == 202
    assert (await ask(api, stranger()))[0] == 202


async def test_without_a_provider_nobody_is_sent_anything(api: Api, shop: Shop) -> None:
    for phone in ((await shop.member()).phone, stranger()):
        assert kind(await ask(api, phone)) == (503, "/problems/sms-unavailable")


async def test_a_wrong_code_is_recorded_and_names_the_member_by_reference(api: Api, shop: Shop, phones: Phones) -> None:
    member, unknown = await shop.member(), stranger()
    for phone in (member.phone, unknown):
        assert kind(await enter(api, phone, "000000")) == FAILED
    newest = await api.db.pool.fetch(
        "SELECT target_kind, target_ids, actor, outcome, to_jsonb(e)::text AS whole FROM audit_event e"
        " WHERE operation = 'member_sign_in' AND action = 'refused' ORDER BY id DESC LIMIT 2"
    )
    assert [row["target_ids"] for row in newest] == [[], [str(member.id)]]
    for row in newest:
        assert (row["target_kind"], row["actor"], row["outcome"]) == ("member", None, "sign-in-failed")
        assert not {phone for phone in (member.phone, unknown) if phone in row["whole"]}


# --- limits ---


async def test_codes_are_limited_for_each_number(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    answer = None
    for minute in range(5):
        api.app.state.now = NOW + timedelta(minutes=minute)
        assert (await ask(api, member.phone))[0] == 202
        answer = await api.call("POST", "/member-sign-in/code", json={"phone": member.phone})
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == ("60" if minute < 4 else str(56 * 60))
    api.app.state.now = NOW + timedelta(minutes=5)
    assert kind(await ask(api, member.phone)) == TOO_MANY
    assert (await ask(api, stranger()))[0] == 202
    api.app.state.now = NOW + timedelta(hours=1)
    assert (await ask(api, member.phone))[0] == 202


MINUTES = [
    ([], 0, 0), ([0], 0, 60), ([0], 59, 1), ([0], 60, 0), ([0, 60, 120, 180, 240], 300, 3300),
    ([0, 60, 120, 180, 240], 3600, 0), ([0, 4000, 8000, 12000, 16000, 20000, 24000, 28000, 32000, 36000], 40000, 46400),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "now", "wait"), MINUTES)
def test_the_wait_for_a_code(sent: list[int], now: int, wait: int) -> None:
    def at(seconds: int) -> datetime:
        return NOW + timedelta(seconds=seconds)

    assert wait_for_code([at(second) for second in sent], at(now)) == timedelta(seconds=wait)


async def test_two_who_ask_at_once_get_one_code(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    statuses = [status for status, _ in await asyncio.gather(*(ask(api, member.phone) for _ in range(8)))]
    assert sorted(statuses) == [202, *[429] * 7]
    assert phones.sent == 1


async def test_of_many_guesses_at_once_five_count(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    code = await asked(api, phones, member)
    await asyncio.gather(*(enter(api, member.phone, wrong(code, number)) for number in range(1, 21)))
    assert kind(await enter(api, member.phone, code)) == FAILED
    assert await api.db.pool.fetchval("SELECT max(tries) FROM sign_in_code") == 5


async def test_one_code_of_many_uses_opens_one_session(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    code = await asked(api, phones, member)
    statuses = [status for status, _ in await asyncio.gather(*(enter(api, member.phone, code) for _ in range(6)))]
    assert sorted(statuses) == [200, *[401] * 5]


# --- what is kept, and what is refused ---


async def test_neither_number_nor_code_is_kept(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    code = await asked(api, phones, member)
    for row in await api.db.pool.fetch("SELECT s::text AS whole, phone_digest, digest FROM sign_in_code s"):
        assert member.phone not in row["whole"]
        assert member.phone.encode() not in row["phone_digest"]
        assert code.encode() not in (row["digest"] or b"")


async def test_old_codes_are_forgotten_when_they_limit_nobody(api: Api, shop: Shop, phones: Phones) -> None:
    assert (await ask(api, stranger()))[0] == 202
    rows = "SELECT count(*) FROM sign_in_code WHERE expires_at = $1"
    until = NOW + timedelta(minutes=5)
    for now, left in ((NOW + timedelta(days=1, minutes=5), True), (NOW + timedelta(days=1, minutes=6), False)):
        await forget_codes(api.db.pool, now)
        assert bool(await api.db.pool.fetchval(rows, until)) == left


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/code", {"phone": "12345"}, "/phone"), ("/code", {}, "/phone"),
        ("/code", {"phone": "13900000000", "x": 1}, "/x"), ("", {"phone": "13900000000", "code": "12345"}, "/code"),
        ("", {"phone": "13900000000", "code": "１２３４５６"}, "/code"), ("", {"phone": "13900000000"}, "/code"),
        ("", {"phone": "13900000000", "code": 123456}, "/code"), ("/wechat", {"code": ""}, "/code"),
        ("/wechat", {"code": "a\nb"}, "/code"), ("/wechat/phone", {"code": "x"}, "/link_token"),
    ],
)  # fmt: skip
async def test_what_is_no_sign_in(api: Api, path: str, body: dict[str, Any], pointer: str) -> None:
    answer = await api.call("POST", f"/member-sign-in{path}", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_member_id_is_not_taken_from_a_body(api: Api) -> None:
    body = {"phone": "13900000000", "code": "123456", "member_id": str(UUID(int=1))}
    assert (await api.call("POST", "/member-sign-in", json=body)).status_code == 422


# --- sessions that headquarters ends ---


async def test_headquarters_ends_a_members_sessions(api: Api, shop: Shop, phones: Phones) -> None:
    member = await shop.member()
    _, tokens = await enter(api, member.phone, await asked(api, phones, member))
    path = f"/members/{member.id}/sessions"
    for token in (tokens["access_token"], shop.director, shop.advisor, shop.program):
        assert (await api.call("DELETE", path, token)).status_code == 403
    assert (await api.call("DELETE", f"/members/{UUID(int=5)}/sessions", shop.hq)).status_code == 404
    operations = api.token(Role.HQ_OPERATIONS)
    for _ in range(2):
        assert (await api.call("DELETE", path, operations)).status_code == 204
    again = await api.call("POST", "/sign-in/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert again.status_code == 401
    await api.app.state.sessions.learn(api.db, NOW)
    assert (await api.call("GET", "/me", tokens["access_token"])).status_code == 401
    assert (
        await api.db.pool.fetchval(
            "SELECT count(*) FROM audit_event WHERE action = 'signed-out' AND operation = 'member_end_sessions'"
        )
        == 1
    )
