"""WeChat's side of a mini-program's sign-in: code2Session, getPhoneNumber, and the access token the latter needs.

Sources: developers.weixin.qq.com, server API: code2Session, getPhoneNumber, getStableAccessToken. Whether an answer is
a refusal is read from `errcode` alone: it is missing or 0 when all is well, and the HTTP status is 200 either way.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any, Protocol

import httpx

from app.core.clock import Clock
from app.core.problems import Problem
from app.members.problems import (
    NoWechat,
    WechatBlocked,
    WechatBusy,
    WechatCodeInvalid,
    WechatCodeUsed,
    WechatUnavailable,
)
from app.settings import Settings

log = logging.getLogger("club.wechat")

Answer = dict[str, Any]

_CHINA = "86"
_EARLY = timedelta(minutes=5)
"""An access token is not used to its last moment: the platform itself renews that much earlier."""
_STALE_TOKEN = frozenset({40001, 40014, 42001})
_REFUSALS: dict[int, type[Problem]] = {40029: WechatCodeInvalid, 40163: WechatCodeUsed, 40226: WechatBlocked}
_BUSY = 45011
_QUOTA_WINDOW_SECONDS = 60


class MiniProgram(Protocol):
    """The members' mini-program, as WeChat vouches for its users."""

    app_id: str

    async def openid(self, code: str) -> str:
        """Who logged in with this code of wx.login: the user's id in this mini-program.

        Raises:
            WechatCodeInvalid, WechatCodeUsed, WechatBusy, WechatBlocked, WechatUnavailable, NoWechat.
        """
        ...

    async def phone(self, code: str) -> str | None:
        """The mainland number of the user who agreed to show it, by getPhoneNumber's code; None: a foreign number.

        Raises: as `openid`.
        """
        ...


class NoMiniProgram:
    """None is configured."""

    app_id = ""

    async def openid(self, code: str) -> str:
        """Refuse."""
        raise NoWechat

    async def phone(self, code: str) -> str | None:
        """Refuse."""
        raise NoWechat


class WechatMiniProgram:
    """A mini-program at WeChat itself."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, app_id: str, secret: str, *, clock: Clock) -> None:
        self.app_id = app_id
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._secret = secret
        self._clock = clock
        self._token: tuple[str, datetime] | None = None
        self._fetching = asyncio.Lock()

    async def openid(self, code: str) -> str:
        """As `MiniProgram` says. The session key in the answer is dropped here."""
        answer = await self._call(
            "GET", "/sns/jscode2session",
            params={
                "appid": self.app_id, "secret": self._secret, "js_code": code, "grant_type": "authorization_code",
            },
        )  # fmt: skip
        return _text(_accepted(answer), "openid")

    async def phone(self, code: str) -> str | None:
        """As `MiniProgram` says."""
        answer = await self._with_token(code)
        if answer.get("errcode") in _STALE_TOKEN:
            # somebody else had a new one made; without force the platform gives us that
            self._token = None
            answer = await self._with_token(code)
        info = _accepted(answer).get("phone_info")
        if not isinstance(info, dict) or _app_of(info) != self.app_id:
            raise WechatUnavailable
        return _text(info, "purePhoneNumber") if str(info.get("countryCode")) == _CHINA else None

    async def _with_token(self, code: str) -> Answer:
        token = await self._access_token()
        return await self._call(
            "POST", "/wxa/business/getuserphonenumber", params={"access_token": token}, json={"code": code}
        )

    async def _access_token(self) -> str:
        async with self._fetching:
            now = self._clock()
            if self._token is None or self._token[1] <= now:
                body = {"grant_type": "client_credential", "appid": self.app_id, "secret": self._secret}
                answer = _accepted(await self._call("POST", "/cgi-bin/stable_token", json=body))
                life = timedelta(seconds=int(answer.get("expires_in", 0))) - _EARLY
                self._token = _text(answer, "access_token"), now + life
            return self._token[0]

    async def _call(self, method: str, path: str, **options: Any) -> Answer:
        try:
            response = await self._client.request(method, self._base_url + path, **options)
            answer: object = response.json()
        except (httpx.HTTPError, ValueError) as error:
            log.error("WeChat did not answer %s: %s", path, type(error).__name__)
            raise WechatUnavailable from None
        if not isinstance(answer, dict):
            log.error("WeChat answered %s with HTTP %d and no object", path, response.status_code)
            raise WechatUnavailable
        return answer


def _accepted(answer: Answer) -> Answer:
    code = answer.get("errcode", 0)
    if code == 0:
        return answer
    if code == _BUSY:
        raise WechatBusy(retry_after_seconds=_QUOTA_WINDOW_SECONDS)
    if code in _REFUSALS:
        raise _REFUSALS[code]
    # ours to mend (40013 app id, 40125 secret, 40164 address) or theirs (-1)
    log.error("WeChat refused with errcode %s", str(code)[:16])
    raise WechatUnavailable


def _text(answer: Answer, name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        log.error("WeChat's answer has no %s", name)
        raise WechatUnavailable
    return value


def _app_of(info: Answer) -> object:
    mark = info.get("watermark")
    return mark.get("appid") if isinstance(mark, dict) else None


def mini_program(settings: Settings, client: httpx.AsyncClient, clock: Clock) -> MiniProgram:
    """The mini-program the settings name."""
    if settings.wechat_app_id is None or settings.wechat_secret is None:
        return NoMiniProgram()
    secret = settings.wechat_secret.get_secret_value()
    return WechatMiniProgram(client, settings.wechat_base_url, settings.wechat_app_id, secret, clock=clock)
