"""One address, and everybody together, may ask for so many sign-in codes and get so many wrong."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import httpx
import pytest

from app.core.sms import Message
from tests.api import SETTINGS, Api, running_api
from tests.now import NOW
from tests.shop import Person, Shop

FEW = {"rate_sign_in_codes": "4/hour", "rate_all_sign_in_codes": "9/minute", "rate_sign_in_failures": "3/hour"}
TOO_MANY, TOO_MANY_WRONG = (429, "/problems/too-many-requests"), (429, "/problems/too-many-attempts")
_strangers, _networks = count(1), count(1)


class Phones:
    """Everybody's telephone: the code that reached each number last."""

    can_send = True

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}

    async def send(self, phone: str, message: Message) -> None:
        """Deliver a message."""
        self.codes[phone.removeprefix("+86")] = str(message.figures["code"])


@pytest.fixture(scope="module")
async def api(dsn: str) -> AsyncIterator[Api]:
    """The API with limits that a test can reach."""
    async with running_api(dsn, settings=SETTINGS.model_copy(update=FEW)) as running:
        yield running


@pytest.fixture
async def phones(api: Api) -> AsyncIterator[Phones]:
    """A minute of its own for each test, since all share one ceiling."""
    await api.db.pool.execute("DELETE FROM tally")
    phones, usual = Phones(), api.app.state.sms
    api.app.state.sms = phones
    yield phones
    api.app.state.sms, api.app.state.now = usual, NOW


class Place:
    """Where somebody calls from."""

    def __init__(self, api: Api, address: str = "") -> None:
        self.api = api
        self.address = address or f"198.51.100.{next(_networks)}"

    async def _post(self, path: str, body: dict[str, str]) -> tuple[int, str]:
        transport = httpx.ASGITransport(self.api.app, raise_app_exceptions=False, client=(self.address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://club.test/api/v1/") as client:
            answer = await client.post(path, json=body)
        await self.api.app.state.detached.finish()
        return answer.status_code, answer.json().get("type", "")

    async def ask(self, phone: str) -> tuple[int, str]:
        """Ask for a code."""
        return await self._post("member-sign-in/code", {"phone": phone})

    async def enter(self, phone: str, code: str) -> tuple[int, str]:
        """Sign in by it."""
        return await self._post("member-sign-in", {"phone": phone, "code": code})


def stranger() -> str:
    return f"176{next(_strangers):08d}"


async def code_of(api: Api, phones: Phones, member: Person) -> str:
    """A code that was asked for from elsewhere."""
    assert (await Place(api).ask(member.phone))[0] == 202
    return phones.codes[member.phone]


async def test_one_address_asks_for_few_codes_whatever_the_numbers(api: Api, phones: Phones) -> None:
    one, other = Place(api), Place(api)
    for _ in range(4):
        assert (await one.ask(stranger()))[0] == 202
    assert await one.ask(stranger()) == TOO_MANY
    assert (await other.ask(stranger()))[0] == 202
    api.app.state.now = NOW + timedelta(hours=1)
    assert (await one.ask(stranger()))[0] == 202


async def test_a_host_with_a_network_of_addresses_is_one(api: Api, phones: Phones) -> None:
    for number in range(4):
        assert (await Place(api, f"2001:db8:1:2::{number + 1:x}").ask(stranger()))[0] == 202
    assert await Place(api, "2001:db8:1:2:ffff::1").ask(stranger()) == TOO_MANY
    assert (await Place(api, "2001:db8:1:3::1").ask(stranger()))[0] == 202


async def test_what_a_number_is_refused_does_not_count(api: Api, phones: Phones) -> None:
    place, phone = Place(api), stranger()
    assert (await place.ask(phone))[0] == 202
    for _ in range(5):
        assert await place.ask(phone) == (429, "/problems/too-many-codes")
    assert (await place.ask(stranger()))[0] == 202


async def test_everybody_together_has_a_ceiling_and_reaching_it_is_an_alarm(
    api: Api, phones: Phones, caplog: pytest.LogCaptureFixture
) -> None:
    answers = await asyncio.gather(*(Place(api).ask(stranger()) for _ in range(12)))
    assert sorted(status for status, _ in answers) == [202] * 9 + [429] * 3
    [alarm] = [record for record in caplog.records if record.name == "club.sign_in"]
    assert (alarm.levelno, "9 were asked for" in alarm.getMessage()) == (logging.ERROR, True)
    api.app.state.now = NOW + timedelta(minutes=1)
    assert (await Place(api).ask(stranger()))[0] == 202


async def test_one_address_gets_few_codes_wrong_whatever_the_numbers(api: Api, shop: Shop, phones: Phones) -> None:
    member, place = await shop.member(), Place(api)
    code = await code_of(api, phones, member)
    for _ in range(3):
        assert (await place.enter(stranger(), "000000"))[0] == 401
    assert await place.enter(member.phone, code) == TOO_MANY_WRONG
    assert (await Place(api).enter(member.phone, code))[0] == 200, "it was not looked at, and so is good still"


async def test_the_hour_of_wrong_codes_ends(api: Api, shop: Shop, phones: Phones) -> None:
    place = Place(api)
    for _ in range(3):
        await place.enter(stranger(), "000000")
    api.app.state.now = NOW + timedelta(minutes=59, seconds=59)
    assert await place.enter(stranger(), "000000") == TOO_MANY_WRONG
    api.app.state.now = NOW + timedelta(hours=1)
    assert (await place.enter(stranger(), "000000"))[0] == 401


async def test_good_codes_do_not_count(api: Api, shop: Shop, phones: Phones) -> None:
    place = Place(api)
    for _ in range(5):
        member = await shop.member()
        assert (await place.enter(member.phone, await code_of(api, phones, member)))[0] == 200


async def test_of_many_guesses_at_once_few_are_looked_at(api: Api, phones: Phones) -> None:
    place = Place(api)
    answers = await asyncio.gather(*(place.enter(stranger(), "000000") for _ in range(10)))
    assert sorted(status for status, _ in answers) == [401] * 3 + [429] * 7
