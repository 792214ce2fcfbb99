"""Members sign in as WeChat users, against a server that answers as WeChat documents it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.core.actors import Role
from tests.api import SETTINGS, Api, running_api
from tests.now import NOW
from tests.shop import Shop
from tests.standin import closed_port, standing_in

APP_ID, SECRET, SESSION_KEY = "wx-club", "the-app-secret", "tiihtNczf5v6AKRyjwEUhQ=="


@dataclass
class Wechat:
    """WeChat: each code is good once; `phones` are what users agreed to show, by code."""

    users: dict[str, str] = field(default_factory=dict)
    """The user by wx.login's code."""
    phones: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    """What is refused, by code."""
    answer: Response | None = None
    """Given to everything, when set."""
    delay: float = 0
    tokens: int = 0
    used: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request = Request(scope, receive)
        self.calls.append(request.url.path)
        await asyncio.sleep(self.delay)
        body = await request.body()
        answer = self.answer or self._answer(request, json.loads(body) if body else {})
        await answer(scope, receive, send)

    def _answer(self, request: Request, body: dict[str, Any]) -> Response:
        query = dict(request.query_params)
        match request.method, request.url.path:
            case "GET", "/sns/jscode2session":
                code = query.pop("js_code")
                assert query == {"appid": APP_ID, "secret": SECRET, "grant_type": "authorization_code"}
                found: dict[str, Any] | None
                found = {"openid": self.users[code], "session_key": SESSION_KEY} if code in self.users else None
                return self._once(code, found)
            case "POST", "/cgi-bin/stable_token":
                assert body == {"grant_type": "client_credential", "appid": APP_ID, "secret": SECRET}
                return _said({"access_token": f"token-{self.tokens}", "expires_in": 7200})
            case "POST", "/wxa/business/getuserphonenumber":
                if query != {"access_token": f"token-{self.tokens}"}:
                    return _refused(40001)
                found = {"phone_info": self.phones[body["code"]]} if body["code"] in self.phones else None
                return self._once(body["code"], found)
        return PlainTextResponse("", 404)

    def _once(self, code: str, found: dict[str, Any] | None) -> Response:
        if code in self.errors or found is None:
            return _refused(self.errors.get(code, 40029))
        if code in self.used:
            return _refused(40163)
        self.used.add(code)
        return _said(found | {"errcode": 0, "errmsg": "ok"} if "phone_info" in found else found)


def _said(body: dict[str, Any]) -> Response:
    # JSON that is not called so, as WeChat does
    return PlainTextResponse(json.dumps(body))


def _refused(code: int) -> Response:
    return _said({"errcode": code, "errmsg": "refused, rid: 1-2-3"})


def shown(phone: str, **fields: Any) -> dict[str, Any]:
    return {
        "phoneNumber": phone, "purePhoneNumber": phone, "countryCode": "86",
        "watermark": {"timestamp": 1637744274, "appid": APP_ID},
    } | fields  # fmt: skip


@pytest.fixture(scope="module")
async def platform() -> AsyncIterator[tuple[Wechat, str]]:
    wechat = Wechat()
    async with standing_in(wechat) as url:
        yield wechat, url


@pytest.fixture
def wechat(platform: tuple[Wechat, str]) -> Wechat:
    """As new, for one test."""
    wechat, fresh = platform[0], Wechat()
    wechat.__dict__.update(fresh.__dict__)
    return wechat


@pytest.fixture(scope="module")
async def api(dsn: str, platform: tuple[Wechat, str]) -> AsyncIterator[Api]:
    """The API with a mini-program at the stand-in."""
    ours = {
        "wechat_app_id": APP_ID,
        "wechat_secret": SecretStr(SECRET),
        "wechat_base_url": platform[1],
        "outbound_seconds": 0.5,
    }
    async with running_api(dsn, settings=SETTINGS.model_copy(update=ours)) as running:
        yield running


@pytest.fixture(autouse=True)
def present(api: Api) -> None:
    """Each test begins now, without an access token of WeChat's."""
    api.app.state.now = NOW
    api.app.state.wechat._token = None


Said = tuple[int, dict[str, Any]]


async def login(api: Api, code: str) -> Said:
    answer = await api.call("POST", "/member-sign-in/wechat", json={"code": code})
    return answer.status_code, answer.json()


