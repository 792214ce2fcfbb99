"""Member cards at the edge."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from app.core.schemas import Input, Line
from app.members.rules import MemberStatus

Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$", to_upper=True), Field(examples=["#0A2F5C"])]
Logo = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$"), Field(examples=["bj001/logo.png"])
]
"""A name by which the apps know a picture; the service keeps none and fetches none."""


class DesignWrite(Input):
    """How a card looks; the foreground must be readable on the background (WCAG 2.2: 4.5 : 1)."""

    background: Colour
    foreground: Colour
    logo: Logo | None = None
    text: Annotated[Line, StringConstraints(max_length=60)] | None = Field(default=None, description="a line on it")


class Design(BaseModel):
    """How a card looks."""

    background: str
    foreground: str
    logo: str | None
    text: str | None


class DesignRead(Design):
    """The design that cards of a place get: its own, else headquarters', else the service's."""

    dealer_code: str | None = Field(description="whose design it is; null: headquarters', or nobody's yet")
    version: int = Field(description="of the place's own design; 0: it has none")
    updated_at: datetime | None


class CardField(BaseModel):
    """A line of the card, with its label in the reader's language."""

    key: Literal["member_no", "name", "chapter", "joined_on"]
    label: str
    value: str


class CardBarcode(BaseModel):
    """What the counter's scanner reads; GET /members/me/card draws it."""

    format: Literal["qr"] = "qr"
    message: str


class CardRead(BaseModel):
    """A member's card, for any wallet or app to draw."""

    format: Literal["owner-club-card/1"] = "owner-club-card/1"
    serial_number: str = Field(description="the member number, unique for good")
    status: MemberStatus
    is_valid: bool = Field(description="only an active member's card counts")
    chapter: str | None = Field(description="the chapter's dealer; null: headquarters' own roll")
    fields: list[CardField]
    barcode: CardBarcode
    design: Design
