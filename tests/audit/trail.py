"""The trail as its readers see it."""

from typing import Any

from app.core.actors import Role
from tests.api import Api


async def deeds(api: Api, **filters: Any) -> list[dict[str, Any]]:
    """What the auditor finds, newest first."""
    params = {name: str(value) for name, value in filters.items()}
    answer = await api.call("GET", "/audit-events", api.token(Role.AUDITOR), params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])
