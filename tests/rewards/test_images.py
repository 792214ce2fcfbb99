"""Pictures of rewards that are kept here: uploaded, shown to who may see the reward, gone when no longer named."""

from typing import Any

import httpx
import pytest

from app.core.actors import Role
from tests.rewards.goods import GIFT, entry, own, patch, reward
from tests.shop import Shop, pointers

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


async def upload(
    shop: Shop, reward_id: str, content: bytes, token: str = "", media_type: str = "image/png"
) -> httpx.Response:
    headers = {"Content-Type": media_type}
    path = f"/rewards/{reward_id}/images"
    return await shop.api.call("POST", path, token or shop.hq, content=content, headers=headers)


async def shown(shop: Shop, url: str, token: str) -> httpx.Response:
    return await shop.api.call("GET", url.removeprefix("/api/v1"), token)


async def uploaded(shop: Shop, reward_id: str, content: bytes, **who: Any) -> list[str]:
    """The reward's addresses after an upload."""
    answer = await upload(shop, reward_id, content, **who)
    assert answer.status_code == 201, answer.text
    urls: list[str] = answer.json()["image_urls"]
    return urls


async def test_an_uploaded_picture_comes_last_and_is_shown_to_members(shop: Shop):
    web = "https://static.club.example/cup.jpg"
    cup = await reward(shop, **GIFT, image_urls=[web])
    urls = await uploaded(shop, cup, PNG + b"cup")
    assert (urls[0], len(urls)) == (web, 2)
    # sent again it is that one
    assert await uploaded(shop, cup, PNG + b"cup") == urls
    member = await shop.member()
    for token in (own(shop, member), shop.advisor, shop.api.token(Role.AUDITOR)):
        answer = await shown(shop, urls[1], token)
        assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, PNG + b"cup", "image/png")
    offers = (await shop.get("/members/me/rewards", own(shop, member), limit=200))[1]["items"]
    assert [one["image_urls"] for one in offers if one["id"] == cup] == [urls]


async def test_what_is_not_named_any_more_is_gone(shop: Shop):
    cup = await reward(shop, **GIFT)
    first, second = (await uploaded(shop, cup, PNG + b"1"), await uploaded(shop, cup, JPEG, media_type="image/jpeg"))[1]
    assert (await patch(shop, cup, shop.hq, image_urls=[second]))[1]["image_urls"] == [second]
    assert (await shown(shop, first, shop.hq)).status_code == 404
    assert (await shown(shop, second, shop.hq)).content == JPEG
    status, problem = await patch(shop, cup, shop.hq, image_urls=[second, first])
    assert (status, pointers(problem)) == (422, [("/image_urls/1", "unknown_image")])
    # another change leaves pictures alone
    assert (await patch(shop, cup, shop.hq, name="茶杯"))[1]["image_urls"] == [second]


async def test_a_picture_is_its_rewards_own(shop: Shop):
    cup, other = await reward(shop, **GIFT), await reward(shop, **GIFT)
    (url,) = await uploaded(shop, cup, PNG)
    assert (await shown(shop, url.replace(cup, other), shop.hq)).status_code == 404
    status, problem = await patch(shop, other, shop.hq, image_urls=[url])
    assert (status, pointers(problem)) == (422, [("/image_urls/0", "unknown_image")])
    status, problem = await shop.post("/rewards", entry(**GIFT, image_urls=[url]), shop.hq)
    assert (status, pointers(problem)) == (422, [("/image_urls/0", "unknown_image")])


async def test_a_chapters_pictures_are_for_its_people(shop: Shop):
    cup = await reward(shop, **GIFT, token=shop.director)
    (url,) = await uploaded(shop, cup, PNG, token=shop.director)
    here, elsewhere = await shop.member(), await shop.member(dealer="SH001")
    foreign = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert (await shown(shop, url, own(shop, here))).status_code == 200
    for token in (own(shop, elsewhere), foreign):
        assert (await shown(shop, url, token)).status_code == 404
    assert (await upload(shop, cup, PNG + b"x", foreign)).status_code == 404
    assert (await upload(shop, cup, PNG + b"x", shop.advisor)).status_code == 403
    headquarters = await reward(shop, **GIFT)
    assert (await upload(shop, headquarters, PNG, shop.director)).status_code == 404


@pytest.mark.parametrize(
    ("media_type", "content", "status"),
    [("image/png", JPEG, 422), ("image/svg+xml", b"<svg/>", 415), ("application/pdf", b"%PDF-", 415)],
)
async def test_only_pictures_are_taken(shop: Shop, media_type: str, content: bytes, status: int):
    cup = await reward(shop, **GIFT)
    assert (await upload(shop, cup, content, media_type=media_type)).status_code == status
    assert (await shop.get(f"/rewards/{cup}", shop.hq))[1]["image_urls"] == []


async def test_eight_are_enough(shop: Shop):
    cup = await reward(shop, **GIFT)
    for number in range(8):
        await uploaded(shop, cup, PNG + bytes([number]))
    answer = await upload(shop, cup, PNG + b"more")
    assert (answer.status_code, pointers(answer.json())) == (422, [("", "too_many_images")])
