"""Tables of the network."""

from datetime import date

from sqlmodel import SQLModel

from app.audit.rows import audited
from app.core.models import text_field


@audited("region")
class Region(SQLModel, table=True):
    """A regional office (RBO, 大区)."""

    __tablename__ = "region"

    code: str = text_field(primary_key=True)
    name: str = text_field()


@audited("dealer")
class Dealer(SQLModel, table=True):
    """A dealer (4S店); `has_after_sales` tells full after-sales capability from sales only."""

    __tablename__ = "dealer"

    code: str = text_field(primary_key=True)
    name: str | None = text_field(default=None)
    region_code: str = text_field(foreign_key="region.code", index=True)
    has_after_sales: bool
    version: int = 1


@audited("chapter")
class Chapter(SQLModel, table=True):
    """The club of one dealer (经销商分会); a dealer has none or one."""

    __tablename__ = "chapter"

    dealer_code: str = text_field(primary_key=True, foreign_key="dealer.code")
    name: str | None = text_field(default=None)
    opened_on: date
    version: int = 1
