"""Text messages: the signature of Alibaba Cloud, and its SendSms against a server that checks it."""

import asyncio
import hmac
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import parse_qsl, quote

import httpx
import pytest
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.core import outbound
from app.core.acs3 import Operation, canonical_query, signed_headers
from app.core.problems import SmsUnavailable
from app.core.sms import (
    AliyunSender,
    ConsoleSender,
    Message,
    NoSender,
    Provider,
    Purpose,
    SmsNotTaken,
    sender,
    serves,
)
from app.settings import Settings
from tests.now import NOW
from tests.standin import closed_port, standing_in

PHONE = "+8613912345678"
CODE = Message(Purpose.SIGN_IN, {"code": "204913"})
SECRET = "the-key-secret"
WHOLE = {
    "sms": "aliyun", "sms_key_id": "key-1", "sms_key_secret": SECRET, "sms_sign_name": "车友汇",
    "sms_template_redemption": "SMS_1", "sms_template_sign_in": "SMS_2",
}  # fmt: skip


def test_the_documented_example() -> None:
    """The worked example of the signature's page: fixed inputs and the signature they give."""
    query = canonical_query(
        {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
    )
    headers = signed_headers(
        Operation("ecs.cn-shanghai.aliyuncs.com", "RunInstances", "2014-05-26"), query, key_id="YourAccessKeyId",
        key_secret="YourAccessKeySecret", at=datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
        nonce="3156853299f313e23d1673dc12e1703d",
    )  # fmt: skip
    assert headers["Authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("a b", "a%20b"), ("*", "%2A"), ("~", "~"), ("/", "%2F"), ("+86", "%2B86"), ("车", "%E8%BD%A6")],
)
def test_parameters_are_encoded_as_rfc_3986_says(given: str, canonical: str) -> None:
    assert canonical_query({"b": given, "a": ""}) == f"a=&b={canonical}"


@dataclass
class Dysms:
    """The provider as it answers: it checks each signature, refuses a nonce it has seen, and keeps what it takes."""

    answers: list[Response] = field(default_factory=list)
    """Given before anything else, in turn."""
    delay: float = 0
    calls: int = 0
    taken: list[dict[str, str]] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)
    """Nonces of all calls."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request = Request(scope, receive)
        self.calls += 1
        self.shown.append(request.headers["x-acs-signature-nonce"])
        await asyncio.sleep(self.delay)
        answer = self.answers.pop(0) if self.answers else self._judged(request, await request.body())
        await answer(scope, receive, send)

    def _judged(self, request: Request, body: bytes) -> Response:
        headers, nonce = request.headers, request.headers["x-acs-signature-nonce"]
        if nonce in self.nonces or headers["Authorization"] != self._expected(request, body):
            return JSONResponse({"Code": "SignatureDoesNotMatch"}, 400)
        self.nonces.add(nonce)
        assert (headers["x-acs-action"], headers["x-acs-version"]) == ("SendSms", "2017-05-25")
        self.taken.append(dict(request.query_params))
        return JSONResponse({"Code": "OK", "Message": "OK", "BizId": "1", "RequestId": "r-1"})

    @staticmethod
    def _expected(request: Request, body: bytes) -> str:
        pairs = sorted(parse_qsl(request.url.query, keep_blank_values=True))
        query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
        names = sorted({"host"} | {name for name in request.headers if name.startswith("x-acs-")})
        lines = "".join(f"{name}:{request.headers[name]}\n" for name in names)
        canonical = (
            f"{request.method}\n{request.url.path}\n{query}\n{lines}\n{';'.join(names)}\n{sha256(body).hexdigest()}"
        )
        digest = sha256(canonical.encode()).hexdigest()
        signature = hmac.new(SECRET.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), sha256).hexdigest()
        return f"ACS3-HMAC-SHA256 Credential=key-1,SignedHeaders={';'.join(names)},Signature={signature}"


@pytest.fixture
async def calls() -> AsyncIterator[httpx.AsyncClient]:
    async with outbound.client(0.5) as client:
        yield client


Sends = Callable[[str], AliyunSender]


@pytest.fixture
def at(calls: httpx.AsyncClient) -> Sends:
    """Makes the sender for a base URL."""
    templates = {Purpose.REDEMPTION: "SMS_1", Purpose.SIGN_IN: "SMS_2"}

    def make(url: str, secret: str = SECRET) -> AliyunSender:
        provider = Provider(httpx.URL(url), "key-1", secret, "车友汇", templates)
        return AliyunSender(calls, provider, clock=lambda: NOW, pauses=(0, 0))

    return make


async def test_a_message_is_handed_over(at: Sends) -> None:
    dysms = Dysms()
    async with standing_in(dysms) as url:
        await at(url).send(PHONE, CODE)
        await at(url).send(PHONE, Message(Purpose.REDEMPTION, {"place": "BJ 001", "points": 30, "code": "1"}))
    first, second = dysms.taken
    assert json.loads(first.pop("TemplateParam")) == {"code": "204913"}
    assert first == {"PhoneNumbers": PHONE, "SignName": "车友汇", "TemplateCode": "SMS_2"}
    assert json.loads(second["TemplateParam"]) == {"place": "BJ 001", "points": "30", "code": "1"}
    assert second["TemplateCode"] == "SMS_1"


async def test_a_wrong_secret_is_refused_and_not_tried_again(at: Sends, caplog: pytest.LogCaptureFixture) -> None:
    dysms = Dysms()
    async with standing_in(dysms) as url:
        with pytest.raises(SmsUnavailable):
            await at(url, "another").send(PHONE, CODE)  # type: ignore[call-arg]
    assert dysms.calls == 1
    assert "SignatureDoesNotMatch" in caplog.text


async def test_a_failure_of_the_provider_is_tried_again_under_a_new_nonce(at: Sends) -> None:
    dysms = Dysms(answers=[PlainTextResponse("", 503), PlainTextResponse("", 500)])
    async with standing_in(dysms) as url:
        await at(url).send(PHONE, CODE)
    assert (dysms.calls, len(dysms.taken)) == (3, 1)
    assert len(set(dysms.shown)) == 3


async def test_three_failures_are_enough(at: Sends) -> None:
    dysms = Dysms(answers=[PlainTextResponse("", 503) for _ in range(4)])
    async with standing_in(dysms) as url:
        with pytest.raises(SmsNotTaken):
            await at(url).send(PHONE, CODE)
    assert dysms.calls == 3


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": "x"}), JSONResponse([]), JSONResponse({}),
        PlainTextResponse("OK"), PlainTextResponse("", 302, {"Location": "http://127.0.0.1:1/"}),
    ],
)  # fmt: skip
async def test_any_other_answer_is_a_refusal(at: Sends, answer: Response) -> None:
    dysms = Dysms(answers=[answer])
    async with standing_in(dysms) as url:
        with pytest.raises(SmsUnavailable):
            await at(url).send(PHONE, CODE)
    assert dysms.calls == 1


async def test_what_may_be_under_way_is_not_sent_twice(at: Sends) -> None:
    dysms = Dysms(delay=1)
    async with standing_in(dysms) as url:
        with pytest.raises(SmsUnavailable) as refused:
            await at(url).send(PHONE, CODE)
        assert dysms.calls == 1
    assert not isinstance(refused.value, SmsNotTaken)


async def test_nobody_there(at: Sends, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SmsNotTaken):
        await at(closed_port()).send(PHONE, CODE)
    assert caplog.text.count("was not reached") == 3


async def test_nothing_personal_is_logged(at: Sends, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refusing = Dysms(answers=[JSONResponse({"Code": "isv.MOBILE_NUMBER_ILLEGAL"}, 400)])
    async with standing_in(refusing) as url:
        with pytest.raises(SmsUnavailable):
            await at(url).send(PHONE, CODE)
        await at(url).send(PHONE, CODE)
    assert "isv.MOBILE_NUMBER_ILLEGAL" in caplog.text
    assert not re.search(r"139|204913|SignName", caplog.text)


# --- which one ---


async def test_the_senders(calls: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {"none": NoSender, "console": ConsoleSender, "aliyun": AliyunSender}
    for name, kind in kinds.items():
        chosen = sender(Settings(**WHOLE | {"sms": name}), calls, lambda: NOW)  # type: ignore[arg-type]
        assert isinstance(chosen, kind)
        assert chosen.can_send == (name != "none")
    with pytest.raises(SmsUnavailable):
        await NoSender().send(PHONE, CODE)
    await ConsoleSender().send(PHONE, CODE)
    printed = capsys.readouterr().err
    assert "204913" in printed
    assert "13912345678" not in printed


@pytest.mark.parametrize("left_out", sorted(WHOLE.keys() - {"sms"}))
def test_a_provider_is_configured_wholly(left_out: str) -> None:
    with pytest.raises(ValidationError, match=f"CLUB_{left_out.upper()} too"):
        Settings(**{name: value for name, value in WHOLE.items() if name != left_out})  # type: ignore[arg-type]


@pytest.mark.parametrize(("template", "said"), [(None, "no template"), ("SMS_3", "was not reached")])
async def test_a_notice_needs_a_template_of_its_own(
    calls: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, template: str | None, said: str
) -> None:
    settings = WHOLE | {"sms_base_url": closed_port(), "sms_template_phone_changed": template}
    chosen = sender(Settings(**settings), calls, lambda: NOW)  # type: ignore[arg-type]
    with pytest.raises(SmsUnavailable):
        await chosen.send(PHONE, Message(Purpose.PHONE_CHANGED, {}))
    assert said in caplog.text
    assert PHONE not in caplog.text


@pytest.mark.parametrize(
    ("name", "template", "is_served"),
    [("none", "SMS_4", False), ("console", None, True), ("aliyun", None, False), ("aliyun", "SMS_4", True)],
)
def test_whether_a_purpose_is_served(name: str, template: str | None, is_served: bool) -> None:
    settings = Settings(**WHOLE | {"sms": name, "sms_template_event_cancelled": template})  # type: ignore[arg-type]
    assert serves(settings, Purpose.EVENT_CANCELLED) is is_served


# --- work that goes on after the answer ---


async def test_detached_work_is_finished_and_its_failure_named(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(1)

    async def fail() -> None:
        raise ValueError(PHONE)

    detached = outbound.Detached()
    detached.start(work())
    detached.start(fail())
    await detached.finish()
    await asyncio.sleep(0)
    assert done == [1]
    assert "ValueError" in caplog.text
    assert PHONE not in caplog.text
