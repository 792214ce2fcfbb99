"""docs/member-api.md does what it says: its calls are made, top to bottom, and its answers have the shape shown."""

import json
import re
import shlex
from argparse import ArgumentParser
from pathlib import Path
from string import Template
from typing import Any

import httpx
import pytest

from app.core.actors import Role
from tests.api import Api
from tests.members.conftest import car
from tests.members.test_sign_in import Phones, phones  # noqa: F401 (a fixture)
from tests.members.test_wechat import Wechat, api, platform, shown, wechat  # noqa: F401 (fixtures)
from tests.shop import Shop, order

PAGE = Path(__file__).parents[1] / "docs" / "member-api.md"
FENCED = re.compile(r"^```(sh|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FROM_ANSWER = re.compile(r"the answer's (\w+)")
STATUS = re.compile(r"# (\d{3})\b")
OMITTED = "…"
"""A key of an example that stands for those it leaves out."""

KINDS = {
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "moment": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "day": r"\d{4}-\d\d-\d\d",
}

curl = ArgumentParser("curl", exit_on_error=False, allow_abbrev=False)
curl.add_argument("url")
curl.add_argument("-s", action="store_true")
curl.add_argument("-o")
curl.add_argument("-X", dest="method")
curl.add_argument("-u", dest="user")
curl.add_argument("-d", dest="data")
curl.add_argument("-H", dest="headers", action="append", default=[])


class Reader:
    """Somebody who types what the page says, and notes what its comments say to note."""

    def __init__(self, api: Api, phones: Phones, known: dict[str, str]) -> None:  # noqa: F811
        self.api = api
        self.phones = phones
        self.known = known
        self.notes: dict[str, str] = {}
        self.answer = httpx.Response(204)
        self.operations: list[str] = []

    async def read(self, page: str) -> None:
        """Work through the page."""
        for language, text in FENCED.findall(page):
            if language == "json":
                assert_alike(json.loads(text), self.answer.json(), str(self.answer.request.url))
                continue
            for line in text.replace("\\\n", " ").splitlines():
                await self.type(line)

    async def type(self, line: str) -> None:
        """One line of the shell: a value to note, or a call."""
        if found := re.match(r"([A-Z_]+)=", line):
            self.notes[found[1]] = self.value(found[1], line[found.end() :])
        else:
            await self.call(line)

    def value(self, name: str, written: str) -> str:
        """What a reader notes under a name: from the last answer, from the outside world, or as it is written."""
        if field := FROM_ANSWER.search(written):
            return str(self.answer.json()[field[1]])
        if "from the SMS" in written:
            return self.phones.codes[f"+86{self.notes[re.findall(r'to [$]([A-Z_]+)', written)[0]]}"]
        return self.known.get(name) or "".join(shlex.split(Template(written).substitute(self.notes), comments=True))

    async def call(self, line: str) -> None:
        """One curl; it succeeds, or answers the status of its comment."""
        said = curl.parse_args(shlex.split(Template(line).substitute(self.notes), comments=True)[1:])
        headers = dict(header.split(": ", 1) for header in said.headers)
        if said.data and "Content-Type" not in headers:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.answer = await self.api.request(
            said.method or ("POST" if said.data else "GET"), said.url, token=None, headers=headers,
            content=said.data and said.data.encode(), auth=tuple(said.user.split(":")) if said.user else None,
        )  # fmt: skip
        await self.api.app.state.detached.finish()
        expected = STATUS.search(line)
        assert self.answer.status_code == int(expected[1]) if expected else self.answer.is_success, (
            line, self.answer.status_code, self.answer.text,
        )  # fmt: skip


def assert_alike(example: Any, real: Any, where: str) -> None:
    """An example and an answer have the same fields of the same kinds; a list may go on."""
    if isinstance(example, dict) and isinstance(real, dict):
        left_out = real.keys() - example.keys() if OMITTED in example else set()
        assert example.keys() - {OMITTED} == real.keys() - left_out, where
        for name in example.keys() - {OMITTED}:
            assert_alike(example[name], real[name], f"{where} {name}")
    elif isinstance(example, list) and isinstance(real, list):
        assert bool(example) == bool(real), where
        assert len(example) <= len(real), where
        for one, other in zip(example, real, strict=False):
            assert_alike(one, other, where)
    else:
        assert kind(example) == kind(real), (where, example, real)


def kind(value: Any) -> str:
    """What sort of value it is: as JSON has it, and of texts those with a form."""
    if not isinstance(value, str):
        return type(value).__name__
    return next((name for name, pattern in KINDS.items() if re.fullmatch(pattern, value)), "text")


@pytest.fixture
async def known(shop: Shop, wechat: Wechat) -> dict[str, str]:  # noqa: F811
    """The member of the page, what she did so far, and what the world outside the club gives her front end."""
    body = {"name": "李敏", "phone": "13912345678", "vin": car(1), "dealer_code": "BJ001", "source": "delivery"}
    assert (await shop.post("/members", body, shop.hq))[0] == 201
    paid = order(car(1), order_no="RO-20261121-07", paid_fen=260_000, labour_fen=100_000, parts_fen=160_000)
    assert (await shop.post("/repair-orders", paid, shop.program))[0] == 201
    wechat.users["071ABC"], wechat.phones["e5d0fe"] = "o-1", shown(body["phone"])
    program = {"username": "club-app", "name": "the members' app", "scopes": ["points:redeem"]}
    made = await shop.api.call("POST", "/programs", shop.api.token(Role.HQ_ADMIN), json=program)
    return {"WECHAT_CODE": "071ABC", "PHONE_CODE": "e5d0fe", "SECRET": made.json()["client_secret"]}


async def test_the_page_does_what_it_says(api: Api, phones: Phones, known: dict[str, str]) -> None:  # noqa: F811
    await Reader(api, phones, known).read(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("example", "real"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1, "…": "…"}, {"b": 1}),
        ({"a": None}, {"a": "x"}),
        ({"a": "2026-11-21"}, {"a": "2026-11-21T10:00:00+08:00"}),
        ([{"a": 1}], []),
        ([], [1]),
        ([1, 2], [1]),
        ([1, None], [1, 2]),
        ([{"a": 1}], [{"a": "1"}]),
    ],
)
def test_an_answer_unlike_its_example_is_noticed(example: Any, real: Any) -> None:
    with pytest.raises(AssertionError):
        assert_alike(example, real, "")
