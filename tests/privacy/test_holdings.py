"""What other domains keep on members: shown to them, and forgotten with them."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import Executable, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

import app.wiring  # noqa: F401 (it registers the domains' holdings)
from app.core.catalogue import Language, texts
from app.core.holdings import Holding
from app.members.consent_models import Consent
from app.privacy import holdings, retention
from app.privacy.schemas import OwnData
from tests.api import SETTINGS, Api
from tests.now import NOW
from tests.shop import Person, Shop


class OwnPurpose(BaseModel):
    """What the tests keep: answers, which outlive a member by themselves."""

    purpose: str


def _purposes(member_id: UUID) -> Executable:
    return select(col(Consent.purpose)).where(col(Consent.member_id) == member_id).order_by(col(Consent.id))


async def _erase(session: AsyncSession, member_id: UUID, _: datetime) -> None:
    await session.execute(delete(Consent).where(col(Consent.member_id) == member_id))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Holding:
    """A holding of the tests, instead of those of the domains."""
    kept = Holding("purpose", OwnPurpose, _purposes, _erase)
    monkeypatch.setattr(holdings, "_HOLDINGS", {})
    holdings.register(kept)
    return kept


async def refuse(shop: Shop, member: Person, *purposes: str) -> None:
    """A member says no."""
    for purpose in purposes:
        body = {"purpose": purpose, "decision": "refused", "channel": "phone"}
        assert (await shop.post(f"/members/{member.id}/consents", body, shop.hq))[0] == 200


def test_a_name_is_taken_once(kept: Holding):
    with pytest.raises(AssertionError, match="purpose already"):
        holdings.register(kept)


async def test_what_a_domain_keeps_is_shown(shop: Shop, api: Api, kept: Holding):
    member, other = await shop.member(), await shop.member()
    await refuse(shop, member, "marketing", "profiling")
    await refuse(shop, other, "marketing")
    _, data = await shop.get(f"/members/{member.id}/own-data", shop.hq)
    assert data["more"] == {"purpose": [{"purpose": "marketing"}, {"purpose": "profiling"}]}
    page = await api.call("GET", f"/members/{member.id}/own-data/page", shop.hq)
    assert page.text.count("<td>营销信息</td>") == 2, "among the consents, and as the holding tells"


@pytest.mark.parametrize("forgets", [True, False])
async def test_what_a_domain_keeps_is_forgotten_with_its_member(
    shop: Shop, api: Api, kept: Holding, monkeypatch: pytest.MonkeyPatch, forgets: bool
):
    if not forgets:
        monkeypatch.setattr(holdings, "_HOLDINGS", {})
    member, other = await shop.member(), await shop.member()
    await refuse(shop, member, "marketing")
    await refuse(shop, other, "marketing")
    assert (await api.call("PUT", f"/members/{member.id}/erasure", shop.hq, json={})).status_code == 200
    assert await retention.apply(api.db, SETTINGS, now=NOW + timedelta(days=16)) == 1
    async with api.db.session() as session:
        assert len(await kept.read(session, member.id)) == (0 if forgets else 1)
        assert await kept.read(session, other.id) == [OwnPurpose(purpose="marketing")]


def test_the_page_has_words_for_every_holding():
    for language in Language:
        for holding in holdings.holdings():
            keys = {f"export.{name}" for name in (holding.name, *holding.shown.model_fields)}
            assert keys <= texts(language).keys()
            assert holding.name not in OwnData.model_fields
