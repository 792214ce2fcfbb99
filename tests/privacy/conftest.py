"""A network with a partner that members' data may go to."""

import pytest

from tests.shop import Shop


@pytest.fixture(scope="module")
async def shop(shop: Shop) -> Shop:
    """The module's small network, and its hotel."""
    await shop.partner("HOTEL-01", "西湖酒店")
    return shop
