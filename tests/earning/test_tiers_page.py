"""docs/tiers.md shows what is so: its tier is taken, and where a member stands is told in its words."""

import json
import re
from pathlib import Path

from app.earning.tiers_models import TierStep
from app.earning.tiers_schemas import StandingRead
from tests.shop import Shop

PAGE = (Path(__file__).parents[2] / "docs" / "tiers.md").read_text(encoding="utf-8")
TIER, STANDING = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


async def test_the_tier_of_the_page_is_taken(shop: Shop):
    status, made = await shop.post("/tiers", TIER, shop.hq)
    assert (status, {part: made[part] for part in TIER}) == (201, TIER)


async def test_the_fields_of_the_programme_begin_as_the_page_says(shop: Shop):
    first = dict(re.findall(r"^\| `(\w+)` \| `?(\w+)`? \|", PAGE, re.MULTILINE))
    _, programme = await shop.get("/tier-programme", shop.hq)
    assert first == {part: str(value).lower() for part, value in programme.items() if part != "version"}


def test_a_standing_is_told_as_on_the_page():
    assert StandingRead.model_validate(STANDING).model_dump(mode="json") == STANDING
    kinds = PAGE.partition("`kind` is ")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", kinds)) == set(TierStep)
