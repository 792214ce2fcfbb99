"""Documents for the chapters: uploaded in versions, downloaded, and noted who did."""

import asyncio
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from app.chapters.documents_rules import MEDIA_TYPES, is_a
from app.core.actors import Role
from tests.api import Api
from tests.shop import Shop, pointers

PDF = "application/pdf"
MIB = 1 << 20
WORD, SHEET = (kind for kind in MEDIA_TYPES if "word" in kind or "sheet" in kind)


def packed(name: str) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr(name, "<x/>")
    return file.getvalue()


def test_content_tells_what_a_file_is() -> None:
    assert is_a(PDF, b"%PDF-1.7 ...")
    assert is_a(WORD, packed("word/document.xml"))
    assert is_a(SHEET, packed("xl/workbook.xml"))
    assert not is_a(WORD, packed("xl/workbook.xml"))
    assert not is_a(WORD, b"PK\x03\x04 and no archive")
    for kind in MEDIA_TYPES:
        assert not is_a(kind, b"<html><script>")
        assert not is_a(kind, b"")


async def announced(shop: Shop, title: str = "规定") -> str:
    status, made = await shop.post("/documents", {"title": title}, shop.hq)
    assert (status, made["latest"]) == (201, 0)
    return f"/documents/{made['id']}"


async def upload(shop: Shop, document: str, content: bytes, kind: str = PDF, token: str = "") -> httpx.Response:
    return await shop.api.call(
        "POST", f"{document}/versions", token or shop.hq, content=content, headers={"Content-Type": kind}
    )


async def content(shop: Shop, document: str, token: str, **params: Any) -> httpx.Response:
    return await shop.api.call("GET", f"{document}/content", token, params=params)


async def test_versions_and_who_read_them(api: Api, shop: Shop):
    document = await announced(shop)
    assert (await shop.get(document, shop.director))[0] == 404
    assert (await content(shop, document, shop.hq)).status_code == 404
    for number, text in ((1, b"%PDF-1 old"), (2, b"%PDF-1 new"), (2, b"%PDF-1 new")):
        made = await upload(shop, document, text)
        assert (made.status_code, made.json()["number"], made.json()["size"]) == (201, number, 10)
    found = (await shop.get(f"{document}/versions", shop.director))[1]["items"]
    assert [version["number"] for version in found] == [2, 1]
    newest, old = await content(shop, document, shop.director), await content(shop, document, shop.director, number=1)
    assert (newest.content, old.content) == (b"%PDF-1 new", b"%PDF-1 old")
    assert newest.headers["Content-Type"] == PDF
    assert newest.headers["Content-Disposition"].startswith("attachment;")
    assert (await content(shop, document, shop.director, number=3)).status_code == 404
    foreign = api.token(Role.CARE_STAFF, dealer="SH001")
    manager = api.token(Role.REGIONAL_MANAGER, region="BJ")
    for token in (foreign, manager):
        assert (await content(shop, document, token)).status_code == 200
    assert await readers(shop, document, shop.hq) == [("BJ001", 2), ("BJ001", 1), ("SH001", 2), ("HQ", 2)]
    assert await readers(shop, document, shop.director) == [("BJ001", 2), ("BJ001", 1)]
    assert await readers(shop, document, foreign) == [("SH001", 2)]
    assert await readers(shop, document, manager) == [("BJ001", 2), ("BJ001", 1)]


async def readers(shop: Shop, document: str, token: str) -> list[tuple[str, int]]:
    status, found = await shop.get(f"{document}/readings", token)
    assert status == 200
    return [(reading["place"], reading["number"]) for reading in found["items"]]


async def test_files_that_are_refused(shop: Shop):
    document = await announced(shop)
    refused = await upload(shop, document, b"<html>", "text/html")
    assert (refused.status_code, refused.json()["type"]) == (415, "/problems/unsupported-media-type")
    disguised = await upload(shop, document, b"<html>")
    assert (disguised.status_code, pointers(disguised.json())) == (422, [("", "content_not_as_declared")])
    whole = b"%PDF-" + bytes(20 * MIB - 5)
    too_large = await upload(shop, document, whole + b"x")
    assert (too_large.status_code, too_large.json()["limit_mib"]) == (413, 20)
    assert (await shop.get(document, shop.hq))[1]["latest"] == 0
    assert (await upload(shop, document, whole)).json()["size"] == 20 * MIB
    assert (await content(shop, document, shop.director)).content == whole
    nowhere = "/documents/00000000-0000-0000-0000-000000000009"
    assert (await upload(shop, nowhere, b"%PDF-")).status_code == 404
    assert (await upload(shop, document, b"%PDF-", token=shop.director)).status_code == 403


async def test_versions_uploaded_at_once_are_numbered(shop: Shop):
    document = await announced(shop)
    made = await asyncio.gather(*(upload(shop, document, b"%%PDF-%d" % n) for n in range(5)))
    assert sorted(answer.json()["number"] for answer in made) == [1, 2, 3, 4, 5]


async def test_taken_away_and_given_back(api: Api, shop: Shop):
    document = await announced(shop, "旧规定")
    await upload(shop, document, b"%PDF-1")
    tag = {"If-Match": (await api.call("GET", document, shop.hq)).headers["ETag"]}
    hidden = await api.call("PATCH", document, shop.hq, json={"is_published": False}, headers=tag)
    assert (hidden.status_code, hidden.json()["version"]) == (200, 2)
    assert (await api.call("PATCH", document, shop.hq, json={"title": "新"}, headers=tag)).status_code == 412
    assert (await api.call("PATCH", document, shop.director, json={"title": "新"}, headers=tag)).status_code == 403
    for path in (document, f"{document}/content", f"{document}/versions", f"{document}/readings"):
        assert (await api.call("GET", path, shop.director)).status_code == 404
        assert (await api.call("GET", path, shop.hq)).status_code == 200
    listed = (await shop.get("/documents", shop.director, limit=200))[1]["items"]
    assert document.rpartition("/")[2] not in {item["id"] for item in listed}
    assert (await shop.get("/documents", shop.advisor))[0] == 403
    tag = {"If-Match": '"2"'}
    assert (await api.call("PATCH", document, shop.hq, json={"is_published": True}, headers=tag)).status_code == 200
    assert (await content(shop, document, shop.director)).status_code == 200


pytestmark = pytest.mark.usefixtures("shop")
