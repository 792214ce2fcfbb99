"""Tables of the network."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, Numeric
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.chapters.rules import Office
from app.core.models import id_field, text_field

_RATE = Numeric(5, 4, asdecimal=False)


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
    """The club of one dealer (经销商分会); a dealer has none or one.

    It is there on a day from `opened_on` on and before `closed_on`: a closed one is nobody's to join. Opened again, it
    is the same row with a later first day, and `FormerChapter` has the time before.
    """

    __tablename__ = "chapter"
    __table_args__ = (CheckConstraint("closed_on IS NULL OR closed_on >= opened_on", name="life"),)

    dealer_code: str = text_field(primary_key=True, foreign_key="dealer.code")
    name: str | None = text_field(default=None)
    opened_on: date
    closed_on: date | None = None
    version: int = 1


class FormerChapter(SQLModel, table=True):
    """When a chapter was there before it was opened again, for figures of the past; its days as `Chapter` has them."""

    __tablename__ = "former_chapter"
    __table_args__ = (CheckConstraint("closed_on > opened_on", name="order"),)

    dealer_code: str = text_field(primary_key=True, foreign_key="chapter.dealer_code")
    opened_on: date = Field(primary_key=True)
    closed_on: date


@audited("officer", personal=("name",))
class Officer(SQLModel, table=True):
    """Who holds an office of a chapter, from its first to its last day."""

    __tablename__ = "chapter_officer"
    __table_args__ = (
        CheckConstraint(f"office IN ({', '.join(map(repr, map(str, Office)))})", name="office"),
        CheckConstraint("until IS NULL OR until >= since", name="order"),
    )

    id: UUID = id_field()
    dealer_code: str = text_field(foreign_key="chapter.dealer_code", index=True)
    office: Office = text_field()
    name: str = text_field()
    since: date
    until: date | None = None
    version: int = 1


@audited("target")
class Target(SQLModel, table=True):
    """What a chapter is to reach by the end of a month (2026-11) or a year (2026); null: nothing was set.

    `new_members` counts those who join in the period; rates are fractions with four decimals (domain.md, figures).
    """

    __tablename__ = "chapter_target"
    __table_args__ = (
        CheckConstraint("period ~ '^2[0-9]{3}(-(0[1-9]|1[0-2]))?$'", name="period"),
        CheckConstraint("members >= 0 AND new_members >= 0", name="counts"),
        CheckConstraint("recruitment_rate BETWEEN 0 AND 1 AND joining_rate BETWEEN 0 AND 1", name="rates"),
    )

    dealer_code: str = text_field(primary_key=True, foreign_key="chapter.dealer_code")
    period: str = text_field(primary_key=True)
    members: int | None = None
    new_members: int | None = None
    recruitment_rate: float | None = Field(default=None, sa_type=_RATE)
    joining_rate: float | None = Field(default=None, sa_type=_RATE)
    version: int = 1
