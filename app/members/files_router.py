"""Members as files: import with a preflight, and export."""

import asyncio
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import queries as chapters
from app.core import uploads
from app.core.actors import Actor, Right
from app.core.catalogue import Language
from app.core.clock import china_date
from app.core.filters import FieldNotVisible
from app.core.http import GUARDED, Config, Db, DryRun, Now, Requires, Session, Speaks, documented
from app.core.problems import NotFound, PayloadTooLarge, UnsupportedMediaType
from app.members import files, imports
from app.members.consent_rules import Use
from app.members.consents import usable
from app.members.files import EXPORTED, MEDIA_TYPES, FileFormat
from app.members.import_extras import OPTIONAL
from app.members.import_schemas import MemberImportRead, import_read
from app.members.imports import COLUMNS, Taken
from app.members.problems import ExportTooLarge, TooManyRows, UnreadableFile

router = APIRouter(prefix="/members", tags=["members"], responses=GUARDED)

Importer = Annotated[Actor, Depends(Requires(Right.MEMBERS_WRITE))]
Exporter = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, also=Right.RECORDS_EXPORT))]

UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": ",".join((*COLUMNS, *OPTIONAL))},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES[1:]},
        },
    }
}
FILES: dict[str, Any] = {
    "text/csv": {"schema": {"type": "string"}},
    MEDIA_TYPES[-1]: {"schema": {"type": "string", "format": "binary"}},
}


@router.post(
    "/imports",
    response_model=MemberImportRead,
    responses=documented(PayloadTooLarge, TooManyRows, UnsupportedMediaType, UnreadableFile)
    | {200: {"content": FILES}},
    openapi_extra=UPLOAD,
)
async def members_import(
    request: Request, actor: Importer, db: Db, settings: Config, now: Now, language: Speaks, dry_run: DryRun = False,
    format: Annotated[
        Literal["json", "csv", "xlsx"],
        Query(description="json: the counts and every fault; csv, xlsx: the refused rows to fix and send again"),
    ] = "json",
) -> MemberImportRead | Response:  # fmt: skip
    """Take in a file of members (CSV or XLSX); good rows are taken whatever the others are. A dry run tells before."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(accepted=MEDIA_TYPES)
    async with uploads.received(request.stream(), settings.member_upload_max_mib) as file:
        # a workbook takes seconds of nothing but computing
        rows = await asyncio.to_thread(files.rows_in, file)
    only_dealers = await chapters.reached(db.pool, actor)
    if dry_run:
        taken = await imports.rehearse(db, iter(rows), now=now, only_dealers=only_dealers)
    else:
        taken = await imports.take_in(db, iter(rows), now=now, only_dealers=only_dealers, is_recorded=True)
    if format == "json":
        return import_read(taken, language, dry_run=dry_run)
    return await _to_fix(taken, FileFormat(format), language)


async def _to_fix(taken: Taken, format: FileFormat, language: Language) -> Response:
    header = (*COLUMNS, *OPTIONAL)
    rows = [refused.cells(language, len(header)) for refused in taken.refused]
    content = await asyncio.to_thread(files.written, format, ("fault", "right", *header), rows)
    return _download(content, format, "members-to-fix")


@router.get(
    "/export", response_class=Response,
    responses=documented(ExportTooLarge, FieldNotVisible, NotFound) | {200: {"content": FILES}},
)  # fmt: skip
async def members_export(
    actor: Exporter,
    session: Session,
    now: Now,
    settings: Config,
    format: FileFormat = FileFormat.CSV,
    dealer_code: Annotated[str | None, Query(max_length=16, description="this chapter's alone")] = None,
    segment_id: Annotated[UUID | None, Query(description="who is in this segment now alone")] = None,
    use: Annotated[Use | None, Query(description="only those who may be chosen for it, by their consent")] = None,
) -> Response:
    """The members one may see with their vehicles, a row each; sent to the import again it changes nothing.

    Phones are whole for who may see them whole; an import refuses the others.
    """
    conditions = await files.choice(
        session, actor, dealer_code=dealer_code, segment_id=segment_id, today=china_date(now)
    )
    lines = await files.exported(session, actor, [*conditions, *usable(use, now, settings)])
    await audit.record(session, Action.EXPORTED, "member", changes={"rows": (None, len(lines))})
    content = await asyncio.to_thread(files.written, format, EXPORTED, files.texts(lines))
    return _download(content, format, "members")


def _download(content: bytes, format: FileFormat, name: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}.{format}"'}
    return Response(content, media_type=format.media_type, headers=disposition)
