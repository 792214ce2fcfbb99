"""Incentives over HTTP: rules in fen, and the monthly lists to pay from."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.audit import service as audit
from app.audit.models import Action
from app.core import workbooks
from app.core.actors import Actor, Right
from app.core.http import (
    GUARDED,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Once,
    Requires,
    Session,
    documented,
    etag,
    tagged,
    version_of,
)
from app.core.paging import Page, decode_cursor, id_after, paged
from app.core.problems import KeyConflict, NotFound, PreconditionFailed, WrongStatus
from app.core.schemas import Month
from app.earning.rules_problems import RuleExists
from app.members.files import FileFormat, written
from app.referrals import incentive_lists, incentives
from app.referrals import incentives_queries as queries
from app.referrals.incentives_models import IncentiveLine, IncentiveList, IncentiveRule, ListStatus
from app.referrals.incentives_schemas import (
    Ending,
    IncentiveRuleCreate,
    IncentiveRuleRead,
    LineRead,
    ListCreate,
    ListRead,
    ListSummary,
    Paid,
)
from app.referrals.problems import IncentiveListOutdated

router = APIRouter(tags=["incentives"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.INCENTIVES_READ))]
Exporter = Annotated[Actor, Depends(Requires(Right.INCENTIVES_READ, also=Right.RECORDS_EXPORT))]
Author = Annotated[Actor, Depends(Requires(Right.INCENTIVES_WRITE))]
Payer = Annotated[Actor, Depends(Requires(Right.INCENTIVES_PAY))]
STEP = documented(NotFound, PreconditionFailed, WrongStatus)

_HEADER = (
    "month", "payee", "dealer_code", "kind", "rule", "document", "happened_on", "to_pay_fen", "to_take_back_fen",
    "reason",
)  # fmt: skip
_FILES = {
    "text/csv": {"schema": {"type": "string"}, "example": ",".join(_HEADER)},
    workbooks.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
}


@router.post(
    "/incentive-rules", status_code=201, response_model=IncentiveRuleRead,
    responses=documented(NotFound, RuleExists, KeyConflict),
)  # fmt: skip
async def incentive_rules_create(
    body: IncentiveRuleCreate, actor: Author, session: Session, now: Now, once: Once
) -> Response:
    """Put a rule in force; its examples are evaluated first. It never changes: end it and write another."""

    async def create() -> IncentiveRuleRead:
        return _rule(await incentives.create(session, actor, body, now=now))

    return await once(body, create)


@router.get("/incentive-rules")
async def incentive_rules_list(
    actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[IncentiveRuleRead]:
    """Headquarters' rules for chapters, and those of the chapters one reaches for their staff; oldest first."""
    found = await queries.rules(session, actor, after=id_after(cursor), limit=limit + 1)
    page = paged([_rule(rule) for rule in found], limit, lambda rule: (str(rule.id),))
    return Page[IncentiveRuleRead].model_validate(page)


@router.get("/incentive-rules/{incentive_rule_id}", responses=documented(NotFound))
async def incentive_rules_get(
    incentive_rule_id: UUID, actor: Reader, session: Session, response: Response
) -> IncentiveRuleRead:
    """One rule."""
    return _tagged_rule(response, await incentives.get(session, actor, incentive_rule_id))


@router.post("/incentive-rules/{incentive_rule_id}/ending", responses=documented(NotFound, PreconditionFailed))
async def incentive_rules_end(
    incentive_rule_id: UUID, body: Ending, if_match: IfMatch, actor: Author, session: Session, now: Now,
    response: Response,
) -> IncentiveRuleRead:  # fmt: skip
    """Set a rule's last day; what happened until then is still paid."""
    version = version_of(if_match)
    return _tagged_rule(
        response, await incentives.end(session, actor, incentive_rule_id, body, version=version, now=now)
    )


@router.post(
    "/incentive-lists", status_code=201, response_model=ListRead,
    responses=documented(NotFound, WrongStatus, KeyConflict),
)  # fmt: skip
async def incentive_lists_draw_up(body: ListCreate, actor: Author, session: Session, now: Now, once: Once) -> Response:
    """Draw up what a month that is over comes to, or draw it up anew while it is a draft."""

    async def draw_up() -> ListRead:
        return await _list(session, actor, await incentive_lists.draw_up(session, actor, body, now=now))

    return await once(body, draw_up)


