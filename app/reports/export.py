"""Reports as files for spreadsheets: one row a place, CSV or XLSX, without a cell that could be a formula."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from app.core.tabular import harmless
from app.reports.schemas import AsOf, Figures, NetworkRead, RankedRead, RegionReport

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Row = tuple[Any, ...]
_PLACE = ("month", "as_of", "level", "code", "name")
_FIGURES = tuple(Figures.model_fields)
_RATES = {"recruitment_rate", "joining_rate", "coverage"}


class FileFormat(StrEnum):
    """How a report is written."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


def of_network(report: NetworkRead, names: Mapping[str, str]) -> list[Row]:
    """The country's row, then its regions'."""
    country = [_row(report, "country", "", "", report.national)] if report.national else []
    return [HEADER, *country, *(_row(report, "region", code, names[code], one) for code, one in report.regions.items())]


def of_region(report: RegionReport, names: Mapping[str, str | None]) -> list[Row]:
    """The region's row, then its dealers'."""
    own = [_row(report, "region", report.code, report.name, report.figures)] if report.figures else []
    return [HEADER, *own, *(_row(report, "dealer", code, names[code], one) for code, one in report.dealers.items())]


def of_ranking(when: AsOf, level: str, places: Sequence[RankedRead]) -> list[Row]:
    """Places by rank, which stands first."""
    rows = ((one.rank, *_row(when, level, one.code, one.name, one)) for one in places)
    return [("rank", *HEADER), *rows]


HEADER: Row = (*_PLACE, *_FIGURES)


def _row(when: AsOf, level: str, code: str, name: str | None, figures: Figures) -> Row:
    place = (f"{when.month:%Y-%m}", when.as_of.isoformat(), level, code, name or "")
    return (*place, *(getattr(figures, figure) for figure in _FIGURES))


def as_csv(rows: Sequence[Row]) -> bytes:
    """UTF-8 with a byte order mark, so that Excel shows Chinese; rates with four decimals."""
    out = io.StringIO()
    csv.writer(out).writerows([_text(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.4f}"
    return "" if cell is None else harmless(str(cell))


def as_xlsx(rows: Sequence[Row]) -> bytes:
    """One sheet with a fixed first row; rates are numbers shown as percentages."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("network")
    sheet.freeze_panes = "A2"
    header, *body = rows
    sheet.append(header)
    for row in body:
        sheet.append(list(_cells(sheet, header, row)))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cells(sheet: Any, header: Row, row: Row) -> Iterator[Any]:
    for name, value in zip(header, row, strict=True):
        cell = WriteOnlyCell(sheet, value)
        if isinstance(value, str):
            cell.data_type = "s"  # openpyxl takes "=…" for a formula
        elif name in _RATES:
            cell.number_format = "0.00%"
        yield cell
