"""Earnings at the edge."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, RootModel, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.chapters.schemas import DealerCode
from app.core.clock import china_date
from app.core.problems import InvalidPayload
from app.core.schemas import BusinessDate, Input, Moment
from app.earning.awards import Outcome
from app.earning.engine import Considered, Verdict, days
from app.earning.triggers import Trigger
from app.points.ledger import HQ, Earning
from app.points.rules import last_spendable_day

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
            expires_on=self.expires_on or last_spendable_day(booked_on),
        )  # fmt: skip


class EventCreate(Input):
    """Something that happened, for the rules to judge; `key` tells it from others of its trigger.

    Of a custom event that points wait for, `key` is the document that earned them, such as `repair_order:BJ001:4711`.
    """

    trigger: Trigger
    key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")] = Field(examples=["survey-12/000123"])
    member_id: UUID
    dealer_code: DealerCode | None = Field(default=None, description="where it happened; null: with headquarters")
    occurred_at: Moment | None = Field(
        default=None, strict=True, examples=["2026-10-31T09:30:00+08:00"],
        description="with its offset; its China date is the business date. Now by default",
    )  # fmt: skip
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="the trigger's own fields, see `GET /points/triggers`",
        examples=[{"score": 5}],
    )

    @model_validator(mode="after")
    def _leave_orders_to_visits(self) -> Self:
        if self.trigger is Trigger.REPAIR_ORDER:
            raise PydanticCustomError("cause_reserved", "repair orders come through /repair-orders")
        return self

    @property
    def document(self) -> str:
        """The event as awards name it."""
        return f"{self.trigger}:{self.key}"


_IS_EVENT = re.compile(rb'"trigger"\s*:')


class EarningBody(RootModel[EarningCreate | EventCreate]):
    """Points that were decided elsewhere, or an event for the rules to judge: that is what has a `trigger`."""

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Read as the one or the other, so that faults are told of the one that was meant."""
        data = json_data.encode() if isinstance(json_data, str) else json_data
        kind = EventCreate if _IS_EVENT.search(data) else EarningCreate
        sent: EarningCreate | EventCreate = kind.model_validate_json(data, **options)
        return cls(sent)


class ConsideredRead(BaseModel):
    """A rule, what became of it, and why. `points` are what it gives, or would if a person says so."""

    rule_no: int
    code: str
    names: Mapping[str, str]
    verdict: Verdict
    points: int
    status_points: int
    reason: str | None = Field(description="English, with the figures")

    @classmethod
    def of(cls, one: Considered) -> "ConsideredRead":
        """As it is answered."""
        rule = one.rule
        return cls(
            rule_no=rule.no, code=rule.code, names=rule.names, verdict=one.verdict, points=one.points,
            status_points=one.status_points, reason=one.reason,
        )  # fmt: skip


class LotRead(BaseModel):
    """What a rule gave, funded by one party; of an event that is waited for, `spendable_from` is the latest day."""

    rule_no: int
    code: str
    funder: str
    points: int
    status_points: int
    spendable_from: date
    expires_on: date = Field(description="the earliest, of a rule whose points live by activity")


class OutcomeRead(BaseModel):
    """What came of an event. `cases` wait for a person; `released` are points that had waited for this event.

    `considered` is empty where the answer is the first one again.
    """

    document: str
    points: int
    lots: list[LotRead]
    posting_nos: list[int]
    cases: list[UUID]
    released: int
    replayed: bool
    considered: list[ConsideredRead]

    @classmethod
    def of(cls, outcome: Outcome) -> "OutcomeRead":
        """As it is answered."""
        lots = [
            LotRead(
                rule_no=lot.rule.no, code=lot.rule.code, funder=lot.funder, points=lot.points,
                status_points=lot.status_points, spendable_from=first, expires_on=last,
            )
            for lot in outcome.lots
            for first, last, _ in [days(lot.rule, lot.event.on)]
        ]  # fmt: skip
        return cls(
            document=outcome.document, points=outcome.points, lots=lots, posting_nos=list(outcome.posting_nos),
            cases=list(outcome.cases), released=outcome.released, replayed=outcome.replayed,
            considered=[ConsideredRead.of(one) for one in outcome.considered],
        )  # fmt: skip
