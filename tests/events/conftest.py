"""Events through the API, as chapters, headquarters and members run them."""

import pytest

from tests.events.after import After
from tests.events.desk import Desk
from tests.events.guests import Guests
from tests.shop import Shop


@pytest.fixture
def desk(shop: Shop) -> Desk:
    """Everybody's tokens."""
    return Desk(shop)


@pytest.fixture
def guests(desk: Desk) -> Guests:
    """Members who register, and the door."""
    return Guests(desk)


@pytest.fixture
def after(guests: Guests) -> After:
    """What surrounds an event and follows it."""
    return After(guests)
