"""Import files row by row, and the report on them: XLSX, and CSV (plain or gzip, UTF-8 or GB18030, LF or CRLF)."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, AnyStr, BinaryIO, NamedTuple, TextIO

from pydantic import BaseModel

from app.core import workbooks
from app.core.catalogue import Phrase
from app.core.unreadable import Unreadable, row_fault

csv.field_size_limit(1 << 20)
MOST_LINE = 8_192
"""Characters of a row. A chunk of rows is in memory at once, whatever is sent."""
MOST_BLANK = 10_000
_PIECE = MOST_LINE + 2
_MOST_CELLS = 1_000
_MOST_KEPT = 1_000
_SAMPLE = 1 << 18
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Row(NamedTuple):
    """One data row: its line in the file (the header is line 1) and its cells in the asked order."""

    line: int
    cells: list[str]
    fault: Phrase | None = None


class Rejection(NamedTuple):
    """A refused row, with the reason a person can act on."""

    line: int
    reason: str
    row: str

    @classmethod
    def of(cls, row: Row, reason: str) -> "Rejection":
        """A row's, as it is kept: at most 1,000 characters of either text, and no NUL, which PostgreSQL refuses."""
        return cls(row.line, _short(reason), _short(joined(row.cells)))


class Report(BaseModel):
    """What became of a file: read = posted + already_known + refused."""

    read: int = 0
    posted: int = 0
    already_known: int = 0
    refused: int = 0


