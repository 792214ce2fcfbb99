"""A dealer's statement and those who talk about it."""

from datetime import date
from typing import Any

from app.core.actors import Role
from tests.api import Api


class Desk:
    """One dealer's sealed month: 30 points funded by it and redeemed at it; and who has a say."""

    def __init__(self, api: Api, dealer: str, month: date, statement: str) -> None:
        self.api = api
        self.dealer = dealer
        self.month = month
        self.statement = statement
        self.hq = api.token(Role.HQ_ADMIN)
        self.clerk = api.token(Role.FINANCE_CLERK, dealer=dealer)
        self.foreign = api.token(Role.FINANCE_CLERK, dealer="XX999")

    async def post(self, path: str, token: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """A POST's status and answer."""
        response = await self.api.call("POST", path, token, key=key, **({"json": body} if body is not None else {}))
        return response.status_code, response.json()

    async def get(self, path: str, token: str) -> tuple[int, Any]:
        """A GET's status and answer."""
        response = await self.api.call("GET", path, token)
        return response.status_code, response.json()

    async def confirm(self) -> tuple[int, Any]:
        """The dealer agrees."""
        return await self.post(f"/statements/{self.statement}/confirmation", self.clerk)

    async def dispute(self, **body: Any) -> tuple[int, Any]:
        """The dealer objects."""
        return await self.post(f"/statements/{self.statement}/disputes", self.clerk, {"reason": "少了一单"} | body)

    async def answer(self, dispute: str) -> tuple[int, Any]:
        """Headquarters answers."""
        return await self.post(f"/disputes/{dispute}/answer", self.hq, {"answer": "下月更正"})

    async def pay(self) -> tuple[int, Any]:
        """Headquarters pays."""
        return await self.post(f"/statements/{self.statement}/payment", self.hq, {"reference": "P-1"})

    async def read(self) -> Any:
        """The statement as it stands."""
        status, body = await self.get(f"/statements/{self.statement}", self.clerk)
        assert status == 200
        return body
