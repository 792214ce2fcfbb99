"""members.csv: owners join on their delivery day. Set-based, a chunk a transaction; idempotent."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.chapters import queries as chapters
from app.core.clock import china_date
from app.core.db import Database, new_id
from app.core.tabular import Rejection, Report, Row, joined
from app.core.vault import Vault
from app.members import bulk
from app.members.bulk import NewMember, NewOwnership, Stretch
from app.members.rules import MemberStatus, Person, Verdict, Vin, judge_enrolment, parse_mobile, parse_vin
from app.points import ledger

COLUMNS = ("dealer_code", "name", "phone", "vin", "delivered_on")

CHUNK = 5_000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_VIN_FAULTS = {
    "vin_format": "is not 17 letters and digits without I, O and Q",
    "vin_repeated": "is one character 17 times",
    "vin_check_digit": "has a wrong check digit at position 9",
}
_REFUSED = {
    Verdict.PHONE_TAKEN: "phone {phone} belongs to a member of another name",
    Verdict.VEHICLE_TAKEN: "vehicle {vin} belongs to another member",
}


class Owner(NamedTuple):
    """One well-formed line."""

    dealer_code: str | None
    name: str
    phone: str
    vin: Vin
    joined_on: date


class Places(NamedTuple):
    """Where members can be, and the last day they can have joined."""

    dealers: frozenset[str]
    chapters: frozenset[str]
    today: date


@dataclass
class Roll:
    """What is known of a chunk's phones and vehicles, and what of it is new."""

    people: dict[str, Person]
    owners: dict[str, UUID]
    past: dict[str, list[Stretch]]
    members: list[NewMember] = field(default_factory=list)
    ownerships: list[NewOwnership] = field(default_factory=list)


async def import_members(
    db: Database, rows: Iterator[Row], *, now: datetime, on_progress: Callable[[Report], None] | None = None
) -> tuple[Report, list[Rejection]]:
    """Take the file's owners into the club; a chunk is one transaction, then `on_progress` is called.

    Raises:
        Unreadable: the file cannot be read (on); what was read before stays.
    """
    report, rejections = Report(), []
    while chunk := list(islice(rows, CHUNK)):
        async with db.transaction() as connection:
            await bulk.lock(connection)
            refused, posted = await _import_chunk(connection, db.vault, chunk, now)
        rejections += refused
        report.read += len(chunk)
        report.posted += posted
        report.refused += len(refused)
        report.already_known = report.read - report.posted - report.refused
        if on_progress is not None:
            on_progress(report)
    return report, rejections


async def _import_chunk(
    connection: asyncpg.Connection, vault: Vault, chunk: list[Row], now: datetime
) -> tuple[list[Rejection], int]:
    places = Places(
        frozenset(await chapters.dealer_regions(connection)),
        frozenset(await chapters.chapter_codes(connection)),
        china_date(now),
    )
    judged = [(row, _parsed(row, places)) for row in chunk]
    owners = [owner for _, owner in judged if isinstance(owner, Owner)]
    vins = [owner.vin.value for owner in owners]
    roll = Roll(
        await bulk.people(connection, vault, (owner.phone for owner in owners)),
        await bulk.owners(connection, vins),
        await bulk.past_stretches(connection, vins),
    )
    rejections = []
    for row, owner in judged:
        fault = _take(roll, owner) if isinstance(owner, Owner) else owner
        if fault is not None:
            rejections.append(Rejection(row.line, fault, joined(row.cells)))
    await bulk.insert(connection, vault, roll.members, roll.ownerships, now)
    await ledger.open_wallets(connection, [member.id for member in roll.members])
    return rejections, len(roll.ownerships)


def _take(roll: Roll, owner: Owner) -> str | None:
    """Note a line's member and vehicle as known, or say why the line is refused."""
    person = roll.people.get(owner.phone)
    vin = owner.vin.value
    verdict = judge_enrolment(owner.name, person, roll.owners.get(vin))
    if verdict is Verdict.ALREADY_KNOWN or _sold_since(roll, owner, person):
        return None
    if verdict in _REFUSED:
        return _REFUSED[verdict].format(phone=owner.phone, vin=vin)
    if person is not None and person.status is MemberStatus.LEFT:
        return f"the member with phone {owner.phone} has left the club, and an import reactivates nobody"
    last_day = max((stretch.until for stretch in roll.past.get(vin, [])), default=owner.joined_on)
    if owner.joined_on < last_day:
        return f"vehicle {vin} was another owner's until {last_day}, after delivered_on {owner.joined_on}"
    if person is None:
        person = roll.people[owner.phone] = Person(new_id(), owner.name)
        roll.members.append(NewMember(person.member_id, owner.name, owner.phone, owner.dealer_code, owner.joined_on))
    roll.owners[vin] = person.member_id
    roll.ownerships.append(NewOwnership(vin, owner.vin.check_digit_ok, person.member_id, owner.joined_on))
    return None


def _sold_since(roll: Roll, owner: Owner, person: Person | None) -> bool:
    """Whether the line was taken before and its vehicle sold since: an old file sent again does not bring it back."""
    if person is None or person.name != owner.name:
        return False
    stretches = roll.past.get(owner.vin.value, [])
    return any(person.member_id == stretch.member_id and owner.joined_on <= stretch.until for stretch in stretches)


def _parsed(row: Row, places: Places) -> Owner | str:
    if row.fault:
        return row.fault
    dealer_code, name, phone, vin, delivered_on = (cell.strip() for cell in row.cells)
    if dealer_code and dealer_code not in places.chapters:
        known = dealer_code in places.dealers
        return f"dealer {dealer_code} has no chapter" if known else f"there is no dealer {dealer_code!r}"
    if not name or not name.isprintable() or len(name) > 100:
        return "the name is empty, over 100 characters or unprintable"
    mobile = parse_mobile(phone)
    if mobile is None:
        return f"phone {phone!r} is not a mainland mobile number"
    car = parse_vin(vin)
    if isinstance(car, str):
        return f"VIN {vin!r} {_VIN_FAULTS[car]}"
    joined_on = _day(delivered_on)
    if joined_on is None:
        return f"delivered_on {delivered_on!r} is not a date such as 2026-10-31"
    if joined_on > places.today:
        return f"delivered_on {delivered_on} lies in the future"
    return Owner(dealer_code or None, name, mobile, car, joined_on)


def _day(cell: str) -> date | None:
    try:
        return date.fromisoformat(cell) if _DATE.fullmatch(cell) else None
    except ValueError:
        return None
