"""Messages that go nowhere but into a list."""

from collections.abc import Iterator

import pytest

from app.core.problems import SmsUnavailable
from app.core.sms import Message
from tests.shop import Shop


class Outbox:
    """Keeps what would be sent; while `down` it sends nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.down = False
        self.can_send = True

    async def send(self, phone: str, message: Message) -> None:
        """Note a message."""
        if self.down:
            raise SmsUnavailable
        self.sent.append((phone, message.text))


@pytest.fixture
def outbox(shop: Shop) -> Iterator[Outbox]:
    """The app's sender for one test."""
    state, box = shop.api.app.state, Outbox()
    state.sms, usual = box, state.sms
    yield box
    state.sms = usual
