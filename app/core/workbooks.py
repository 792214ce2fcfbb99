"""XLSX workbooks as tables: one sheet of plain values in, one sheet without a formula out."""

import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from typing import IO, Any, BinaryIO
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

from app.core.unreadable import Unreadable

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP_START = b"PK\x03\x04"
OLE_START = b"\xd0\xcf\x11\xe0"
"""How an old .xls begins, and any workbook with a password."""
MOST_MIB = 256
"""Unpacked: the texts of a workbook are all in memory at once."""
_MOST_PARTS = 1_000
_PIECE = 1 << 20
_OVERLAP = 4_096
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=\"([A-Z0-9:]+)\"")
_CELL = re.compile(rb"<(?:\w+:)?c\s[^>]*?\br=\"([A-Z]+[0-9]+)\"")
_DAMAGE = (
    AttributeError, BadZipFile, EOFError, InvalidFileException, LookupError, OSError, ParseError, RuntimeError,
    TypeError, ValueError, zlib.error,
)  # fmt: skip


def records(file: BinaryIO, most_mib: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """The rows of the workbook's one sheet with their numbers, from 1; a row ends with its last cell.

    Days read as 2026-10-31, whole numbers without a point, true and false in small letters.

    Raises:
        Unreadable: no XLSX, damaged, too large, several sheets, merged cells or formulas.
    """
    try:
        with ZipFile(file) as parts:
            _require_plain(parts, min(most_mib or MOST_MIB, MOST_MIB))
        file.seek(0)
        yield from _values(file)
    except _DAMAGE as error:
        raise Unreadable("workbook_damaged", fault=type(error).__name__) from error


def _require_plain(parts: ZipFile, most_mib: int) -> None:
    infos = parts.infolist()
    # what a part says of its size is also the most that is read of it
    if sum(info.file_size for info in infos) > most_mib << 20 or len(infos) > _MOST_PARTS:
        raise Unreadable("too_large", limit_mib=most_mib)
    for info in infos:
        if info.filename.endswith((".xml", ".rels")):
            with parts.open(info) as part:
                if b"<!DOCTYPE" in part.read(_OVERLAP):
                    raise Unreadable("workbook_damaged", fault="DOCTYPE")
        if info.filename.startswith("xl/worksheets/") and info.filename.endswith(".xml"):
            with parts.open(info) as part:
                _require_values(part)


def _require_values(sheet: IO[bytes]) -> None:
    # before the first row is taken: a file is refused as a whole, and openpyxl tells of merged cells only at the end
    seen = b""
    while piece := sheet.read(_PIECE):
        seen += piece
        if merged := _MERGED.search(seen):
            raise Unreadable("merged_cells", cells=merged[1].decode())
        if formula := _FORMULA.search(seen):
            cells = _CELL.findall(seen, 0, formula.start())
            raise Unreadable("formula", cell=cells[-1].decode() if cells else "?")
        seen = seen[-_OVERLAP:]


def _values(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    with warnings.catch_warnings():
        # of styles and extensions that it does not know; they say nothing of the values
        warnings.simplefilter("ignore")
        book = load_workbook(file, read_only=True)
    try:
        names = book.sheetnames
        if len(names) != 1:
            raise Unreadable("several_sheets", count=len(names), sheets=", ".join(names)[:200])
        (sheet,) = book.worksheets
        # what the file says of its extent need not be so
        sheet.reset_dimensions()
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            yield number, _trimmed(list(map(shown, cells)))
    finally:
        book.close()


def shown(value: Any) -> str:
    """A cell's value as a CSV file would have it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime() if value.time() == time.min:
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case float() if value.is_integer():
            return str(int(value))
    return str(value)


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def written(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], out: IO[bytes]) -> None:
    """Write one sheet of texts, its first row fixed; what looks like a formula is text as well."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    sheet.append(list(header))
    for row in rows:
        sheet.append([_text(sheet, value) for value in row])
    book.save(out)


def _text(sheet: Any, value: str) -> Any:
    # XML has no control characters
    cell = WriteOnlyCell(sheet, "".join(char if char >= " " else "\ufffd" for char in value))
    cell.data_type = "s"  # openpyxl takes "=…" for a formula
    return cell
