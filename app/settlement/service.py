"""What settlement does: contracts, the month's close, and a statement's life."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import queries as chapters
from app.core.actors import Actor
from app.core.clock import add_months, china_date
from app.core.db import Connection, Database, flush_unless, new_id, raw
from app.core.problems import InvalidPayload, NotFound, WrongStatus
from app.core.transitions import require_step
from app.partners import claims
from app.points import ledger
from app.settlement import queries, rules
from app.settlement.models import Contract, Dispute, Statement
from app.settlement.problems import (
    ContractExists,
    ContractTooEarly,
    NoContract,
    PeriodBeforeFirst,
    PeriodGap,
    PeriodNotEnded,
)
from app.settlement.rules import Line, StatementStatus
from app.settlement.schemas import (
    AnswerCreate,
    Closing,
    ContractCreate,
    ContractRead,
    DisputeCreate,
    DisputeRead,
    PaymentCreate,
    StatementDetail,
    StatementLineRead,
    StatementRead,
)

# --- contracts ---


async def ensure_default_contract(
    connection: asyncpg.Connection, *, valid_from: date, rate_fen_per_thousand: int = 5000
) -> None:
    """Put general terms in force, unless there are some; inside the caller's transaction."""
    await queries.lock_contracts(connection)
    await queries.insert_general_contract(connection, new_id(), valid_from, rate_fen_per_thousand)


async def add_contract(session: AsyncSession, order: ContractCreate) -> ContractRead:
    """Put terms in force from a day on. Contracts are never changed: newer ones follow.

    Raises:
        InvalidPayload: there is no such dealer or partner.
        ContractTooEarly: sealed months would no longer recompute the same.
        ContractExists: the dealer's terms of that day are written.
    """
    connection = await raw(session)
    if order.dealer_code is not None and not await queries.party_exists(connection, order.dealer_code):
        raise InvalidPayload.at("/dealer_code", "unknown_dealer", value=order.dealer_code)
    await queries.lock_contracts(connection)
    sealed = await queries.last_sealed(connection)
    if sealed is not None and order.valid_from < add_months(sealed, 1):
        raise ContractTooEarly(earliest=add_months(sealed, 1))
    contract = Contract(**order.model_dump())
    session.add(contract)
    await flush_unless(session, "uq_contract_dealer_code_valid_from", ContractExists)
    return ContractRead.model_validate(contract)


# --- the month ---


async def close(db: Database, period: date, *, now: datetime, dry_run: bool = False) -> Closing:
    """Seal a month and issue its statements, in one transaction; a sealed month answers what it came to.

    Args:
        period: the month's first day.
        dry_run: compute the same and write nothing; a month that has not ended, or follows open ones, is then
            no fault.

    Raises:
        PeriodNotEnded, PeriodGap, PeriodBeforeFirst.
        NoContract: a dealer has no terms.
    """
    if dry_run:
        return await _forecast(db.pool, period)
    async with db.transaction() as connection:
        # before the month's lock, and posters take neither
        await queries.lock_contracts(connection)
        match await ledger.lock_period(connection, period, now=now):
            case "ready":
                await _seal(connection, period, now)
                await audit.record(connection, Action.CLOSED, "period", [f"{period:%Y-%m}"])
            case "not_ended":
                raise PeriodNotEnded(period)
            case "before_first":
                raise PeriodBeforeFirst(period)
            case "gap":
                raise PeriodGap(period, await queries.first_open(connection))
        closing = await queries.closing(connection, period)
        assert closing is not None
        return closing


async def _seal(connection: asyncpg.Connection, period: date, now: datetime) -> None:
    lines = await month_lines(connection, period)
    dealers = await _dealers(connection, lines)
    days = await queries.confirm_days(connection, dealers, china_date(now))
    by_dealer = _by_dealer(dealers, lines)
    statements = [_issue(dealer, period, by_dealer[dealer], days, now) for dealer in dealers]
    await queries.insert_statements(connection, statements, lines)
    await claims.close(connection, period, rules.funded_fen(lines), now=now)
    await ledger.seal_period(connection, period, rules.digest(period, lines), now=now)


async def _forecast(connection: Connection, period: date) -> Closing:
    if period < (await queries.first_period(connection) or date.max):
        raise PeriodBeforeFirst(period)
    if sealed := await queries.closing(connection, period):
        return sealed
    lines = await month_lines(connection, period)
    sums = rules.sums(lines)
    return Closing(
        period=period,
        sealed_at=None,
        seal=None,
        statements=len(await _dealers(connection, lines)),
        credit_fen=sums.credit_fen,
        charge_fen=sums.charge_fen,
        net_fen=sums.net_fen,
        hq_net_fen=-sums.net_fen,
    )


async def month_lines(connection: Connection, period: date) -> list[Line]:
    """A month's statement lines, from the ledger and the contracts alone.

    Raises:
        NoContract: points moved at, or were funded by, a dealer without terms on that day.
    """
    flows = await queries.fold(connection, period)
    for flow in flows:
        if flow.rate_fen_per_thousand is None:
            raise NoContract(flow.dealer_code)
    return rules.lines(flows)


async def _dealers(connection: Connection, lines: Sequence[Line]) -> list[str]:
    # a chapter's finance clerk expects a statement each month, one of nothing too
    return sorted(await chapters.chapter_codes(connection) | {line.dealer_code for line in lines})


