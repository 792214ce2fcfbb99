"""Grants: a person's roles by day. Days are China's; a grant that ended yesterday works for nothing today."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, or_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.actors import Actor, Reach, Role
from app.core.clock import CHINA, china_date
from app.core.db import broken_constraint
from app.core.problems import InvalidPayload, NotFound
from app.identity import session_queries
from app.identity.models import Account, Grant
from app.identity.problems import GrantExists
from app.identity.session_models import Ending

_PLACE = {
    Reach.REGION: "region_code", Reach.DEALER: "dealer_code", Reach.PARTNER: "partner_code",
    Reach.AGENCY: "agency_code",
}  # fmt: skip
_UNKNOWN = {
    "fk_account_grant_region_code": ("region_code", "unknown_region"),
    "fk_account_grant_dealer_code": ("dealer_code", "unknown_dealer"),
    "fk_account_grant_partner_code": ("partner_code", "unknown_partner"),
    "fk_account_grant_agency_code": ("agency_code", "unknown_agency"),
}


# --- what a grant is good for ---


def on(day: date) -> ColumnElement[bool]:
    """The grants that are good on a day."""
    return (col(Grant.valid_from) <= day) & not_over(day)


def not_over(day: date) -> ColumnElement[bool]:
    """The grants that are good on a day or will be later."""
    return or_(col(Grant.valid_until).is_(None), col(Grant.valid_until) >= day)


async def current(session: AsyncSession, account_id: UUID, today: date) -> Sequence[Grant]:
    """An account's grants that are good today, oldest first; a program has none."""
    mine = select(Grant).where(Grant.account_id == account_id, on(today)).order_by(col(Grant.id))
    return (await session.scalars(mine)).all()


async def choose(session: AsyncSession, account_id: UUID, today: date, grant_id: UUID | None = None) -> Grant | None:
    """The grant of that id if it is the account's and good today; without an id the oldest good one."""
    mine = await current(session, account_id, today)
    return next((grant for grant in mine if grant_id in (None, grant.id)), None)


def actor_of(account: Account, grant: Grant) -> Actor:
    """Whom a person's tokens speak for under one of its grants."""
    assert grant.account_id == account.id
    return Actor(
        account.username, Role(grant.role), dealer_code=grant.dealer_code, region_code=grant.region_code,
        partner_code=grant.partner_code, agency_code=grant.agency_code,
    )  # fmt: skip


def program_of(account: Account, scopes: Sequence[str] | None = None) -> Actor:
    """Whom a program's tokens speak for; with fewer scopes than it has when it asked so."""
    return Actor(
        account.username, Role.API_CLIENT, scopes=frozenset(account.scopes if scopes is None else scopes),
        region_code=account.region_code, dealer_codes=frozenset(account.dealer_codes),
    )  # fmt: skip


def ends_at(grant: Grant) -> datetime | None:
    """The first moment the grant is no longer good: midnight in China after its last day; None without one."""
    return after(grant.valid_until)


def after(last_day: date | None) -> datetime | None:
    """Midnight in China after a last day; None without one."""
    return None if last_day is None else datetime.combine(last_day + timedelta(days=1), time.min, CHINA)


def lifetime(grant: Grant, now: datetime, longest: timedelta) -> timedelta:
    """How long a token under the grant may live, at most `longest`."""
    return _until(ends_at(grant), now, longest)


def program_lifetime(program: Account, now: datetime, longest: timedelta) -> timedelta:
    """How long a program's token may live: at most `longest`, and not past its last day."""
    return _until(after(program.last_day), now, longest)


def _until(end: datetime | None, now: datetime, longest: timedelta) -> timedelta:
    return longest if end is None else max(min(longest, end - now), timedelta(0))


# --- giving and ending ---


async def give(
    session: AsyncSession, account: Account, role: Role, *, by: str, now: datetime, region_code: str | None = None,
    dealer_code: str | None = None, partner_code: str | None = None, agency_code: str | None = None,
    valid_from: date | None = None, valid_until: date | None = None, pointer: str = "",
) -> Grant:  # fmt: skip
    """Give a person a role from a day on (today when none is named), until a last day if there is one.

    Args:
        pointer: where in the payload the grant stands, for the faults found in it.

    Raises:
        InvalidPayload: a place that the role does not reach to, or lacks, or does not exist; days that are over.
        GrantExists: the person has this role there on one of these days already.
    """
    place = {
        "region_code": region_code, "dealer_code": dealer_code, "partner_code": partner_code,
        "agency_code": agency_code,
    }  # fmt: skip
    _require_place(pointer, role, place)
    first = valid_from or china_date(now)
    _require_days(pointer, first, valid_until, china_date(now))
    # of two that give the same at once, one waits
    await session.refresh(account, with_for_update=True)
    if await _overlapping(session, account.id, role, place, first, valid_until):
        raise GrantExists
    grant = Grant(
        account_id=account.id, role=role, region_code=region_code, dealer_code=dealer_code,
        partner_code=partner_code, agency_code=agency_code, valid_from=first, valid_until=valid_until, granted_by=by,
        granted_at=now,
    )  # fmt: skip
    session.add(grant)
    try:
        await session.flush()
    except IntegrityError as error:
        if (unknown := _UNKNOWN.get(broken_constraint(error) or "")) is None:
            raise
        field, code = unknown
        raise InvalidPayload.at(f"{pointer}/{field}", code, value=place[field]) from None
    return grant


def _require_place(pointer: str, role: Role, place: dict[str, str | None]) -> None:
    needed = _PLACE.get(role.reach)
    for name, code in place.items():
        if (code is not None) != (name == needed):
            raise InvalidPayload.at(f"{pointer}/{name}", "missing" if code is None else "grant_reach", role=role.value)


def _require_days(pointer: str, first: date, last: date | None, today: date) -> None:
    if first < today:
        raise InvalidPayload.at(f"{pointer}/valid_from", "date_too_early", earliest=today)
    if last is not None and last < first:
        raise InvalidPayload.at(f"{pointer}/valid_until", "date_too_early", earliest=first)


async def _overlapping(
    session: AsyncSession, account_id: UUID, role: Role, place: dict[str, str | None], first: date, last: date | None
) -> bool:
    same = select(Grant).filter_by(account_id=account_id, role=role, **place).where(not_over(first)).limit(1)
    if last is not None:
        same = same.where(col(Grant.valid_from) <= last)
    return await session.scalar(same) is not None


async def end(
    session: AsyncSession, account_id: UUID, grant_id: UUID, last_day: date | None, *, now: datetime
) -> Grant:
    """End a grant with a last day of today or later; without one it is good for nothing from now on.

    Raises:
        NotFound: the account has no such grant.
        InvalidPayload: the last day lies in the past, or after the one it has.
    """
    grant = await session.get(Grant, grant_id, with_for_update=True, populate_existing=True)
    if grant is None or grant.account_id != account_id:
        raise NotFound("grant")
    earliest = max(china_date(now), grant.valid_from)
    if last_day is None:
        # one that is over stays as it was; one that has not begun never does
        grant.valid_until = min(earliest - timedelta(days=1), grant.valid_until or date.max)
        await session_queries.end(session, session_queries.resting_on(grant), Ending.LAPSED, now)
    elif last_day < earliest:
        raise InvalidPayload.at("/last_day", "date_too_early", earliest=earliest)
    elif grant.valid_until is not None and last_day > grant.valid_until:
        raise InvalidPayload.at("/last_day", "date_too_late", latest=grant.valid_until)
    else:
        grant.valid_until = last_day
    await session.flush()
    return grant