@router.get("/incentive-lists")
async def incentive_lists_list(
    actor: Reader,
    session: Session,
    month: Month | None = None,
    status: ListStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ListSummary]:
    """The lists of the chapters one reaches and headquarters' approved ones, oldest first."""
    found = await queries.page(session, actor, month=month, status=status, after=id_after(cursor), limit=limit + 1)
    totals = await queries.totals_fen(session, actor, [one.id for one in found])
    items = [ListSummary(**dict(one), fen=totals.get(one.id, 0)) for one in found]
    return Page[ListSummary].model_validate(paged(items, limit, lambda one: (str(one.id),)))


@router.get("/incentive-lists/{incentive_list_id}", responses=documented(NotFound))
async def incentive_lists_get(
    incentive_list_id: UUID, actor: Reader, session: Session, response: Response
) -> ListRead:  # fmt: skip
    """One list, with what each payee gets."""
    return await _tagged(response, session, actor, await incentive_lists.get(session, actor, incentive_list_id))


@router.get("/incentive-lists/{incentive_list_id}/lines", responses=documented(NotFound))
async def incentive_lists_lines(
    incentive_list_id: UUID, actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[LineRead]:
    """A list's lines, each with its reason."""
    await incentive_lists.get(session, actor, incentive_list_id)
    after = int(decode_cursor(cursor, int)[0]) if cursor is not None else 0
    found = await queries.lines(session, actor, incentive_list_id, after=after, limit=limit + 1)
    items = [LineRead(**dict(line), rule=code) for line, code in found]
    return Page[LineRead].model_validate(paged(items, limit, lambda line: (line.line_no,)))


@router.get(
    "/incentive-lists/{incentive_list_id}/export", response_class=Response,
    responses=documented(NotFound) | {200: {"content": _FILES}},
)  # fmt: skip
async def incentive_lists_export(
    incentive_list_id: UUID,
    actor: Exporter,
    session: Session,
    format: Annotated[FileFormat, Query(description="how the file is written")] = FileFormat.CSV,
) -> Response:
    """A list as a file, a row each line, to pay from."""
    found = await incentive_lists.get(session, actor, incentive_list_id)
    lines = await queries.lines(session, actor, found.id, after=0, limit=None)
    await audit.record(session, Action.EXPORTED, "incentive-list", [found.id])
    content = await asyncio.to_thread(written, format, _HEADER, list(_rows(found, lines)))
    name = f"incentives-{found.month:%Y-%m}-{found.dealer_code or 'HQ'}.{format}"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=format.media_type, headers=disposition)


@router.post("/incentive-lists/{incentive_list_id}/approval", responses=STEP | documented(IncentiveListOutdated))
async def incentive_lists_approve(
    incentive_list_id: UUID, if_match: IfMatch, actor: Payer, session: Session, now: Now, response: Response
) -> ListRead:
    """Freeze a list; a month's later findings stand on the next one."""
    version = version_of(if_match)
    found = await incentive_lists.approve(session, actor, incentive_list_id, version=version, now=now)
    return await _tagged(response, session, actor, found)


@router.post("/incentive-lists/{incentive_list_id}/payment", responses=STEP)
async def incentive_lists_pay(
    incentive_list_id: UUID, body: Paid, if_match: IfMatch, actor: Payer, session: Session, now: Now,
    response: Response,
) -> ListRead:  # fmt: skip
    """Note that a list was paid."""
    version = version_of(if_match)
    found = await incentive_lists.pay(session, actor, incentive_list_id, body.reference, version=version, now=now)
    return await _tagged(response, session, actor, found)


def _rows(found: IncentiveList, lines: Sequence[tuple[IncentiveLine, str]]) -> Iterator[list[str]]:
    for line, code in lines:
        reason = line.fault or "; ".join(f"{name}={value}" for name, value in line.inputs.items())
        yield [
            f"{found.month:%Y-%m}", line.payee, line.dealer_code, line.kind, code, line.document,
            line.happened_on.isoformat(), str(max(line.fen, 0)), str(max(-line.fen, 0)), reason,
        ]  # fmt: skip


def _rule(rule: IncentiveRule) -> IncentiveRuleRead:
    return IncentiveRuleRead.model_validate(dict(rule) | {"terms": rule.definition})


def _tagged_rule(response: Response, rule: IncentiveRule) -> IncentiveRuleRead:
    return _rule(tagged(response, rule))


async def _list(session: Session, actor: Actor, found: IncentiveList) -> ListRead:
    payees = await queries.payees(session, actor, found.id)
    return ListRead(**dict(found), fen=sum(one.fen for one in payees), payees=payees)


async def _tagged(response: Response, session: Session, actor: Actor, found: IncentiveList) -> ListRead:
    response.headers["ETag"] = etag(found.version)
    return await _list(session, actor, found)
