"""The API connected to a real OpenID Connect provider, and a clock put right again, for tests that ask for it."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.core.actors import Role
from app.identity.oidc import Provider
from tests.api import Api
from tests.identity.provider import USERS, Checked, User, run_server_in_thread, settings
from tests.identity.staff import hire
from tests.now import NOW
from tests.shop import Shop


@pytest.fixture(scope="module")
def mock() -> Iterator[Any]:
    with run_server_in_thread(user_claims=[User(sub=sub, claims=claims) for sub, claims in USERS.items()]) as server:
        server.app = Checked(server.app)
        yield server


@pytest.fixture(scope="module")
async def staff(shop: Shop) -> dict[str, str]:
    """Accounts, each awaited under an e-mail."""
    ids = {}
    for username, role, dealer, email in (
        ("li.advisor", Role.SERVICE_ADVISOR, "BJ001", "li@brand.example"),
        ("wang.advisor", Role.SERVICE_ADVISOR, "BJ001", "wang@brand.example"),
        ("the.admin", Role.HQ_ADMIN, None, "admin@brand.example"),
        ("mfa.admin", Role.HQ_ADMIN, None, "admin.mfa@brand.example"),
        ("gone.advisor", Role.SERVICE_ADVISOR, "BJ001", "gone@brand.example"),
    ):
        account = await hire(shop.api, username, role, dealer=dealer)
        ids[username] = str(account.id)
        answer = await shop.api.call(
            "PUT", f"/accounts/{account.id}/external-identity", shop.hq, json={"email": email.upper()}
        )
        assert (answer.status_code, answer.json()) == (200, {"email": email, "linked_at": None})
    await shop.pool.execute("UPDATE account SET is_active = false WHERE username = 'gone.advisor'")
    return ids


@pytest.fixture
async def connected(shop: Shop, mock: Any, staff: dict[str, str]) -> AsyncIterator[None]:
    """The API with the provider, at the provider's time."""
    api = shop.api
    issuer = f"http://localhost:{mock.server_port}"
    before = api.app.state.oidc, api.app.state.settings, api.app.state.now
    api.app.state.settings = settings(issuer)
    api.app.state.oidc, api.app.state.now = Provider(api.app.state.settings), datetime.now(UTC)
    yield
    api.app.state.oidc, api.app.state.settings, api.app.state.now = before
    api.http.cookies.clear()


@pytest.fixture
async def usual_time(api: Api) -> AsyncIterator[None]:
    """Tests may move the clock; the next one begins at the usual time."""
    yield
    api.app.state.now = NOW


@pytest.fixture
async def fresh(shop: Shop, usual_time: None) -> AsyncIterator[None]:
    """Every test begins at the same moment, from no device and with no failures."""
    yield
    shop.api.http.cookies.clear()
    await shop.pool.execute("DELETE FROM sign_in_attempt")
