"""Earnings at the edge."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.core.clock import china_date
from app.core.problems import InvalidPayload
from app.earning.rules import Rule
from app.points.ledger import HQ, Earning
from app.points.problems import FutureDate

PartyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,16}$")]


class Cause(BaseModel):
    """The business document behind an earning; it is accepted once."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{1,31}$")] = Field(examples=["campaign"])
    key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")] = Field(examples=["2026-spring/000123"])

    @model_validator(mode="after")
    def _leave_orders_to_visits(self) -> Self:
        if self.type == "repair_order":
            raise PydanticCustomError("cause_reserved", "repair orders come through /repair-orders")
        return self


class EarningCreate(BaseModel):
    """Points for one cause. Dates are China dates; `spendable_from` later than `booked_on` makes the points pending."""

    model_config = ConfigDict(extra="forbid")

    member_id: UUID
    points: int = Field(ge=1, le=100_000_000, strict=True)
    funder: PartyCode = HQ
    place: PartyCode = HQ
    cause: Cause
    reason: str | None = Field(default=None, min_length=1, max_length=500)
    booked_on: date | None = Field(
        default=None,
        description="business date, today by default; a late one is booked in the first open month",
    )
    spendable_from: date | None = Field(default=None, description="first spendable day, the business date by default")
    expires_on: date | None = Field(default=None, description="last spendable day, the default rule's by default")

    def earning(self, now: datetime) -> Earning:
        """The earning with its dates filled in.

        Raises:
            FutureDate: the business date lies in the future.
            InvalidPayload: they are not in order: business date, first and last spendable day.
        """
        today = china_date(now)
        booked_on = self.booked_on or today
        if booked_on > today:
            raise FutureDate
        spendable_from = self.spendable_from or booked_on
        expires_on = self.expires_on or Rule().expires_on(booked_on)
        if spendable_from < booked_on:
            raise InvalidPayload.at("/spendable_from", "date_too_early", earliest=booked_on)
        if expires_on < spendable_from:
            raise InvalidPayload.at("/expires_on", "date_too_early", earliest=spendable_from)
        return Earning(
            member_id=self.member_id, points=self.points, funder=self.funder, place=self.place,
            cause=f"{self.cause.type}:{self.cause.key}", reason=self.reason, booked_on=booked_on,
            spendable_from=spendable_from, expires_on=expires_on,
            as_sent=(self.booked_on, self.spendable_from, self.expires_on),
        )  # fmt: skip
