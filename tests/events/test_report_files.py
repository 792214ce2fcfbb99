"""The draft of a summary, the report as PDF and workbook, photos, and the history of it all."""

from datetime import timedelta
from io import BytesIO
from typing import Any

from PIL import Image

from app.core import workbooks
from tests.events.after import LATER, After
from tests.events.desk import Body, line
from tests.shop import problem


def picture(color: str = "red", kind: str = "PNG") -> bytes:
    out = BytesIO()
    Image.new("RGB", (40, 30), color).save(out, kind)
    return out.getvalue()


async def happened(after: After, **fields: Any) -> Body:
    """An event with two seats, of which one party of two came."""
    event = await after.desk.opened(**{"lines": [line("hq", 50_000)], **fields})
    member, _ = await after.guests.seated(event, party=2)
    await after.guests.seated(event)
    await after.held(event)
    await after.comes(event, member)
    return event


async def test_a_summary_is_drafted_from_the_data(after: After) -> None:
    event = await happened(after)
    status, draft = await after.get(event, "report/draft")
    assert (status, draft["guests"]) == (200, 2)
    assert draft["summary"].splitlines() == [
        "2026-12-12，「秋日采摘」在平谷举办。2 位会员报名，1 位到场，1 位未到；连同随行人员共 2 人。",
        "费用 500.00 元，人均 250.00 元。",
    ]
    answer = await after.desk.shop.api.call(
        "GET", f"/events/{event['id']}/report/draft", after.desk.director, headers={"Accept-Language": "en"}
    )
    assert "2 members had a seat, 1 came" in answer.json()["summary"]
    assert (await after.get(event, "report/draft", after.desk.foreign_director))[0] == 404


async def test_the_report_as_files(after: After) -> None:
    desk, api = after.desk, after.desk.shop.api
    event = await happened(after, title="=SUM(A1) <b>采摘</b>")
    path = f"/events/{event['id']}"
    sent: Body = {"headers": {"Content-Type": "image/png"}, "content": picture()}
    async with desk.at(LATER):
        first = await api.call("POST", f"{path}/photos", desk.director, **sent)
        again = await api.call("POST", f"{path}/photos", desk.director, **sent)
        assert (first.status_code, again.json()["id"]) == (201, first.json()["id"])
        costs = [{"line_id": one["id"], "actual": 40_000} for one in event["lines"]]
        await desk.done(event, "report", guests=2, summary="第一行\n<第二行>", results="满意", costs=costs)
    pdf = await api.call("GET", f"{path}/report/file", desk.hq)
    assert (pdf.headers["Content-Type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    assert b"/Subtype /Image" in pdf.content
    book = await api.call("GET", f"{path}/report/file?format=xlsx", desk.director)
    rows = [cells for _, cells in workbooks.records(BytesIO(book.content))]
    assert rows[1] == ["活动", "=SUM(A1) <b>采摘</b>"]
    assert ["到场情况", "到场人数（含随行）", "2"] in rows
    assert ["费用", "人均费用（元）", "200.00"] in rows
    assert ["总结", "第一行\ufffd<第二行>"] in rows
    assert problem(await api.call("GET", f"{path}/report/file", desk.foreign_director)) == (404, "/problems/not-found")


async def test_photos_are_pictures_until_the_report_is_settled(after: After) -> None:
    desk, api = after.desk, after.desk.shop.api
    event = await happened(after)
    path = f"/events/{event['id']}/photos"

    async def send(content: bytes, kind: str = "image/jpeg", token: str = "") -> Any:
        return await api.call("POST", path, token or desk.director, content=content, headers={"Content-Type": kind})

    assert problem(await send(b"\xff\xd8\xff no picture")) == (422, "/problems/invalid-payload")
    assert problem(await send(b"%PDF-1.7", "application/pdf")) == (415, "/problems/unsupported-media-type")
    assert problem(await send(picture(kind="JPEG"), token=desk.foreign_director)) == (404, "/problems/not-found")
    made = await send(picture(kind="JPEG"))
    assert made.status_code == 201
    assert [one["id"] for one in (await after.get(event, "photos"))[1]["items"]] == [made.json()["id"]]
    one = f"{path}/{made.json()['id']}"
    assert (await api.call("GET", one, desk.director)).content == picture(kind="JPEG")
    assert (await api.call("DELETE", one, desk.director)).status_code == 204
    assert problem(await api.call("GET", one, desk.director)) == (404, "/problems/not-found")
    kept = (await send(picture("blue", "JPEG"))).json()["id"]
    async with desk.at(LATER):
        costs = [{"line_id": one["id"], "actual": 1} for one in event["lines"]]
        await desk.done(event, "report", guests=2, summary="好", costs=costs)
        await desk.done(event, "settlement", desk.finance)
    assert problem(await send(picture("green", "JPEG"))) == (409, "/problems/wrong-status")
    assert problem(await api.call("DELETE", f"{path}/{kept}", desk.director)) == (409, "/problems/wrong-status")


async def test_photos_wait_for_the_event(after: After) -> None:
    desk = after.desk
    event = await desk.opened()
    answer = await desk.shop.api.call(
        "POST", f"/events/{event['id']}/photos", desk.director, content=picture(),
        headers={"Content-Type": "image/png"},
    )  # fmt: skip
    assert problem(answer) == (409, "/problems/wrong-status")


async def test_the_past_by_chapter_kind_and_year(after: After) -> None:
    desk = after.desk
    before = {one["key"]: one for one in (await desk.shop.get("/event-history", desk.hq, by="kind"))[1]["items"]}
    await happened(after, kind="photo_walk", title="拍照")
    await happened(after, kind="photo_walk", title="再拍照")
    await desk.opened(kind="photo_walk")
    assert "photo_walk" not in before
    status, found = await desk.shop.get("/event-history", desk.hq, by="kind", year=2026, kind="photo_walk")
    assert (status, found["items"]) == (200, [{
        "key": "photo_walk", "events": 2, "registered": 4, "attended": 2, "persons": 4, "cost_fen": 100_000,
        "survey_answers": 0, "mean_score": None,
    }])  # fmt: skip
    for by, key in (("chapter", "BJ001"), ("year", "2026"), ("class", "care")):
        shown = (await desk.shop.get("/event-history", desk.director, by=by, kind="photo_walk"))[1]["items"]
        assert [(one["key"], one["events"]) for one in shown] == [(key, 2)]
    assert (await desk.shop.get("/event-history", desk.foreign_director))[1] == {"items": []}


async def test_a_members_own_history(after: After) -> None:
    desk = after.desk
    event = await desk.opened(title="老友会")
    member, _ = await after.guests.seated(event)
    await after.held(event)
    await after.comes(event, member)
    async with desk.at(LATER + timedelta(hours=1)):
        await after.put(f"/members/me/events/{event['id']}/survey", desk.of(member), score=9)
        for status, found in (
            await desk.shop.get("/members/me/event-history", desk.of(member)),
            await desk.shop.get(f"/members/{member.id}/events", desk.director),
        ):
            assert (status, len(found["items"])) == (200, 1)
            one = found["items"][0]
            assert (one["title"], one["came"], one["is_registered"], one["was_invited"], one["score"]) == (
                "老友会", True, True, False, 9,
            )  # fmt: skip
        assert (await desk.shop.get(f"/members/{member.id}/events", desk.foreign_director))[0] == 404
