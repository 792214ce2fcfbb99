"""Member cards: a chapter's design, headquarters' for the rest, and the card as data."""

import asyncio
from typing import Any

import asyncpg
import pytest

from app.core.actors import Role
from app.members.profile_rules import contrast
from tests.racing import held_back
from tests.shop import Shop, pointers

RED = {"background": "#8b0000", "foreground": "#FFFFFF", "logo": "bj001/logo.png", "text": "京城车友"}
PLAIN = {"background": "#FFFFFF", "foreground": "#000000"}


async def choose(shop: Shop, place: str, body: dict[str, Any], version: int, token: str) -> tuple[int, Any]:
    answer = await shop.api.call(
        "PUT", f"/card-designs/{place}", token, json=body, headers={"If-Match": f'"{version}"'}
    )  # fmt: skip
    return answer.status_code, answer.json()


async def card(shop: Shop, dealer: str, language: str = "zh") -> dict[str, Any]:
    member = await shop.member(dealer=dealer)
    answer = await shop.api.call(
        "GET", "/members/me/card.json", shop.api.token(Role.MEMBER, member=member.id),
        headers={"Accept-Language": language},
    )  # fmt: skip
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    assert found["barcode"] == {"format": "qr", "message": member.member_no}
    return found


async def test_a_chapter_customises_its_cards(shop: Shop) -> None:
    """From the service's design to headquarters' to the chapter's own."""
    first = await card(shop, "BJ001", "en")
    assert first["design"]["background"] == "#0A2F5C"
    assert [(field["label"], field["key"]) for field in first["fields"]] == [
        ("Member number", "member_no"), ("Name", "name"), ("Chapter", "chapter"), ("Joined on", "joined_on"),
    ]  # fmt: skip
    assert (first["format"], first["is_valid"]) == ("owner-club-card/1", True)
    status, chosen = await choose(shop, "HQ", PLAIN, 0, shop.hq)
    assert (status, chosen["version"], chosen["dealer_code"]) == (200, 1, None)
    _, inherited = await shop.get("/card-designs/BJ001", shop.director)
    assert (inherited["background"], inherited["version"], inherited["dealer_code"]) == ("#FFFFFF", 0, None)
    status, chosen = await choose(shop, "BJ001", RED, 0, shop.director)
    assert (status, chosen["dealer_code"]) == (200, "BJ001")
    assert (await card(shop, "BJ001"))["design"] == RED | {"background": "#8B0000"}
    assert (await card(shop, "SH001"))["design"]["background"] == "#FFFFFF"
    assert (await choose(shop, "BJ001", RED, 0, shop.director))[0] == 412
    status, chosen = await choose(shop, "BJ001", PLAIN, 1, shop.director)
    assert (status, chosen["version"], chosen["logo"]) == (200, 2, None)


async def test_two_who_choose_from_the_same_version_are_told_apart(shop: Shop) -> None:
    status, first = await choose(shop, "SH001", PLAIN, 0, shop.hq)
    assert status == 200
    async with held_back(shop.pool, 2, "SELECT FROM card_design WHERE dealer_code = 'SH001' FOR UPDATE"):
        choosing = [
            asyncio.create_task(choose(shop, "SH001", PLAIN | {"text": text}, first["version"], shop.hq))
            for text in ("上海", "车友")
        ]
    assert sorted([(await one)[0] for one in choosing]) == [200, 412]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"background": "#FFFFFF", "foreground": "#FFFF00"}, ("/foreground", "colour_contrast")),
        ({"background": "red"}, ("/background", "string_pattern_mismatch")),
        ({"logo": "https://example.com/x.png"}, ("/logo", "string_pattern_mismatch")),
        ({"text": "字" * 61}, ("/text", "string_too_long")),
        ({"font": "x"}, ("/font", "extra_forbidden")),
    ],
)
async def test_what_is_no_design(shop: Shop, body: dict[str, Any], fault: tuple[str, str]) -> None:
    status, refused = await choose(shop, "SH001", PLAIN | body, 0, shop.hq)
    assert (status, pointers(refused)) == (422, [fault])


async def test_whose_design_it_is(shop: Shop) -> None:
    elsewhere = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert (await choose(shop, "BJ001", PLAIN, 0, elsewhere))[0] == 404
    assert (await choose(shop, "HQ", PLAIN, 0, shop.director))[0] == 404
    assert (await choose(shop, "BJ002", PLAIN, 0, shop.hq))[0] == 404, "no chapter, no cards"
    assert (await choose(shop, "XX999", PLAIN, 0, shop.hq))[0] == 404
    assert (await choose(shop, "SH001", PLAIN, 0, shop.foreign))[0] == 403
    assert (await shop.get("/card-designs/BJ001", elsewhere))[0] == 404
    assert (await shop.get("/members/me/card.json", shop.director))[0] == 403


async def test_a_suspended_members_card_says_so(shop: Shop) -> None:
    member = await shop.member()
    mine = shop.api.token(Role.MEMBER, member=member.id)
    step = await shop.post(f"/members/{member.id}/status", {"to": "suspended", "reason": "核实"}, shop.director)
    assert step[0] == 200
    status, shown = await shop.get("/members/me/card.json", mine)
    assert (status, shown["status"], shown["is_valid"]) == (200, "suspended", False)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attribute SET weight = 0 WHERE key = 'hobby'",
        """INSERT INTO card_design (id, dealer_code, background, foreground, updated_at, updated_by, version)
           VALUES (gen_random_uuid(), 'SH001', '#000000', '#FFFFFF', now(), 'x', 1)""",
    ],
)
async def test_nor_does_the_database_take_it_from_another_chapter(shop: Shop, statement: str) -> None:
    async with shop.api.db.transaction(undo=True) as connection:
        await connection.execute("SET LOCAL club.reach = 'dealer'; SET LOCAL club.dealer = 'BJ001'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(statement)


def test_contrast_is_wcags() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert contrast("#123456", "#123456") == 1
