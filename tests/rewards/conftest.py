"""Messages that go nowhere but into a list."""

from collections.abc import Iterator

import pytest

from app.rewards.problems import SmsUnavailable
from tests.shop import Shop


class Outbox:
    """Keeps what would be sent; while `down` it sends nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.down = False

    async def send(self, phone: str, text: str) -> None:
        """Note a message."""
        if self.down:
            raise SmsUnavailable
        self.sent.append((phone, text))


@pytest.fixture
def outbox(shop: Shop) -> Iterator[Outbox]:
    """The app's sender for one test."""
    state, box = shop.api.app.state, Outbox()
    state.sms, usual = box, state.sms
    yield box
    state.sms = usual
