"""Birthdays as a field of the filter language: the day comes round, the year is nobody's to see."""

from functools import partial
from typing import Any

from tests.core.test_filters import where
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Shop


async def test_birthdays_come_round(shop: Shop) -> None:
    for serial, born_on in enumerate(("1985-11-21", "1988-02-29", "1990-11-20")):
        body = {"name": f"生日{serial}", "phone": f"1350000777{serial}", "vin": car(990_000 + serial)}
        body |= {"source": "event", "dealer_code": "BJ001", "born_on": born_on}
        answer = await shop.post("/members", body, shop.hq)
        assert answer[0] == 201, answer
    day = partial(where, "birthday.next_on")

    async def found(tree: dict[str, Any], token: str = "") -> set[str]:
        status, page = await shop.post("/members/search", {"filter": tree}, token or shop.hq)
        assert status == 200, page
        return {member["name"] for member in page["items"]}

    assert await found(day("is", {"days_ahead": 0})) == {"生日0"}
    assert await found(day("is", "2027-02-28")) == {"生日1"}
    assert await found(day("between", ["2027-11-01", "2027-11-30"]), shop.director) == {"生日2"}
    assert await found(day("filled")) == {"生日0", "生日1", "生日2"}
    async with shop.at(NOW.replace(year=2027, month=12)):
        assert await found(day("is", "2028-02-29")) == {"生日1"}
    status, refused = await shop.post("/members/search", {"filter": day("filled")}, shop.advisor)
    assert (status, refused["fields"]) == (403, "birthday.next_on")
