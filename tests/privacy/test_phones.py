"""A member's new phone number."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from app.core.actors import Role
from app.core.problems import SmsUnavailable
from app.core.sms import Message
from tests.api import Api
from tests.now import NOW
from tests.shop import Person, Shop, problem

_numbers = (f"137{serial:08d}" for serial in count(1))


class Postman:
    """Keeps what is sent."""

    can_send = True

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []

    async def send(self, phone: str, message: Message) -> None:
        """Keep it."""
        self.sent.append((phone, message))

    @property
    def code(self) -> str:
        """The code sent last."""
        return str(self.sent[-1][1].figures["code"])


@pytest.fixture
async def post(api: Api) -> AsyncIterator[Postman]:
    """What is sent while the test lasts."""
    before, api.app.state.sms = api.app.state.sms, Postman()
    yield api.app.state.sms
    api.app.state.sms = before


async def ask(api: Api, member: Person, phone: str) -> Any:
    token = api.token(Role.MEMBER, member=member.id)
    return await api.call("POST", f"/members/{member.id}/phone-codes", token, json={"phone": phone})


async def correct(api: Api, member: Person, **fields: Any) -> Any:
    token = api.token(Role.MEMBER, member=member.id)
    read = await api.call("GET", f"/members/{member.id}", token)
    headers = {"If-Match": read.headers["ETag"]}
    return await api.call("PATCH", f"/members/{member.id}/own-data", token, json=fields, headers=headers)


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_the_code_goes_to_the_new_number_and_brings_it_over(shop: Shop, api: Api, post: Postman):
    member, phone = await shop.member(), next(_numbers)
    assert (await ask(api, member, phone)).status_code == 202
    [(to, message)] = post.sent
    assert to == f"+86{phone}"
    assert post.code in message.text
    changed = await correct(api, member, phone=phone, code=post.code)
    assert (changed.status_code, changed.json()["phone"]) == (200, f"+86{phone}")
    for number, found in ((phone, [str(member.id)]), (member.phone, [])):
        answer = await api.call("POST", "/members/search", shop.hq, json={"phone": number})
        assert [item["id"] for item in answer.json()["items"]] == found
    assert problem(await correct(api, member, phone=phone, code=post.code)) == (409, "/problems/code-wrong")


async def test_a_code_is_good_for_its_member_and_number_alone(shop: Shop, api: Api, post: Postman):
    member, thief, phone, other = await shop.member(), await shop.member(), next(_numbers), next(_numbers)
    await ask(api, member, phone)
    code = post.code
    await ask(api, thief, other)
    assert problem(await correct(api, thief, phone=phone, code=code)) == (409, "/problems/code-wrong")
    assert problem(await correct(api, member, phone=other, code=code)) == (409, "/problems/code-wrong")
    signed_in = await api.call("POST", "/member-sign-in", json={"phone": phone, "code": code})
    assert signed_in.status_code == 401
    assert (await correct(api, member, phone=phone, code=code)).status_code == 200


async def test_five_tries_and_five_minutes(shop: Shop, api: Api, post: Postman):
    member, phone = await shop.member(), next(_numbers)
    await ask(api, member, phone)
    for _ in range(5):
        refused = await correct(api, member, phone=phone, code=other_than(post.code))
        assert problem(refused) == (409, "/problems/code-wrong")
    assert problem(await correct(api, member, phone=phone, code=post.code)) == (409, "/problems/code-wrong")

    late, number = await shop.member(), next(_numbers)
    await ask(api, late, number)
    token = api.token(Role.MEMBER, member=late.id)
    api.app.state.now = NOW + timedelta(minutes=5)
    try:
        read = await api.call("GET", f"/members/{late.id}", token)
        body, headers = {"phone": number, "code": post.code}, {"If-Match": read.headers["ETag"]}
        refused = await api.call("PATCH", f"/members/{late.id}/own-data", token, json=body, headers=headers)
        assert problem(refused) == (409, "/problems/code-wrong")
    finally:
        api.app.state.now = NOW


async def test_asking_is_limited_by_member_and_by_number(shop: Shop, api: Api, post: Postman):
    member, another, phone = await shop.member(), await shop.member(), next(_numbers)
    assert (await ask(api, member, phone)).status_code == 202
    again = await ask(api, member, next(_numbers))
    assert problem(again) == (429, "/problems/too-many-codes")
    assert problem(await ask(api, another, phone)) == (429, "/problems/too-many-codes")
    assert (await ask(api, another, next(_numbers))).status_code == 202, "what was refused cost nothing"
    assert len(post.sent) == 2


async def test_another_members_number_is_not_taken_over(shop: Shop, api: Api, post: Postman):
    member, holder = await shop.member(), await shop.member(dealer="SH001")
    await ask(api, member, holder.phone)
    refused = await correct(api, member, phone=holder.phone, code=post.code)
    assert problem(refused) == (409, "/problems/phone-taken")


async def test_two_who_take_one_number_at_once_do_not_both_get_it(shop: Shop, api: Api, post: Postman):
    first, second, phone = await shop.member(), await shop.member(), next(_numbers)
    codes = []
    for member in (first, second):
        await ask(api, member, phone)
        codes.append(post.code)
        # the number's own limit is not what is tried here
        await api.db.pool.execute("UPDATE sign_in_code SET sent_at = '{}'")
    answers = await asyncio.gather(
        *(correct(api, member, phone=phone, code=code) for member, code in zip((first, second), codes, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


@pytest.mark.parametrize(("fields", "missing"), [({"phone": "13712345678"}, "/code"), ({"code": "123456"}, "/phone")])
async def test_a_number_needs_its_code(shop: Shop, api: Api, fields: dict[str, str], missing: str):
    refused = await correct(api, await shop.member(), **fields)
    assert refused.status_code == 422
    assert [(fault["pointer"], fault["code"]) for fault in refused.json()["errors"]] == [(missing, "missing")]


async def test_without_a_provider_nothing_is_promised(shop: Shop, api: Api):
    assert not api.app.state.sms.can_send
    refused = await ask(api, await shop.member(), next(_numbers))
    assert problem(refused) == (SmsUnavailable.status, "/problems/sms-unavailable")


async def test_a_foreign_members_number_is_not_changed(shop: Shop, api: Api, post: Postman):
    member, thief = await shop.member(), await shop.member()
    token = api.token(Role.MEMBER, member=thief.id)
    refused = await api.call("POST", f"/members/{member.id}/phone-codes", token, json={"phone": next(_numbers)})
    assert problem(refused) == (404, "/problems/not-found")
    assert post.sent == []
