"""docs/rules.md says what is true: its rules are published as they stand, and what it calls refused is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.core.catalogue import Language, texts
from app.earning.engine import Verdict
from app.earning.triggers import DAY, DEALER, EVENT, MEMBER, Trigger
from tests.earning.writing import example, frame, published, refused
from tests.shop import Shop

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
BLOCKS: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
RULES = [block for block in BLOCKS if "funders" in block]
EVENTS = [block for block in BLOCKS if "key" in block]
REFUSED = re.findall(r"^\| `(.+?)` \| `(amount|condition)` \| `(\w+)` \|$", PAGE, re.MULTILINE)

WASH = {"code": "WASH-01", "name": "洗车", "category": "other", "valid_from": "2026-01-01"}


@pytest.mark.parametrize("rule", RULES, ids=[rule["trigger"] for rule in RULES])
async def test_a_rule_of_the_page_is_published(shop: Shop, rule: dict[str, Any]) -> None:
    assert (await shop.post("/partners", WASH, shop.hq))[0] in {201, 409}
    made = await published(shop, shop.hq, **{"amount": None} | rule)
    said = made["published"]["definition"]
    assert {part: said[part] for part in ("trigger", "funders", "expiry")} == {
        part: rule[part] for part in ("trigger", "funders", "expiry")
    }


@pytest.mark.parametrize(("source", "part", "code"), REFUSED)
async def test_an_expression_is_refused_as_the_page_says(shop: Shop, source: str, part: str, code: str) -> None:
    faults = await refused(shop, shop.hq, **{part: source})
    assert [found for _, found in faults] == [code]
    at = "/definition/examples/0" if code.startswith("rule_example") else f"/definition/{part}"
    assert faults[0][0].startswith(at)


@pytest.mark.parametrize("event", EVENTS, ids=[event["trigger"] for event in EVENTS])
async def test_an_event_of_the_page_is_judged(shop: Shop, event: dict[str, Any]) -> None:
    member = await shop.member()
    status, told = await shop.post("/points/earnings", event | {"member_id": str(member.id)}, shop.program)
    assert (status, told["document"]) == (201, f"{event['trigger']}:{event['key']}")


def test_nothing_of_the_page_is_left_out() -> None:
    assert (len(RULES), len(EVENTS), len(REFUSED)) == (5, 2, 11)
    assert len(BLOCKS) == len(RULES) + len(EVENTS)


def test_the_page_lists_the_verdicts() -> None:
    part = PAGE.partition("| verdict |")[2].partition("\n\n")[0]
    names = " ".join(re.findall(r"^\| (`.+?) \|", part, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", names)) == set(Verdict)


def test_the_page_lists_the_triggers_and_their_fields() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`.*) \|$", PAGE.partition("## Triggers")[2].partition("## ")[0], re.MULTILINE)
    assert {name: re.findall(r"`(\w+)`", fields) for name, fields in rows} == {
        trigger.value: list(EVENT[trigger]) for trigger in Trigger
    }
    for root, known in (("member", MEMBER), ("dealer", DEALER), ("on", DAY)):
        line = next(line for line in PAGE.splitlines() if line.startswith(f"- `{root}."))
        assert set(re.findall(rf"`(?:{root})?\.(\w+)`", line)) == set(known)


def test_the_page_names_every_code() -> None:
    codes = {
        key.removeprefix("field.")
        for key in texts(Language.EN)
        if key.startswith(("field.rule_", "field.frame_", "field.expression_"))
    }
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


async def test_the_bounds_of_the_frame_are_those_of_the_page(shop: Shop) -> None:
    status, made = await shop.post("/rule-frames", frame(), shop.hq)
    assert status == 201
    bounds = made.keys() - {"id", "dealer_code", "version"}
    assert {bound for bound in bounds if f"| `{bound}`" not in PAGE} == set()
    assert await refused(shop, shop.director, examples=[example()]) == [
        ("/definition/caps/per_order", "frame_award"), ("/definition/caps/per_member_month", "frame_month"),
        ("/definition/expiry", "frame_expiry"), ("/definition/funders", "frame_funding"),
    ]  # fmt: skip
