"""Workbooks as people send them: plain ones are read, all others are refused with what to do."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from app.core import workbooks
from app.core.tabular import MOST_BLANK, MOST_LINE, Row, rows_of
from app.core.unreadable import Unreadable

COLUMNS = ("a", "b")


def saved(*rows: list[Any], change: Callable[[Any], object] = lambda _: None) -> bytes:
    book: Any = Workbook()
    for row in rows:
        book.active.append(row)
    change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(content: bytes, most_mib: int | None = None) -> list[Row]:
    return list(rows_of(io.BytesIO(content), COLUMNS, most_mib))


def repacked(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def test_cells_read_as_csv_has_them():
    content = saved(
        ["extra", " B ", "A"],
        ["x", 13800138000, "张"],
        [],
        [None, datetime.fromisoformat("2026-10-31T00:00"), date(2026, 1, 2)],
        [None, True, 0.5],
        [None, None, "alone"],
    )
    assert read(content) == [
        Row(2, ["张", "13800138000"]), Row(4, ["2026-01-02", "2026-10-31"]), Row(5, ["0.5", "true"]),
        Row(6, ["alone", ""]),
    ]  # fmt: skip


def test_spoilt_rows_are_told_apart():
    found = read(saved(["a", "b"], [1, 2, 3], ["x" * MOST_LINE, 1], [1, 2]))
    assert [row.fault for row in found] == ["2 columns expected, 3 found", "longer than 8,192 characters", None]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda book: book.active.merge_cells("A2:B3"), "the cells A2:B3 are merged: unmerge them"),
        (lambda book: book.active.append(["x", "=A1&1"]), "cell B3 holds a formula: paste the values"),
        (lambda book: book.create_sheet("Other"), r"has 2 sheets \(Sheet, Other\): leave the one to import"),
        (lambda book: book.active.delete_rows(1, 2), "its first row is; it must name a, b"),
        (lambda book: book.active.delete_cols(1), r"lacks the column\(s\) a"),
    ],
)
def test_what_is_no_plain_table_is_refused_before_its_first_row(change: Callable[[Any], object], reason: str):
    with pytest.raises(Unreadable, match=reason):
        next(rows_of(io.BytesIO(saved(["a", "b"], [1, 2], change=change)), COLUMNS), None)


def test_a_formula_far_below_is_found_first():
    rows = [[f"row {n}", n] for n in range(30_000)]
    with pytest.raises(Unreadable, match="cell B30002 holds a formula"):
        next(rows_of(io.BytesIO(saved(["a", "b"], *rows, ["x", "=1"])), COLUMNS))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"an old workbook \(\.xls\), or one with a password"),
        (b"PK\x03\x04 and no more", r"not a readable XLSX workbook \(BadZipFile\)"),
        (saved(["a", "b"], [1, 2])[:-400], "not a readable XLSX workbook"),
        (repacked(saved(["a", "b"]), lambda name, part: b"<x" if "sheet1" in name else part), "not a readable XLSX"),
        (
            repacked(
                saved(["a", "b"], ["x", 1]),
                lambda name, part: b'<!DOCTYPE x [<!ENTITY y "z">]>' + part if "styles" in name else part,
            ),
            r"not a readable XLSX workbook \(DOCTYPE\)",
        ),
    ],
)
def test_damage_says_so(content: bytes, reason: str):
    with pytest.raises(Unreadable, match=reason):
        read(content)


def test_a_zip_of_something_else():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(Unreadable, match="not a readable XLSX workbook"):
        read(out.getvalue())


def test_what_is_packed_has_a_limit_unpacked():
    bomb = repacked(
        saved(["a", "b"], [1, 2]), lambda name, part: part + b" " * (40 << 20) if "sheet1" in name else part
    )
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="more than 20 MiB once unpacked"):
            read(bomb, 20)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_blank_rows_have_an_end():
    def far(book: Any) -> None:
        book.active.cell(MOST_BLANK + 10, 1, "x")

    with pytest.raises(Unreadable, match="blank lines"):
        read(saved(["a", "b"], change=far))


def test_what_is_written_is_no_formula_and_reads_as_it_was():
    rows = [["=1+1", "+86"], ["'=x", "@张"], ["-1", ""]]
    out = io.BytesIO()
    workbooks.written("members", COLUMNS, rows, out)
    sheet: Any = load_workbook(io.BytesIO(out.getvalue())).active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "inlineStr"}
    assert [row.cells for row in read(out.getvalue())] == [["=1+1", "+86"], ["=x", "@张"], ["-1", ""]]
