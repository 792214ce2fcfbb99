"""Budgets of events at the edge."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.core.schemas import Input
from app.events.rules import Purse


class EventBudgetSet(Input):
    """What may be spent on the events of a year."""

    money_fen: Annotated[int, Field(ge=0, le=10**12)]
    points: Annotated[int, Field(ge=0, le=10**12)]


class EventBudgetRead(BaseModel):
    """A budget and what is used of it; version 0 while nothing is set.

    `asked`: of proposals not decided on; `promised`: granted, to events that have no report yet; `spent`: reported.
    `left` is neither promised nor spent, and below 0 where an approval went beyond. `dealer_code` null: headquarters'
    own events.
    """

    dealer_code: str | None
    purse: Purse
    year: int
    money_fen: int
    points: int
    asked_fen: int
    asked_points: int
    promised_fen: int
    promised_points: int
    spent_fen: int
    spent_points: int
    left_fen: int
    left_points: int
    version: int


class EventBudgetList(BaseModel):
    """The budgets of a year; a chapter has two at most."""

    items: list[EventBudgetRead]
