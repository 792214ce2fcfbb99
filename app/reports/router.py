"""Reports over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from app.audit import service as audit
from app.audit.models import Action
from app.chapters.schemas import REGION_CODE
from app.core.actors import Actor, Right
from app.core.db import Connection
from app.core.http import GUARDED, Cursor, Limit, Now, Postings, Requires, documented
from app.core.paging import Page, decode_cursor, paged
from app.core.problems import Forbidden, InvalidPayload, NotFound
from app.core.schemas import Month
from app.reports import export, service
from app.reports.export import FileFormat, Row
from app.reports.problems import MonthNotBegun
from app.reports.rules import Measure
from app.reports.schemas import AsOf, NetworkRead, RankedRead, RegionReport

router = APIRouter(prefix="/reports", tags=["reports"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.REPORTS_READ))]
OfMonth = Annotated[Month | None, Query(description="without it, the last month that is over in China")]
As = Annotated[FileFormat, Query(description="CSV and XLSX: one row a place, for who may export")]
OfRegion = Annotated[str | None, Query(pattern=REGION_CODE, examples=["BJ"])]

_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the report; as a file, one row a place under one header row",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            export.XLSX: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.get("/network", response_model=NetworkRead, responses=_FILES | documented(MonthNotBegun))
async def reports_network(
    actor: Reader, pool: Postings, now: Now, month: OfMonth = None, format: As = FileFormat.JSON
) -> NetworkRead | Response:
    """The country and its regions at a month's end: recruitment, joining, coverage, new members."""
    found = await service.read(pool, month, now=now)
    report = service.network(found, actor)
    if format is FileFormat.JSON:
        return report
    return await _file(
        pool, actor, format, f"network-{found.month:%Y-%m}", export.of_network(report, found.region_names)
    )


@router.get("/network/{region}", response_model=RegionReport, responses=_FILES | documented(MonthNotBegun, NotFound))
async def reports_region(
    region: Annotated[str, Path(pattern=REGION_CODE, examples=["BJ"])],
    actor: Reader,
    pool: Postings,
    now: Now,
    month: OfMonth = None,
    format: As = FileFormat.JSON,
) -> RegionReport | Response:
    """A region and its dealers at a month's end; a dealer's staff see their own dealer."""
    found = await service.read(pool, month, now=now)
    report = service.region(found, actor, region)
    if format is FileFormat.JSON:
        return report
    name = f"network-{found.month:%Y-%m}-{region}"
    return await _file(pool, actor, format, name, export.of_region(report, found.dealer_names))


@router.get("/ranking", response_model=Page[RankedRead], responses=_FILES | documented(MonthNotBegun))
async def reports_ranking(
    actor: Reader,
    pool: Postings,
    now: Now,
    month: OfMonth = None,
    of: service.Level = "dealers",
    by: Measure = Measure.RECRUITMENT_RATE,
    region: OfRegion = None,
    format: As = FileFormat.JSON,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RankedRead] | Response:
    """Regions or dealers, best first: those the caller sees, each with its rank in the country (or the region)."""
    found = await service.read(pool, month, now=now)
    places = service.ranking(found, actor, of, by, region)
    if format is not FileFormat.JSON:
        rows = export.of_ranking(AsOf.model_validate(found.when), of.removesuffix("s"), places)
        return await _file(pool, actor, format, f"ranking-{found.month:%Y-%m}-{of}-{by}", rows)
    skip = _skipped(cursor)
    page = paged(places[skip : skip + limit + 1], limit, lambda _: (skip + limit,))
    return Page[RankedRead].model_validate(page)


def _skipped(cursor: str | None) -> int:
    skip = int(decode_cursor(cursor, int)[0]) if cursor else 0
    if skip < 0:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid")
    return skip


async def _file(connection: Connection, actor: Actor, format: FileFormat, name: str, rows: list[Row]) -> Response:
    """A report to take away, on record.

    Raises:
        Forbidden: to view is not to export.
    """
    if not actor.may(Right.RECORDS_EXPORT):
        raise Forbidden
    await audit.record(connection, Action.EXPORTED, "report", [f"{name}.{format}"])
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format}"'}
    if format is FileFormat.CSV:
        return Response(export.as_csv(rows), headers=headers, media_type="text/csv; charset=utf-8")
    return Response(export.as_xlsx(rows), headers=headers, media_type=export.XLSX)
