"""Import files: CSV (plain or gzip, with or without BOM, LF or CRLF) row by row, and the report on it."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from pydantic import BaseModel

csv.field_size_limit(1 << 20)


class Unreadable(Exception):
    """The file as a whole cannot be read; the message says why and what would be right."""


class Row(NamedTuple):
    """One data row: its line in the file (the header is line 1) and its cells in the asked order."""

    line: int
    cells: list[str]
    fault: str | None = None


class Rejection(NamedTuple):
    """A refused row, with the reason a person can act on."""

    line: int
    reason: str
    row: str


class Report(BaseModel):
    """What became of a file: read = posted + already_known + refused."""

    read: int = 0
    posted: int = 0
    already_known: int = 0
    refused: int = 0


def open_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a `.csv` or `.csv.gz` file.

    Raises:
        Unreadable: no such file, not (complete) gzip, or the header lacks a column.
    """
    try:
        with path.open("rb") as file:
            yield from csv_rows(file, columns)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from error


def csv_rows(file: BinaryIO, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a CSV byte stream, gunzipped when it starts like gzip; cells in the order of `columns`."""
    buffered = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
    start = buffered.read(2)
    buffered.seek(0)
    plain = gzip.GzipFile(fileobj=buffered) if start == b"\x1f\x8b" else buffered
    # a byte that is not UTF-8 spoils its row, not the file
    text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="replace", newline="")
    try:
        yield from _parsed(text, columns)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unreadable(f"damaged gzip: {error}") from error
    finally:
        # the file is the caller's to close; when an import broke off it is closed already
        if not buffered.closed:
            text.detach()


def _parsed(text: TextIO, columns: Sequence[str]) -> Iterator[Row]:
    header = [name.strip().lower() for name in _cells(text.readline()) or ()]
    if not header:
        raise Unreadable(f"the file is empty, or its first line is; it must name {', '.join(columns)}")
    positions = _positions(header, columns)
    in_order = positions == list(range(len(header)))
    # line by line: no cell may hold a line break, so a stray quote spoils its row and not those below
    for number, line in enumerate(text, start=2):
        cells = _cells(line)
        if cells is None:
            yield Row(number, [line.rstrip("\r\n")], "a quote is not closed, or stands inside a cell")
        elif not cells:
            continue
        elif len(cells) != len(header):
            yield Row(number, cells, f"{len(header)} columns expected, {len(cells)} found")
        elif "\ufffd" in line:
            yield Row(number, cells, "not UTF-8: save the file as UTF-8")
        else:
            yield Row(number, cells if in_order else [cells[at] for at in positions])


def _cells(line: str) -> list[str] | None:
    """A line's cells, none for a blank line, None when its quotes do not pair."""
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(",") if line else []
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return None


def _positions(header: Sequence[str], columns: Sequence[str]) -> list[int]:
    missing = [name for name in columns if name not in header]
    if missing:
        raise Unreadable(f"the first line lacks the column(s) {', '.join(missing)}")
    return [header.index(name) for name in columns]


def joined(cells: Iterable[str]) -> str:
    """Cells as one CSV line, as they came."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def rejected_csv(rejections: Iterable[Rejection]) -> str:
    """The refused rows as CSV: line, reason, row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["line", "reason", "row"])
    writer.writerows(rejections)
    return out.getvalue()


def write_rejected(path: Path, rejections: Sequence[Rejection]) -> Path | None:
    """Leave `FILE.rejected.csv` beside an import file, or remove an older one when nothing was refused."""
    target = path.with_name(path.name + ".rejected.csv")
    if not rejections:
        target.unlink(missing_ok=True)
        return None
    target.write_text(rejected_csv(rejections), encoding="utf-8")
    return target