async def show(api: Api, link_token: str, code: str) -> Said:
    body = {"link_token": link_token, "code": code}
    answer = await api.call("POST", "/member-sign-in/wechat/phone", json=body)
    return answer.status_code, answer.json()


def kind(said: Said) -> tuple[int, str]:
    return said[0], said[1]["type"].removeprefix("/problems/")


async def linked(api: Api, wechat: Wechat, openid: str, phone: str) -> Said:
    """A user logs in for the first time and shows its phone."""
    wechat.users[f"login-{openid}"] = openid
    wechat.phones[f"phone-{openid}"] = shown(phone)
    status, asked = await login(api, f"login-{openid}")
    assert status == 202
    return await show(api, asked["link_token"], f"phone-{openid}")


async def subject(api: Api, said: Said) -> str:
    assert said[0] == 200, said
    return str((await api.call("GET", "/me", said[1]["access_token"])).json()["subject"])


# --- the way in ---


async def test_a_user_shows_its_phone_once(api: Api, shop: Shop, wechat: Wechat) -> None:
    member = await shop.member()
    wechat.users |= {"first": "o-1", "second": "o-1"}
    wechat.phones["phone"] = shown(member.phone)
    answer = await api.call("POST", "/member-sign-in/wechat", json={"code": "first"})
    assert answer.status_code == 202
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json().keys() == {"link_token", "valid_until"}
    assert await subject(api, await show(api, answer.json()["link_token"], "phone")) == member.member_no
    assert await subject(api, await login(api, "second")) == member.member_no


