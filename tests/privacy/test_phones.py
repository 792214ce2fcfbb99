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

    def codes(self, member: Person, phone: str) -> dict[str, str]:
        """What a member shows for its new number: the codes that came there, and to the number it has."""
        last = {to: str(message.figures["code"]) for to, message in self.sent}
        return {"code": last[f"+86{phone}"], "old_code": last[f"+86{member.phone}"]}


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
    assert [to for to, _ in post.sent] == [f"+86{phone}", f"+86{member.phone}"]
    shown = post.codes(member, phone)
    assert [code in message.text for code, (_, message) in zip(shown.values(), post.sent, strict=True)] == [True, True]
    changed = await correct(api, member, phone=phone, **shown)
    assert (changed.status_code, changed.json()["phone"]) == (200, f"+86{phone}")
    for number, found in ((phone, [str(member.id)]), (member.phone, [])):
        answer = await api.call("POST", "/members/search", shop.hq, json={"phone": number})
        assert [item["id"] for item in answer.json()["items"]] == found
    assert problem(await correct(api, member, phone=phone, **shown)) == (409, "/problems/code-wrong")


async def test_a_code_is_good_for_its_member_and_number_alone(shop: Shop, api: Api, post: Postman):
    member, thief, phone, other = await shop.member(), await shop.member(), next(_numbers), next(_numbers)
    await ask(api, member, phone)
    shown = post.codes(member, phone)
    await ask(api, thief, other)
    assert problem(await correct(api, thief, phone=phone, **shown)) == (409, "/problems/code-wrong")
    assert problem(await correct(api, member, phone=other, **shown)) == (409, "/problems/code-wrong")
    signed_in = await api.call("POST", "/member-sign-in", json={"phone": phone, "code": shown["code"]})
    assert signed_in.status_code == 401
    assert (await correct(api, member, phone=phone, **shown)).status_code == 200


async def test_five_tries_and_five_minutes(shop: Shop, api: Api, post: Postman):
    member, phone = await shop.member(), next(_numbers)
    await ask(api, member, phone)
    shown = post.codes(member, phone)
    for name in ("code", "old_code", "code", "old_code", "code"):
        refused = await correct(api, member, phone=phone, **shown | {name: other_than(shown[name])})
        assert problem(refused) == (409, "/problems/code-wrong")
    assert problem(await correct(api, member, phone=phone, **shown)) == (409, "/problems/code-wrong")

    late, number = await shop.member(), next(_numbers)
    await ask(api, late, number)
    token = api.token(Role.MEMBER, member=late.id)
    api.app.state.now = NOW + timedelta(minutes=5)
    try:
        read = await api.call("GET", f"/members/{late.id}", token)
        body, headers = {"phone": number} | post.codes(late, number), {"If-Match": read.headers["ETag"]}
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
    assert len(post.sent) == 4


async def test_another_members_number_is_not_taken_over(shop: Shop, api: Api, post: Postman):
    member, holder = await shop.member(), await shop.member(dealer="SH001")
    await ask(api, member, holder.phone)
    refused = await correct(api, member, phone=holder.phone, **post.codes(member, holder.phone))
    assert problem(refused) == (409, "/problems/phone-taken")


