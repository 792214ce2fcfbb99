"""What of the network a filter can ask for."""

from sqlalchemy import ColumnElement, SQLColumnExpression, select
from sqlmodel import col

from app.chapters.models import Dealer
from app.core.filters import Field, Kind, Scope


def region_of(dealer_code: SQLColumnExpression[str | None]) -> Field:
    """The region of rows that name their dealer; rows of no dealer have none."""

    def within(_: Scope, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return dealer_code.in_(select(col(Dealer.code)).where(condition))

    return Field("region", Kind.TEXT, lambda _: col(Dealer.region_code), within, clean=code)


def code(given: str) -> str:
    """A dealer's or region's code as it is stored."""
    return given.strip().upper()
