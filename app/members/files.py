"""Members as files of people's own: uploads read whole before anything is done, answers and exports as CSV or XLSX."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, NamedTuple, cast

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit import unmaskings
from app.core import workbooks
from app.core.actors import Actor
from app.core.problems import PayloadTooLarge
from app.core.tabular import Row, Unreadable, harmless, rows_of
from app.members.imports import COLUMNS
from app.members.models import Member, Ownership
from app.members.problems import ExportTooLarge, UnreadableFile
from app.members.queries import visible_to
from app.members.rules import masked_phone
from app.members.schemas import may_unmask

MEDIA_TYPES = ("text/csv", "application/gzip", workbooks.MEDIA_TYPE)
MOST_ROWS = 20_000
"""Rows of one upload; `club import` takes any number."""
MOST_EXPORTED = 250_000
_MOST_UNPACKED_MIB = 64
_PAGE = 5_000
_IN_MEMORY = 1 << 20


class FileFormat(StrEnum):
    """How a file of rows is written."""

    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        """As the answer's Content-Type has it."""
        return workbooks.MEDIA_TYPE if self is FileFormat.XLSX else "text/csv; charset=utf-8"


@asynccontextmanager
async def received(stream: AsyncIterator[bytes], limit_mib: int) -> AsyncIterator[BinaryIO]:
    """An upload's body as a file, for the life of the block.

    Raises:
        PayloadTooLarge: there is more of it than `limit_mib`.
    """
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        size = 0
        async for part in stream:
            size += len(part)
            if size > limit_mib << 20:
                raise PayloadTooLarge(limit_mib=limit_mib)
            file.write(part)
        file.seek(0)
        yield cast(BinaryIO, file)


def rows_in(file: BinaryIO) -> list[Row]:
    """All rows of an upload, so that a file damaged at its end is refused before anything is done.

    Raises:
        UnreadableFile: it cannot be read, or has more than MOST_ROWS.
    """
    try:
        rows = list(islice(rows_of(file, COLUMNS, _MOST_UNPACKED_MIB), MOST_ROWS + 1))
    except Unreadable as error:
        raise UnreadableFile(reason=str(error)) from error
    if len(rows) > MOST_ROWS:
        raise UnreadableFile(reason=f"more than {MOST_ROWS:,} rows: send them in parts")
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

EXPORTED = (*COLUMNS, "member_no", "status")
"""As an import reads it, and what it passes over."""


class Line(NamedTuple):
    """A member with one of its vehicles; `delivered_on` is since when it is its member's."""

    dealer_code: str
    name: str
    phone: str
    vin: str
    delivered_on: str
    member_no: str
    status: str


async def exported(session: AsyncSession, actor: Actor, dealer_code: str | None) -> list[Line]:
    """The members an actor may see, a line a vehicle; whole numbers where it may have them, which goes on record.

    Raises:
        ExportTooLarge: there are more than MOST_EXPORTED.
    """
    lines: list[Line] = []
    shown: set[object] = set()
    async for member, ownership in _owning(session, actor, dealer_code):
        if len(lines) == MOST_EXPORTED:
            raise ExportTooLarge(limit=MOST_EXPORTED)
        whole = may_unmask(actor, member.dealer_code)
        if whole and member.id not in shown:
            shown.add(member.id)
            unmaskings.note("member", member.id)
        lines.append(_line(member, ownership, whole=whole))
    return lines


def _line(member: Member, ownership: Ownership, *, whole: bool) -> Line:
    phone = member.phone if whole else masked_phone(member.phone)
    since = ownership.since.isoformat()
    return Line(member.dealer_code or "", member.name, phone, ownership.vin, since, member.member_no, member.status)


async def _owning(
    session: AsyncSession, actor: Actor, dealer_code: str | None
) -> AsyncIterator[tuple[Member, Ownership]]:
    query = (
        select(Member, Ownership)
        .join(Ownership, col(Ownership.member_id) == col(Member.id))
        .where(col(Ownership.until).is_(None), visible_to(actor))
        .order_by(col(Member.id), col(Ownership.vin))
        .limit(_PAGE)
    )
    if dealer_code is not None:
        query = query.where(col(Member.dealer_code) == dealer_code)
    page = query
    while found := (await session.execute(page)).all():
        for member, ownership in found:
            yield member, ownership
        last_member, last_car = found[-1]
        page = query.where(tuple_(col(Member.id), col(Ownership.vin)) > (last_member.id, last_car.vin))
        session.expunge_all()


def texts(lines: Iterable[Line]) -> Iterator[list[str]]:
    """Lines as rows of a file."""
    return (list(map(str, line)) for line in lines)
