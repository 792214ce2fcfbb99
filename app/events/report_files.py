"""An event's report as a file: PDF with its photos, or a workbook."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from io import BytesIO
from uuid import UUID
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Image, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import workbooks
from app.core.actors import Actor
from app.core.catalogue import Language
from app.events import aftermath, photos, queries, reports
from app.events.models import EventReport
from app.events.report_tables import Section, Told, told

FONT = "STSong-Light"
"""Every PDF reader brings it: no font is embedded, and files stay small."""
pdfmetrics.registerFont(UnicodeCIDFont(FONT))
_TITLE = ParagraphStyle("title", fontName=FONT, fontSize=18, leading=26)
_HEADING = ParagraphStyle("heading", fontName=FONT, fontSize=13, leading=20, spaceBefore=6 * mm)
_BODY = ParagraphStyle("body", fontName=FONT, fontSize=10, leading=15, wordWrap="CJK")
_GRID = TableStyle([("GRID", (0, 0), (-1, -1), 0.4, colors.grey), ("VALIGN", (0, 0), (-1, -1), "TOP")])
_WIDTH = A4[0] - 40 * mm
_PHOTO_HEIGHT = 90 * mm


class ReportFormat(StrEnum):
    """How a report is written."""

    PDF = "pdf"
    XLSX = "xlsx"


MEDIA_TYPES = {ReportFormat.PDF: "application/pdf", ReportFormat.XLSX: workbooks.MEDIA_TYPE}


async def file_of(
    session: AsyncSession, actor: Actor, event_id: UUID, form: ReportFormat, *, language: Language, now: datetime
) -> bytes:
    """All that is known of an event, with its report as far as there is one.

    Raises:
        NotFound, Forbidden.
    """
    found = await aftermath.findings(session, actor, event_id, now=now)
    costs = reports.by_payer(await queries.lines(session, event_id))
    said = told(found, await session.get(EventReport, event_id), costs, language)
    if form is ReportFormat.XLSX:
        return await asyncio.to_thread(as_xlsx, said)
    pictures = [photo.content for photo in await photos.with_content(session, event_id)]
    return await asyncio.to_thread(as_pdf, said, pictures)


def as_xlsx(said: Told) -> bytes:
    """One sheet: each row with the heading of its section first."""
    first = said.sections[0].heading
    rows = [(section.heading, *row) for section in said.sections for row in section.rows]
    out = BytesIO()
    workbooks.written("report", (first,), [(first, said.title), *rows, *said.prose], out)
    return out.getvalue()


def as_pdf(said: Told, pictures: Sequence[bytes]) -> bytes:
    """Pages of A4: the tables, what people wrote, the photos."""
    out = BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=20 * mm, rightMargin=20 * mm, topMargin=18 * mm, bottomMargin=18 * mm,
        title=said.title,
    )  # fmt: skip
    page.build([Paragraph(escape(said.title), _TITLE), *_flow(said), *map(_picture, pictures)])
    return out.getvalue()


def _flow(said: Told) -> Iterator[Flowable]:
    for section in said.sections:
        yield Paragraph(escape(section.heading), _HEADING)
        yield from _tables(section)
    for heading, prose in said.prose:
        yield Paragraph(escape(heading), _HEADING)
        for line in prose.splitlines():
            yield Paragraph(escape(line), _BODY)
    yield Spacer(1, 6 * mm)


def _tables(section: Section) -> Iterator[Flowable]:
    """Rows of like width make a table."""
    rows: list[tuple[str, ...]] = []
    for row in section.rows:
        if rows and len(rows[-1]) != len(row):
            yield _table(rows)
            rows = []
        rows.append(row)
    yield _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    width = _WIDTH / len(rows[0])
    cells = [[Paragraph(escape(cell), _BODY) for cell in row] for row in rows]
    return Table(cells, colWidths=[width] * len(rows[0]), style=_GRID)


def _picture(content: bytes) -> Image:
    return Image(BytesIO(content), width=_WIDTH, height=_PHOTO_HEIGHT, kind="proportional")