async def test_what_is_secret_stays_here(api: Api, shop: Shop, wechat: Wechat, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    member = await shop.member()
    wechat.users["code"] = "o-secret"
    answer = await api.call("POST", "/member-sign-in/wechat", json={"code": "code"})
    assert (await show(api, answer.json()["link_token"], "no such code"))[0] == 422
    assert (await linked(api, wechat, "o-other", member.phone))[0] == 200
    stored = await api.db.pool.fetch("SELECT w::text FROM wechat_user w")
    for text in (answer.text, str(answer.headers), caplog.text, *(row[0] for row in stored)):
        assert SESSION_KEY not in text
        assert SECRET not in text
        assert "o-secret" not in text
        assert "token-0" not in text
        assert member.phone not in text


async def test_a_phone_that_is_no_members(api: Api, shop: Shop, wechat: Wechat) -> None:
    assert kind(await linked(api, wechat, "o-2", "17700000001")) == (401, "sign-in-failed")
    wechat.users["again"] = "o-2"
    assert (await login(api, "again"))[0] == 202


@pytest.mark.parametrize("country", ["852", 1])
async def test_a_foreign_phone_is_no_members(api: Api, shop: Shop, wechat: Wechat, country: object) -> None:
    member = await shop.member()
    wechat.users["login"], wechat.phones["phone"] = "o-3", shown(member.phone, countryCode=country)
    link = (await login(api, "login"))[1]["link_token"]
    assert kind(await show(api, link, "phone")) == (401, "sign-in-failed")


async def test_a_country_code_may_be_a_number(api: Api, shop: Shop, wechat: Wechat) -> None:
    member = await shop.member()
    wechat.users["login"], wechat.phones["phone"] = "o-4", shown(member.phone, countryCode=86)
    link = (await login(api, "login"))[1]["link_token"]
    assert await subject(api, await show(api, link, "phone")) == member.member_no


async def test_a_user_with_another_phone_is_another_member(api: Api, shop: Shop, wechat: Wechat) -> None:
    """Who left and joined anew under another number is asked for it again."""
    old, new = await shop.member(), await shop.member()
    assert await subject(api, await linked(api, wechat, "o-5", old.phone)) == old.member_no
    step = {"to": "left", "reason": "test"}
    assert (await api.call("POST", f"/members/{old.id}/status", shop.hq, json=step)).status_code == 200
    wechat.used.clear()
    assert await subject(api, await linked(api, wechat, "o-5", new.phone)) == new.member_no
    wechat.used.clear()
    assert await subject(api, await login(api, "login-o-5")) == new.member_no


async def test_a_member_who_left_does_not_get_in(api: Api, shop: Shop, wechat: Wechat) -> None:
    member = await shop.member()
    step = {"to": "left", "reason": "test"}
    assert (await api.call("POST", f"/members/{member.id}/status", shop.hq, json=step)).status_code == 200
    assert kind(await linked(api, wechat, "o-6", member.phone)) == (401, "sign-in-failed")
    assert not await api.db.pool.fetchval("SELECT count(*) FROM wechat_user WHERE openid = 'o-6'")


# --- link tokens ---


@pytest.mark.parametrize(("seconds", "status"), [(599, 200), (600, 401)])
async def test_a_link_token_lives_ten_minutes(api: Api, shop: Shop, wechat: Wechat, seconds: int, status: int) -> None:
    member = await shop.member()
    wechat.users["login"], wechat.phones["phone"] = f"o-7-{seconds}", shown(member.phone)
    link = (await login(api, "login"))[1]["link_token"]
    api.app.state.now = NOW + timedelta(seconds=seconds)
    assert (await show(api, link, "phone"))[0] == status


async def test_a_link_token_that_is_not_ours(api: Api, shop: Shop, wechat: Wechat) -> None:
    wechat.users["login"], wechat.phones["phone"] = "o-8", shown((await shop.member()).phone)
    link = (await login(api, "login"))[1]["link_token"]
    changed = link[:-2] + ("A" if link[-2] != "A" else "B") + link[-1]
    sealed = api.app.state.seals.seal
    others = [sealed(text.encode()).decode() for text in ("", "x\ny", f"oidc\n9999999999\n{APP_ID}\no-8")]
    foreign = sealed(b"wechat\n9999999999\nwx-other\no-8").decode()
    for token in (changed, "nonsense", link[1:], foreign, *others, sealed(b"\xff\xfe").decode()):
        assert kind(await show(api, token, "phone")) == (401, "link-expired")
    assert wechat.calls == ["/sns/jscode2session"]


# --- refusals ---


@pytest.mark.parametrize(
    ("errcode", "status", "type_"),
    [
        (40029, 401, "wechat-code-invalid"), (40163, 409, "wechat-code-used"), (40226, 403, "wechat-user-blocked"),
        (45011, 429, "wechat-busy"), (-1, 503, "wechat-unavailable"), (40013, 503, "wechat-unavailable"),
        (40125, 503, "wechat-unavailable"),
    ],
)  # fmt: skip
async def test_wechats_refusals(api: Api, wechat: Wechat, caplog: Any, errcode: int, status: int, type_: str) -> None:
    wechat.users |= {"good": "o-9"}
    wechat.errors |= {"bad": errcode, "phone": errcode}
    assert kind(await login(api, "bad")) == (status, type_)
    link = (await login(api, "good"))[1]["link_token"]
    assert kind(await show(api, link, "phone")) == (status, type_)
    if status == 503:
        assert f"errcode {errcode}" in caplog.text


async def test_how_long_to_wait(api: Api, wechat: Wechat) -> None:
    wechat.errors["bad"] = 45011
    answer = await api.call("POST", "/member-sign-in/wechat", json={"code": "bad"})
    assert answer.headers["Retry-After"] == "60"


async def test_a_code_is_good_once(api: Api, wechat: Wechat) -> None:
    wechat.users["login"] = "o-10"
    assert (await login(api, "login"))[0] == 202
    assert kind(await login(api, "login")) == (409, "wechat-code-used")


@pytest.mark.parametrize("text", ["", "<html>", "[]", "{}", '{"openid": ""}', '{"openid": 7}', '"x"'])
async def test_an_answer_that_makes_no_sense(api: Api, wechat: Wechat, text: str) -> None:
    wechat.answer = PlainTextResponse(text)
    assert kind(await login(api, "x")) == (503, "wechat-unavailable")


async def test_an_answer_that_does_not_come(api: Api, wechat: Wechat) -> None:
    wechat.delay = 1
    assert kind(await login(api, "x")) == (503, "wechat-unavailable")


@pytest.mark.parametrize("info", [None, [], {}, {"watermark": {"appid": "wx-other"}}, {"watermark": "x"}])
async def test_a_phone_of_another_mini_program(api: Api, shop: Shop, wechat: Wechat, info: Any) -> None:
    member = await shop.member()
    whole = shown(member.phone)
    wechat.users["login"] = "o-11"
    wechat.phones["phone"] = whole | info if isinstance(info, dict) and info else info
    link = (await login(api, "login"))[1]["link_token"]
    assert kind(await show(api, link, "phone")) == (503, "wechat-unavailable")


async def test_wechat_is_not_there(dsn: str) -> None:
    gone = {"wechat_app_id": APP_ID, "wechat_secret": SecretStr(SECRET), "wechat_base_url": closed_port()}
    async with running_api(dsn, settings=SETTINGS.model_copy(update=gone)) as api:
        assert kind(await login(api, "x")) == (503, "wechat-unavailable")


async def test_there_is_no_mini_program(dsn: str) -> None:
    async with running_api(dsn) as api:
        assert kind(await login(api, "x")) == (404, "no-wechat")
        link = api.app.state.seals.seal(b"wechat\n9999999999\n\no-12").decode()
        assert kind(await show(api, link, "x")) == (404, "no-wechat")


# --- WeChat's access token ---


async def test_an_access_token_serves_many(api: Api, shop: Shop, wechat: Wechat) -> None:
    *first, last = [(await shop.member()).phone for _ in range(4)]
    for phone in first:
        assert (await linked(api, wechat, f"o-13-{phone}", phone))[0] == 200
    assert wechat.calls.count("/cgi-bin/stable_token") == 1
    api.app.state.now = NOW + timedelta(minutes=115)
    assert (await linked(api, wechat, "o-13-9", last))[0] == 200
    assert wechat.calls.count("/cgi-bin/stable_token") == 2


async def test_an_access_token_that_was_replaced(api: Api, shop: Shop, wechat: Wechat) -> None:
    assert (await linked(api, wechat, "o-14", (await shop.member()).phone))[0] == 200
    wechat.tokens += 1
    assert (await linked(api, wechat, "o-15", (await shop.member()).phone))[0] == 200


async def test_many_at_once_have_one_token_made(api: Api, shop: Shop, wechat: Wechat) -> None:
    phones = [(await shop.member()).phone for _ in range(5)]
    wechat.delay = 0.02
    said = await asyncio.gather(*(linked(api, wechat, f"o-16-{phone}", phone) for phone in phones))
    assert [status for status, _ in said] == [200] * 5
    assert wechat.calls.count("/cgi-bin/stable_token") == 1


# --- out again ---


async def test_a_member_unlinks_wechat(api: Api, shop: Shop, wechat: Wechat) -> None:
    member, other = await shop.member(), await shop.member()
    _, tokens = await linked(api, wechat, "o-leaves", member.phone)
    assert (await linked(api, wechat, "o-stays", other.phone))[0] == 200
    for _ in range(2):
        answer = await api.call("DELETE", f"/members/{member.id}/wechat", tokens["access_token"])
        assert answer.status_code == 204
    wechat.users |= {"afterwards": "o-leaves", "still": "o-stays"}
    assert (await login(api, "afterwards"))[0] == 202
    assert await subject(api, await login(api, "still")) == other.member_no
    assert (await api.call("GET", "/me", tokens["access_token"])).status_code == 200
    deeds = await api.db.pool.fetch("SELECT target_ids FROM audit_event WHERE operation = 'member_unlink_wechat'")
    assert [deed["target_ids"] for deed in deeds] == [[str(member.id)]]


async def test_who_unlinks_whom(api: Api, shop: Shop, wechat: Wechat) -> None:
    member = await shop.member()
    assert (await linked(api, wechat, "o-mine", member.phone))[0] == 200
    other = api.token(Role.MEMBER, member=(await shop.member()).id)
    path = f"/members/{member.id}/wechat"
    for token, status in ((other, 404), (shop.director, 403), (shop.program, 403)):
        assert (await api.call("DELETE", path, token)).status_code == status
    wechat.users["as-before"] = "o-mine"
    assert (await login(api, "as-before"))[0] == 200
    assert (await api.call("DELETE", path, api.token(Role.HQ_OPERATIONS))).status_code == 204
    wechat.users["no-longer"] = "o-mine"
    assert (await login(api, "no-longer"))[0] == 202
