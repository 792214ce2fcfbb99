"""Settlement over HTTP: contracts, months, statements and their disputes."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response

from app.audit import service as audit
from app.audit.models import Action
from app.chapters.schemas import DealerCode
from app.core.actors import Actor, Right
from app.core.http import (
    GUARDED,
    Cursor,
    Db,
    DryRun,
    Format,
    Limit,
    Now,
    Once,
    Postings,
    Requires,
    Session,
    documented,
)
from app.core.paging import Page
from app.core.problems import Forbidden, KeyConflict, NotFound, WrongStatus
from app.core.schemas import Month
from app.settlement import queries, service
from app.settlement.export import statement_csv
from app.settlement.problems import (
    ContractExists,
    ContractTooEarly,
    NoContract,
    PeriodBeforeFirst,
    PeriodGap,
    PeriodNotEnded,
)
from app.settlement.rules import StatementStatus
from app.settlement.schemas import (
    AnswerCreate,
    Closing,
    Confirmation,
    ContractCreate,
    ContractRead,
    DisputeCreate,
    DisputeRead,
    PaymentCreate,
    PeriodRead,
    StatementDetail,
    StatementRead,
)

router = APIRouter(tags=["settlement"], responses=GUARDED)

ContractReader = Annotated[Actor, Depends(Requires(Right.CONTRACTS_READ))]
Contractor = Annotated[Actor, Depends(Requires(Right.CONTRACTS_WRITE))]
Settler = Annotated[Actor, Depends(Requires(Right.SETTLEMENT_RUN))]
Clerk = Annotated[Actor, Depends(Requires(Right.STATEMENTS_CONFIRM))]
Reader = Annotated[Actor, Depends(Requires(Right.STATEMENTS_READ))]

_STATEMENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the statement, or its lines as CSV: UTF-8 with a byte order mark, one header line",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


# --- contracts ---


@router.get("/contracts", response_model=Page[ContractRead])
async def contracts_list(
    actor: ContractReader,
    session: Session,
    dealer_code: DealerCode | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ContractRead]:
    """All contracts, in the order they were made."""
    return await queries.contracts(session, dealer_code=dealer_code, cursor=cursor, limit=limit)


@router.post(
    "/contracts",
    status_code=201,
    response_model=ContractRead,
    responses=documented(ContractTooEarly, ContractExists, KeyConflict),
)
async def contracts_add(body: ContractCreate, actor: Contractor, session: Session, once: Once) -> Response:
    """Put terms in force from a day on, for one dealer or for all without their own."""
    return await once(body, lambda: service.add_contract(session, body))


# --- months ---


@router.get("/periods", response_model=Page[PeriodRead])
async def periods_list(actor: Reader, pool: Postings, cursor: Cursor = None, limit: Limit = 50) -> Page[PeriodRead]:
    """The months of the books, newest first, and which are sealed."""
    return await queries.periods(pool, cursor, limit)


@router.post(
    "/periods/{period}/close",
    response_model=Closing,
    responses=documented(PeriodNotEnded, PeriodBeforeFirst, PeriodGap, NoContract),
)
async def periods_close(period: Month, actor: Settler, db: Db, now: Now, dry_run: DryRun = False) -> Closing:
    """Seal a month and issue its statements. Closing it again changes nothing and answers the same.

    A dry run computes what the statements would come to so far, of an open month too.
    """
    return await service.close(db, period, now=now, dry_run=dry_run)


# --- statements ---


@router.get("/statements", response_model=Page[StatementRead])
async def statements_list(
    actor: Reader,
    session: Session,
    period: Month | None = None,
    dealer_code: DealerCode | None = None,
    status: StatementStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[StatementRead]:
    """Statements, newest month first: headquarters sees all, a dealer's staff their own."""
    return await queries.statements(
        session, actor, period=period, dealer_code=dealer_code, status=status, cursor=cursor, limit=limit
    )


@router.get("/statements/{statement_id}", response_model=StatementDetail, responses=_STATEMENT | documented(NotFound))
async def statements_read(
    statement_id: UUID,
    actor: Reader,
    session: Session,
    format: Format = "json",
    accept: Annotated[str, Header(description="`text/csv` asks for CSV, as `format=csv` does")] = "",
) -> StatementDetail | Response:
    """One statement with its lines and disputes; or its lines as CSV, for who may export."""
    statement = await service.detail(session, actor, statement_id)
    if format == "json" and not accept.startswith("text/csv"):
        return statement
    if not actor.may(Right.RECORDS_EXPORT):
        raise Forbidden
    await audit.record(session, Action.EXPORTED, "statement", [statement_id])
    name = f"statement-{statement.period:%Y-%m}-{statement.dealer_code}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
    return Response(statement_csv(statement), headers=headers, media_type="text/csv; charset=utf-8")


@router.post(
    "/statements/{statement_id}/confirmation",
    response_model=StatementRead,
    responses=documented(NotFound, WrongStatus, KeyConflict),
)
async def statements_confirm(statement_id: UUID, actor: Clerk, session: Session, now: Now, once: Once) -> Response:
    """Agree to a statement. Silence past `confirm_by` confirms nothing: that is the contract's matter."""
    return await once(Confirmation(), lambda: service.confirm(session, actor, statement_id, now))


@router.post(
    "/statements/{statement_id}/disputes",
    status_code=201,
    response_model=DisputeRead,
    responses=documented(NotFound, WrongStatus, KeyConflict),
)
async def statements_dispute(
    statement_id: UUID, body: DisputeCreate, actor: Clerk, session: Session, now: Now, once: Once
) -> Response:
    """Object to a statement or to one of its lines."""
    return await once(body, lambda: service.dispute(session, actor, statement_id, body, now))


@router.post(
    "/disputes/{dispute_id}/answer",
    response_model=DisputeRead,
    responses=documented(NotFound, WrongStatus, KeyConflict),
)
async def disputes_answer(
    dispute_id: UUID, body: AnswerCreate, actor: Settler, session: Session, now: Now, once: Once
) -> Response:
    """End a dispute; after the last one the statement is up for confirmation again.

    The statement stays as it is: money is corrected by postings of a later month.
    """
    return await once(body, lambda: service.answer(session, actor, dispute_id, body, now))


@router.post(
    "/statements/{statement_id}/payment",
    response_model=StatementRead,
    responses=documented(NotFound, WrongStatus, KeyConflict),
)
async def statements_pay(
    statement_id: UUID, body: PaymentCreate, actor: Settler, session: Session, now: Now, once: Once
) -> Response:
    """Note the payment of a confirmed statement, whichever way the money went."""
    return await once(body, lambda: service.pay(session, actor, statement_id, body, now))