async def test_two_who_take_one_number_at_once_do_not_both_get_it(shop: Shop, api: Api, post: Postman):
    first, second, phone = await shop.member(), await shop.member(), next(_numbers)
    shown = []
    for member in (first, second):
        await ask(api, member, phone)
        shown.append(post.codes(member, phone))
        # the number's own limit is not what is tried here
        await api.db.pool.execute("UPDATE sign_in_code SET sent_at = '{}'")
    answers = await asyncio.gather(
        *(correct(api, member, phone=phone, **codes) for member, codes in zip((first, second), shown, strict=True))
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


# --- what rested on the old number ---


async def signed_in(api: Api, post: Postman, member: Person) -> str:
    """A session of the member's own, from this moment on: its access token."""
    await api.db.pool.execute("UPDATE sign_in_code SET sent_at = '{}'")
    await api.call("POST", "/member-sign-in/code", json={"phone": member.phone})
    await api.app.state.detached.finish()
    code = str(post.sent[-1][1].figures["code"])
    answer = await api.call("POST", "/member-sign-in", json={"phone": member.phone, "code": code})
    return str(answer.json()["access_token"])


async def change(api: Api, post: Postman, member: Person, phone: str, token: str) -> Any:
    """Ask for the codes, and show those that came."""
    asked = await api.call("POST", f"/members/{member.id}/phone-codes", token, json={"phone": phone})
    assert asked.status_code == 202
    shown = post.codes(member, phone)
    if not asked.json()["to_old_too"]:
        del shown["old_code"]
    etag = (await api.call("GET", f"/members/{member.id}", token)).headers["ETag"]
    body, headers = {"phone": phone} | shown, {"If-Match": etag}
    changed = await api.call("PATCH", f"/members/{member.id}/own-data", token, json=body, headers=headers)
    await api.app.state.detached.finish()
    await api.app.state.sessions.learn(api.db, NOW)
    return changed


async def still_good(api: Api, *tokens: str) -> list[bool]:
    return [(await api.call("GET", "/me", token)).status_code == 200 for token in tokens]


async def test_who_just_signed_in_shows_the_new_numbers_code_alone(shop: Shop, api: Api, post: Postman):
    member, phone = await shop.member(), next(_numbers)
    token = await signed_in(api, post, member)
    post.sent.clear()
    asked = await api.call("POST", f"/members/{member.id}/phone-codes", token, json={"phone": phone})
    assert (asked.status_code, asked.json()["to_old_too"]) == (202, False)
    assert [to for to, _ in post.sent] == [f"+86{phone}"]


@pytest.mark.parametrize(("minutes", "to_old_too"), [(10, False), (11, True)])
async def test_a_sign_in_is_fresh_for_ten_minutes(shop: Shop, api: Api, post: Postman, minutes: int, to_old_too: bool):
    member = await shop.member()
    token = await signed_in(api, post, member)
    api.app.state.now = NOW + timedelta(minutes=minutes)
    try:
        path, body = f"/members/{member.id}/phone-codes", {"phone": next(_numbers)}
        asked = await api.call("POST", path, token, json=body)
    finally:
        api.app.state.now = NOW
    assert asked.json()["to_old_too"] == to_old_too


async def test_a_thief_of_a_session_needs_the_old_number(shop: Shop, api: Api, post: Postman):
    member, phone = await shop.member(), next(_numbers)
    assert (await ask(api, member, phone)).json()["to_old_too"]
    shown = post.codes(member, phone)
    refused = await correct(api, member, phone=phone, code=shown["code"])
    assert problem(refused) == (409, "/problems/code-wrong")
    refused = await correct(api, member, phone=phone, code=shown["code"], old_code=shown["code"])
    assert problem(refused) == (409, "/problems/code-wrong")


async def test_with_the_number_change_sessions_wechat_and_whom_to_tell(shop: Shop, api: Api, post: Postman):
    member, other, phone = await shop.member(), await shop.member(), next(_numbers)
    mine, lost, others = [await signed_in(api, post, one) for one in (member, member, other)]
    link = "INSERT INTO wechat_user (app_id, openid, member_id, linked_at) VALUES ('wx', $1, $2, $3)"
    for one in (member, other):
        await api.db.pool.execute(link, f"o-{one.member_no}", one.id, NOW)
    assert (await change(api, post, member, phone, mine)).status_code == 200
    assert await still_good(api, mine, lost, others) == [True, False, True]
    known = await api.db.pool.fetch("SELECT member_id FROM wechat_user WHERE app_id = 'wx'")
    assert [row["member_id"] for row in known] == [other.id]
    to, notice = post.sent[-1]
    assert (to, notice.figures) == (f"+86{member.phone}", {})
    assert phone not in notice.text


async def test_what_headquarters_changes_ends_all_sessions(shop: Shop, api: Api, post: Postman):
    """The member called because it has the old number no longer: no code goes there, but a notice does."""
    member, phone = await shop.member(), next(_numbers)
    token = await signed_in(api, post, member)
    post.sent[:] = [(f"+86{member.phone}", post.sent[0][1])]
    assert (await change(api, post, member, phone, api.token(Role.HQ_OPERATIONS))).status_code == 200
    assert await still_good(api, token) == [False]
    assert [to for to, _ in post.sent[1:]] == [f"+86{phone}", f"+86{member.phone}"]


async def test_a_refused_change_ends_nothing(shop: Shop, api: Api, post: Postman):
    member, holder = await shop.member(), await shop.member(dealer="SH001")
    one, other = await signed_in(api, post, member), await signed_in(api, post, member)
    assert problem(await change(api, post, member, holder.phone, one)) == (409, "/problems/phone-taken")
    assert await still_good(api, one, other) == [True, True]
    assert post.sent[-1][0] == f"+86{holder.phone}"


async def test_the_same_number_again_changes_nothing(shop: Shop, api: Api, post: Postman):
    member = await shop.member()
    one, other = await signed_in(api, post, member), await signed_in(api, post, member)
    sent = len(post.sent)
    assert (await change(api, post, member, member.phone, one)).status_code == 200
    assert await still_good(api, one, other) == [True, True]
    assert len(post.sent) == sent + 1
