"""Members as files of people's own: uploads read whole before anything is done, answers and exports as CSV or XLSX."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum
from itertools import islice
from typing import BinaryIO, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit import unmaskings
from app.core import workbooks
from app.core.actors import Actor
from app.core.tabular import Row, harmless, rows_of
from app.core.unreadable import Unreadable
from app.members import segments
from app.members.import_extras import OPTIONAL
from app.members.imports import COLUMNS
from app.members.models import Birth, Member, Ownership
from app.members.problems import ExportTooLarge, TooManyRows, UnreadableFile
from app.members.queries import standing, visible_to
from app.members.rules import masked_phone
from app.members.schemas import may_unmask

MEDIA_TYPES = ("text/csv", "application/gzip", workbooks.MEDIA_TYPE)
MOST_ROWS = 50_000
"""Rows of one upload; `club import` takes any number."""
MOST_EXPORTED = 250_000
_MOST_UNPACKED_MIB = 64
_PAGE = 5_000


class FileFormat(StrEnum):
    """How a file of rows is written."""

    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        """As the answer's Content-Type has it."""
        return workbooks.MEDIA_TYPE if self is FileFormat.XLSX else "text/csv; charset=utf-8"


def rows_in(file: BinaryIO) -> list[Row]:
    """All rows of an upload, so that a file damaged at its end is refused before anything is done.

    Raises:
        UnreadableFile: it cannot be read.
        TooManyRows: it has more than MOST_ROWS.
    """
    try:
        rows = list(islice(rows_of(file, COLUMNS, _MOST_UNPACKED_MIB, optional=OPTIONAL), MOST_ROWS + 1))
    except Unreadable as error:
        raise UnreadableFile(reason=error.reason) from error
    if len(rows) > MOST_ROWS:
        raise TooManyRows(limit=MOST_ROWS)
    return rows


def written(format: FileFormat, header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A file of texts that an import reads as they are, and a spreadsheet without taking any for a formula."""
    if format is FileFormat.XLSX:
        book = io.BytesIO()
        workbooks.written("members", header, rows, book)
        return book.getvalue()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows(map(harmless, row) for row in rows)
    # the mark tells Excel that it is UTF-8
    return out.getvalue().encode("utf-8-sig")


# --- export ---

EXPORTED = (*COLUMNS, "member_no", "status", "born_on")
"""As an import reads it, and what it passes over."""


class Line(NamedTuple):
    """A member with one of its vehicles, or none; `delivered_on` is since when it is its member's, or who joined."""

    dealer_code: str
    name: str
    phone: str
    vin: str
    delivered_on: str
    member_no: str
    status: str
    born_on: str


async def choice(
    session: AsyncSession, actor: Actor, *, dealer_code: str | None, segment_id: UUID | None, today: date
) -> list[ColumnElement[bool]]:
    """The conditions on `Member` of being of a chapter, and in a segment; None does not choose.

    Raises:
        NotFound: there is no such segment, or it is not the actor's to see.
        FieldNotVisible, InvalidPayload: as `segments.chosen` says.
    """
    conditions = [] if dealer_code is None else [col(Member.dealer_code) == dealer_code]
    if segment_id is not None:
        segment = await segments.get(session, actor, segment_id)
        conditions.append(await segments.chosen(session, actor, segment, today))
    return conditions


async def exported(session: AsyncSession, actor: Actor, conditions: Sequence[ColumnElement[bool]]) -> list[Line]:
    """The members an actor may see and on whom all conditions hold, a line a vehicle, one without any.

    Whole numbers and birthdays where it may have them, which goes on record.

    Raises:
        ExportTooLarge: there are more than MOST_EXPORTED.
    """
    lines: list[Line] = []
    shown: set[object] = set()
    async for member, ownership, born_on in _owning(session, actor, conditions):
        if len(lines) == MOST_EXPORTED:
            raise ExportTooLarge(limit=MOST_EXPORTED)
        whole = may_unmask(actor, member.dealer_code)
        if whole and member.id not in shown:
            shown.add(member.id)
            unmaskings.note("member", member.id)
        lines.append(_line(member, ownership, born_on, whole=whole))
    return lines


def _line(member: Member, ownership: Ownership | None, born_on: date | None, *, whole: bool) -> Line:
    phone = member.phone if whole else masked_phone(member.phone)
    vin, since = (ownership.vin, ownership.since) if ownership else ("", member.joined_on)
    birth = born_on.isoformat() if whole and born_on else ""
    return Line(
        member.dealer_code or "", member.name, phone, vin, since.isoformat(), member.member_no, member.status, birth
    )  # fmt: skip


async def _owning(
    session: AsyncSession, actor: Actor, conditions: Sequence[ColumnElement[bool]]
) -> AsyncIterator[tuple[Member, Ownership | None, date | None]]:
    """Members with each vehicle they own now, and birthdays, by the page; who was merged stands with who goes on."""
    owned = and_(col(Ownership.member_id) == col(Member.id), col(Ownership.until).is_(None))
    place = (col(Member.id), func.coalesce(col(Ownership.vin), ""))
    query = (
        select(Member, Ownership, col(Birth.born_on)).outerjoin(Ownership, owned)
        .outerjoin(Birth, col(Birth.member_id) == col(Member.id)).where(visible_to(actor), standing(), *conditions)
        .order_by(*place).limit(_PAGE)
    )  # fmt: skip
    page = query
    while found := (await session.execute(page)).all():
        for member, ownership, born_on in found:
            yield member, ownership, born_on
        last_member, last_car, _ = found[-1]
        page = query.where(tuple_(*place) > (last_member.id, last_car.vin if last_car else ""))
        session.expunge_all()


def texts(lines: Iterable[Line]) -> Iterator[list[str]]:
    """Lines as rows of a file."""
    return (list(map(str, line)) for line in lines)
