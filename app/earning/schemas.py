"""Earnings at the edge."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.core.clock import china_date
from app.core.problems import InvalidPayload
from app.core.schemas import BusinessDate, Input
from app.earning.rules import Rule
from app.points.ledger import HQ, Earning

PartyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,16}$")]


class Cause(Input):
    """The business document behind an earning; it is accepted once."""

    type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{1,31}$")] = Field(examples=["campaign"])
    key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")] = Field(examples=["2026-spring/000123"])

    @model_validator(mode="after")
    def _leave_orders_to_visits(self) -> Self:
        if self.type == "repair_order":
            raise PydanticCustomError("cause_reserved", "repair orders come through /repair-orders")
        return self


class EarningCreate(Input):
    """Points for one cause. Dates are China dates; `spendable_from` later than `booked_on` makes the points pending."""

    member_id: UUID
    points: int = Field(ge=1, le=100_000_000, strict=True)
    funder: PartyCode = HQ
    place: PartyCode = HQ
    cause: Cause
    reason: str | None = Field(default=None, min_length=1, max_length=500)
    booked_on: BusinessDate | None = Field(
        default=None,
        description="business date, today by default; a late one is booked in the first open month",
    )
    spendable_from: BusinessDate | None = Field(
        default=None, description="first spendable day; by default the business date"
    )
    expires_on: BusinessDate | None = Field(
        default=None, description="last spendable day, the default rule's by default"
    )

    def earning(self, now: datetime) -> Earning:
        """The earning with its dates filled in.

        Raises:
            InvalidPayload: dates that were sent are not in order: business date, first and last spendable day.
        """
        booked_on = self.booked_on or china_date(now)
        # only what was sent is compared here: what the day's date fills in must not turn a retry into a refusal
        if self.spendable_from and self.booked_on and self.spendable_from < self.booked_on:
            raise InvalidPayload.at("/spendable_from", "date_too_early", earliest=self.booked_on)
        first = self.spendable_from or self.booked_on
        if self.expires_on and first and self.expires_on < first:
            raise InvalidPayload.at("/expires_on", "date_too_early", earliest=first)
        return Earning(
            member_id=self.member_id, points=self.points, funder=self.funder, place=self.place,
            cause=f"{self.cause.type}:{self.cause.key}", reason=self.reason, booked_on=booked_on,
            spendable_from=max(self.spendable_from or booked_on, booked_on),
            expires_on=self.expires_on or Rule().expires_on(booked_on),
        )  # fmt: skip