def _by_dealer(dealers: Sequence[str], lines: Sequence[Line]) -> dict[str, list[Line]]:
    own = {dealer: list(group) for dealer, group in groupby(lines, key=lambda line: line.dealer_code)}
    return {dealer: own.get(dealer, []) for dealer in dealers}


def _issue(dealer: str, period: date, lines: Sequence[Line], days: Mapping[str, int], now: datetime) -> Statement:
    if dealer not in days:
        raise NoContract(dealer)
    sums = rules.sums(lines)
    return Statement(
        period=period,
        dealer_code=dealer,
        credit_fen=sums.credit_fen,
        charge_fen=sums.charge_fen,
        net_fen=sums.net_fen,
        issued_at=now,
        confirm_by=china_date(now) + timedelta(days=days[dealer]),
    )


# --- a statement's life ---


async def detail(session: AsyncSession, actor: Actor, statement_id: UUID) -> StatementDetail:
    """A statement with its lines and disputes.

    Raises:
        NotFound: there is none, or it is another dealer's.
    """
    statement = await queries.statement(session, actor, statement_id)
    if statement is None:
        raise NotFound("statement")
    lines = await queries.statement_lines(session, statement.id)
    disputes = await queries.disputes(session, statement.id)
    return StatementDetail(
        **StatementRead.model_validate(statement).model_dump(),
        lines=[StatementLineRead.model_validate(line) for line in lines],
        disputes=[DisputeRead.model_validate(dispute) for dispute in disputes],
    )


async def confirm(session: AsyncSession, actor: Actor, statement_id: UUID, now: datetime) -> StatementRead:
    """The dealer agrees.

    Raises:
        NotFound, WrongStatus: the statement is not up for confirmation.
    """
    statement = await _move(session, actor, statement_id, StatementStatus.CONFIRMED)
    statement.confirmed_at, statement.confirmed_by = now, actor.subject
    return await _written(session, statement)


async def dispute(
    session: AsyncSession, actor: Actor, statement_id: UUID, order: DisputeCreate, now: datetime
) -> DisputeRead:
    """The dealer objects, to a line or to the whole; a disputed statement takes further disputes.

    Raises:
        NotFound: no such statement or line.
        WrongStatus: it is confirmed or paid.
    """
    statement = await _move(session, actor, statement_id, StatementStatus.DISPUTED)
    lines = {line.line_no for line in await queries.statement_lines(session, statement.id)}
    if order.line_no is not None and order.line_no not in lines:
        raise NotFound("line")
    opened = Dispute(statement_id=statement.id, **order.model_dump(), opened_by=actor.subject, opened_at=now)
    session.add(opened)
    await session.flush()
    return DisputeRead.model_validate(opened)


async def answer(
    session: AsyncSession, actor: Actor, dispute_id: UUID, order: AnswerCreate, now: datetime
) -> DisputeRead:
    """Headquarters ends a dispute; with the last one the statement is up for confirmation again.

    Raises:
        NotFound: no such dispute.
        WrongStatus: it has its answer.
    """
    named = await session.get(Dispute, dispute_id)
    if named is None:
        raise NotFound("dispute")
    statement = await _locked(session, actor, named.statement_id)
    # reads the named one again too: another answer may have come before the lock
    disputes = await queries.disputes(session, statement.id)
    if named.answered_at is not None:
        raise WrongStatus(current="answered", allowed=["open"])
    named.answer, named.answered_by, named.answered_at = order.answer, actor.subject, now
    if all(dispute.answered_at is not None for dispute in disputes):
        await _issue_again(session, statement, china_date(now))
    await session.flush()
    return DisputeRead.model_validate(named)


async def _issue_again(session: AsyncSession, statement: Statement, today: date) -> None:
    days = await queries.confirm_days(await raw(session), [statement.dealer_code], today)
    _step(statement, StatementStatus.ISSUED)
    statement.confirm_by = today + timedelta(days=days[statement.dealer_code])


async def pay(
    session: AsyncSession, actor: Actor, statement_id: UUID, order: PaymentCreate, now: datetime
) -> StatementRead:
    """Headquarters notes the payment of a confirmed statement, whichever way the money went.

    Raises:
        NotFound, WrongStatus: it is not confirmed.
    """
    statement = await _move(session, actor, statement_id, StatementStatus.PAID)
    statement.paid_at, statement.payment_reference = now, order.reference
    return await _written(session, statement)


async def _move(session: AsyncSession, actor: Actor, statement_id: UUID, to: StatementStatus) -> Statement:
    statement = await _locked(session, actor, statement_id)
    _step(statement, to)
    return statement


async def _locked(session: AsyncSession, actor: Actor, statement_id: UUID) -> Statement:
    statement = await queries.statement(session, actor, statement_id, lock=True)
    if statement is None:
        raise NotFound("statement")
    return statement


def _step(statement: Statement, to: StatementStatus) -> None:
    require_step(rules.TRANSITIONS, statement.status, to)
    statement.status = to
    statement.version += 1


async def _written(session: AsyncSession, statement: Statement) -> StatementRead:
    await session.flush()
    return StatementRead.model_validate(statement)