def open_rows(path: Path, columns: Sequence[str], *, optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a `.csv`, `.csv.gz` or `.xlsx` file.

    Raises:
        Unreadable: no such file, or as `rows_of`.
    """
    try:
        with path.open("rb") as file:
            yield from rows_of(file, columns, optional=optional)
    except OSError as error:
        raise Unreadable("missing", path=path, fault=error.strerror or error) from error


def rows_of(
    file: BinaryIO, columns: Sequence[str], most_mib: int | None = None, *, optional: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of a file, whose first bytes tell a workbook from CSV; cells in the order of `columns`.

    Columns that are `optional` come last, up to the last one that the file has; those it lacks are empty.

    Raises:
        Unreadable: a workbook of an old kind or with a password, or as `csv_rows` and `xlsx_rows`.
    """
    start = file.read(4)
    file.seek(0)
    if start == workbooks.OLE_START:
        raise Unreadable("old_workbook")
    yield from (xlsx_rows if start == workbooks.ZIP_START else csv_rows)(file, columns, most_mib, optional=optional)


def xlsx_rows(
    file: BinaryIO, columns: Sequence[str], most_mib: int | None = None, *, optional: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of a workbook's one sheet; cells in the order of `columns`.

    Raises:
        Unreadable: no XLSX, several sheets, merged cells, formulas, a column lacking, or too much once unpacked.
    """
    numbered = workbooks.records(file, most_mib)
    header = [name.strip().lower() for name in next(numbered, (1, list[str]()))[1]]
    if not header:
        raise Unreadable("no_header", columns=", ".join(columns))
    positions, last = _positions(header, columns, optional), 1
    for number, cells in numbered:
        if cells:
            last = number
            yield _sheet_row(number, cells, len(header), positions)
        elif number - last > MOST_BLANK:
            raise Unreadable("blank_lines", limit=MOST_BLANK)


def _sheet_row(number: int, cells: list[str], width: int, positions: Sequence[int | None]) -> Row:
    if len(cells) > width:
        return Row(number, cells[:_MOST_CELLS], row_fault("columns", expected=width, found=len(cells)))
    if sum(map(len, cells)) > MOST_LINE:
        return Row(number, [joined(cells)[:MOST_LINE]], row_fault("too_long", limit=MOST_LINE))
    # a sheet has no cells behind the last that is filled in
    cells += [""] * (width - len(cells))
    return Row(number, list(map(_as_meant, _picked(cells, positions))))


def csv_rows(
    file: BinaryIO, columns: Sequence[str], most_mib: int | None = None, *, optional: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of a CSV byte stream, gunzipped when it starts like gzip; cells in the order of `columns`.

    Raises:
        Unreadable: not (complete) gzip, the header lacks a column, or more than `most_mib` once unpacked.
    """
    buffered = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
    encoding = "utf-8-sig" if _is_utf8(_unpacked(buffered)) else "gb18030"
    # a byte of another encoding spoils its row, not the file
    text = io.TextIOWrapper(_unpacked(buffered), encoding=encoding, errors="replace", newline="")
    try:
        yield from _parsed(text, columns, most_mib, optional)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unreadable("gzip_damaged", fault=error) from error
    finally:
        # the file is the caller's to close; when an import broke off it is closed already
        if not buffered.closed:
            text.detach()


def _unpacked(file: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """A file from its start."""
    file.seek(0)
    start = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file, mode="rb") if start == b"\x1f\x8b" else file


def _is_utf8(file: BinaryIO | gzip.GzipFile) -> bool:
    """Whether a file is UTF-8 rather than GB18030, as Chinese spreadsheets write CSV, by how it begins."""
    foreign = [line for line in _beginning(file) if not line.isascii()]
    others = [line for line in foreign if not _decodes(line, "utf-8")]
    # no other encoding makes Chinese UTF-8 by chance, but a single character of two bytes may be either
    chinese = sum(max(line.decode()) > "\u07ff" for line in foreign if _decodes(line, "utf-8"))
    return len(others) <= chinese or not all(_decodes(line, "gb18030") for line in others)


def _beginning(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    room = _SAMPLE
    # whoever reads the rows meets the damage again, behind the rows before it
    with suppress(EOFError, zlib.error, gzip.BadGzipFile):
        while room > 0 and (line := file.readline(room)):
            room -= len(line)
            if room > 0:
                yield line


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def lines(file: IO[AnyStr], end: AnyStr, most_mib: int | None) -> Iterator[AnyStr]:
    """A file's lines without their ends. Of one that is too long comes MOST_LINE and a bit; the rest is skipped.

    Raises:
        Unreadable: there is more than `most_mib`, or blank lines without end.
    """
    room, blank = (most_mib << 20) if most_mib else sys.maxsize, 0
    while piece := file.readline(_PIECE):
        text = piece.rstrip(end)
        room -= len(piece)
        # as long as was asked for, and yet not to the line's end
        while len(piece) == _PIECE and piece[-1:] != end[-1:] and room >= 0:
            piece = file.readline(_PIECE)
            room -= len(piece)
        if room < 0:
            raise Unreadable("too_large", limit_mib=most_mib)
        blank = 0 if text.strip() else blank + 1
        if blank > MOST_BLANK:
            raise Unreadable("blank_lines", limit=MOST_BLANK)
        yield text


def _parsed(file: TextIO, columns: Sequence[str], most_mib: int | None, optional: Sequence[str]) -> Iterator[Row]:
    # line by line: no cell may hold a line break, so a stray quote spoils its row and not those below
    numbered = enumerate(lines(file, "\r\n", most_mib), start=1)
    header = [name.strip().lower() for name in _cells(next(numbered, (1, ""))[1]) or ()]
    if not header:
        raise Unreadable("no_header", columns=", ".join(columns))
    positions = _positions(header, columns, optional)
    in_order = positions == list(range(len(header)))
    for number, line in numbered:
        cells = _cells(line)
        if len(line) > MOST_LINE:
            yield Row(number, [line], row_fault("too_long", limit=MOST_LINE))
        elif cells is None:
            yield Row(number, [line], row_fault("quote"))
        elif not cells:
            continue
        elif len(cells) != len(header):
            yield Row(number, cells[:_MOST_CELLS], row_fault("columns", expected=len(header), found=len(cells)))
        elif "\ufffd" in line:
            yield Row(number, cells, row_fault("encoding"))
        else:
            yield Row(number, cells if in_order else _picked(cells, positions))


def _cells(line: str) -> list[str] | None:
    """A line's cells, none for a blank line, None when its quotes do not pair."""
    if '"' not in line:
        cells = line.split(",") if line else []
    else:
        try:
            cells = next(csv.reader([line], strict=True))
        except csv.Error:
            return None
    return list(map(_as_meant, cells)) if "'" in line else cells


def _positions(header: Sequence[str], columns: Sequence[str], optional: Sequence[str]) -> list[int | None]:
    missing = [name for name in columns if name not in header]
    if missing:
        raise Unreadable("columns_missing", columns=", ".join(missing))
    found = [header.index(name) if name in header else None for name in (*columns, *optional)]
    while found[-1] is None:
        found.pop()
    return found


def _picked(cells: Sequence[str], positions: Sequence[int | None]) -> list[str]:
    return ["" if at is None else cells[at] for at in positions]


def joined(cells: Iterable[str]) -> str:
    """Cells as one CSV line, as they came."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _short(text: str) -> str:
    text = text.replace("\0", "\ufffd")
    return text if len(text) <= _MOST_KEPT else f"{text[:_MOST_KEPT]}…"


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; an import reads it as it was."""
    return f"'{cell}" if cell.startswith(_STARTS_FORMULA) else cell


def _as_meant(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_STARTS_FORMULA) else cell


def rejected_csv(rejections: Iterable[Rejection]) -> str:
    """The refused rows as CSV: line, reason, row."""
    # CR is quoted as well, else it would begin a line; what is written ends lines with LF
    out = io.StringIO(newline=None)
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["line", "reason", "row"])
    writer.writerows((line, harmless(reason), harmless(row)) for line, reason, row in rejections)
    return out.getvalue()


def write_rejected(path: Path, rejections: Sequence[Rejection]) -> Path | None:
    """Leave `FILE.rejected.csv` beside an import file, or remove an older one when nothing was refused."""
    target = path.with_name(path.name + ".rejected.csv")
    if not rejections:
        target.unlink(missing_ok=True)
        return None
    target.write_text(rejected_csv(rejections), encoding="utf-8")
    return target
