"""members.csv: owners join on their delivery day. Set-based, a chunk a transaction; idempotent."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.audit import service as audit
from app.audit.models import Action
from app.chapters import queries as chapters
from app.core.clock import CHINA, china_date
from app.core.db import Database, new_id
from app.core.tabular import Rejection, Report, Row
from app.core.vault import Vault
from app.members import bulk
from app.members.bulk import NewConsent, NewMember, NewOwnership, Stretch
from app.members.import_extras import Told, day, told
from app.members.import_faults import Fault, Refused
from app.members.rules import (
    MemberStatus,
    Person,
    Verdict,
    Vin,
    judge_enrolment,
    parse_mobile,
    parse_vin,
    vin_check_digit,
)
from app.points import ledger

COLUMNS = ("dealer_code", "name", "phone", "vin", "delivered_on")
"""What every file has; it may have those of `import_extras` as well."""

CHUNK = 5_000


class Owner(NamedTuple):
    """One well-formed line; without a VIN it can only be somebody known."""

    dealer_code: str | None
    name: str
    phone: str
    vin: Vin | None
    joined_on: date
    told: Told


class Places(NamedTuple):
    """Where members can be, of which the sender's own alone, if there are some; the last day of joining; and the newest
    version of each purpose's text."""

    dealers: frozenset[str]
    chapters: frozenset[str]
    own: frozenset[str] | None
    today: date
    versions: Mapping[str, int]


@dataclass
class Roll:
    """What is known of a chunk's phones and vehicles, and what of it is new."""

    people: dict[str, Person]
    owners: dict[str, UUID]
    past: dict[str, list[Stretch]]
    members: list[NewMember] = field(default_factory=list)
    ownerships: list[NewOwnership] = field(default_factory=list)
    births: dict[UUID, date] = field(default_factory=dict)
    consents: dict[tuple[UUID, str], NewConsent] = field(default_factory=dict)


@dataclass
class Taken:
    """What became of a file's rows."""

    report: Report = field(default_factory=Report)
    refused: list[Refused] = field(default_factory=list)

    def add(self, read: int, posted: int, refused: list[Refused]) -> None:
        """Count a chunk's rows in."""
        self.refused += refused
        self.report.read += read
        self.report.posted += posted
        self.report.refused += len(refused)
        self.report.already_known = self.report.read - self.report.posted - self.report.refused


async def import_members(
    db: Database, rows: Iterator[Row], *, now: datetime, on_progress: Callable[[Report], None] | None = None,
    dry_run: bool = False,
) -> tuple[Report, list[Rejection]]:  # fmt: skip
    """Take the file's owners into the club; a chunk is one transaction, then `on_progress` is called.

    Raises:
        Unreadable: the file cannot be read (on); what was read before stays.
    """
    if dry_run:
        taken = await rehearse(db, rows, now=now)
    else:
        taken = await take_in(db, rows, now=now, on_progress=on_progress)
    return taken.report, [refused.rejection() for refused in taken.refused]


async def take_in(
    db: Database, rows: Iterator[Row], *, now: datetime, on_progress: Callable[[Report], None] | None = None,
    only_dealers: frozenset[str] | None = None, is_recorded: bool = False,
) -> Taken:  # fmt: skip
    """As `import_members`, with every fault of the rows refused.

    Args:
        only_dealers: refuse the members of every other chapter, and of headquarters' roll.
        is_recorded: who was taken in goes into the trail.
    """
    taken = Taken()
    while chunk := list(islice(rows, CHUNK)):
        async with db.transaction() as connection:
            await bulk.lock(connection)
            roll, refused = await _judged(connection, db.vault, chunk, only_dealers, now)
            await bulk.insert(connection, db.vault, roll.members, roll.ownerships, now)
            await bulk.note_births(connection, roll.births, now)
            await bulk.note_consents(connection, list(roll.consents.values()))
            await ledger.open_wallets(connection, [member.id for member in roll.members])
            if is_recorded and roll.ownerships:
                joined = {ownership.member_id for ownership in roll.ownerships}
                await audit.record(
                    connection, Action.IMPORTED, "member", joined, changes={"vehicles": (None, len(roll.ownerships))}
                )
        taken.add(len(chunk), len(roll.ownerships), refused)
        if on_progress is not None:
            on_progress(taken.report)
    return taken


async def rehearse(
    db: Database, rows: Iterator[Row], *, now: datetime, only_dealers: frozenset[str] | None = None
) -> Taken:
    """What `take_in` would come to now. Nothing is written, nobody waits; what earlier chunks bring is remembered."""
    taken, before = Taken(), Roll({}, {}, {})
    while chunk := list(islice(rows, CHUNK)):
        async with db.transaction() as connection:
            roll, refused = await _judged(connection, db.vault, chunk, only_dealers, now, before)
        taken.add(len(chunk), len(roll.ownerships), refused)
        before.people |= roll.people
        before.owners |= roll.owners
    return taken


async def _judged(
    connection: asyncpg.Connection, vault: Vault, chunk: list[Row], only_dealers: frozenset[str] | None,
    now: datetime, before: Roll | None = None,
) -> tuple[Roll, list[Refused]]:  # fmt: skip
    places = Places(
        frozenset(await chapters.dealer_regions(connection)),
        frozenset(await chapters.chapter_codes(connection, locked=before is None)),
        only_dealers,
        china_date(now),
        await bulk.text_versions(connection),
    )
    judged = [(row, _parsed(row, places)) for row in chunk]
    owners = [owner for _, owner in judged if isinstance(owner, Owner)]
    vins = [owner.vin.value for owner in owners if owner.vin]
    roll = Roll(
        (before.people if before else {}) | await bulk.people(connection, vault, (owner.phone for owner in owners)),
        (before.owners if before else {}) | await bulk.owners(connection, vins),
        await bulk.past_stretches(connection, vins),
    )
    refused = []
    for row, owner in judged:
        faults = _take(roll, owner, places.today) if isinstance(owner, Owner) else owner
        if faults:
            refused.append(Refused(row, faults))
    return roll, refused


def _take(roll: Roll, owner: Owner, today: date) -> list[Fault]:
    """Note a line's member and vehicle as known, or say why the line is refused."""
    person = roll.people.get(owner.phone)
    vin = owner.vin.value if owner.vin else ""
    verdict = judge_enrolment(owner.name, person, roll.owners.get(vin))
    if verdict is Verdict.ALREADY_KNOWN or _sold_since(roll, owner, person):
        return []
    if verdict is Verdict.PHONE_TAKEN:
        return [Fault("phone_taken", "phone", owner.phone)]
    if owner.vin is None:
        return [] if person else [Fault("vin_missing", "vin")]
    if verdict is Verdict.VEHICLE_TAKEN:
        return [Fault("vehicle_taken", "vin", vin)]
    if person is not None and person.status is MemberStatus.LEFT:
        return [Fault("member_left", "phone", owner.phone)]
    if owner.told.needs_guardian(today):
        return [Fault("guardian_needed", "born_on", str(owner.told.born_on))]
    last_day = max((stretch.until for stretch in roll.past.get(vin, [])), default=owner.joined_on)
    if owner.joined_on < last_day:
        figures: dict[str, object] = {"vin": vin, "until": last_day}
        return [Fault("owned_until", "delivered_on", str(owner.joined_on), figures)]
    if person is None:
        person = roll.people[owner.phone] = Person(new_id(), owner.name)
        roll.members.append(NewMember(person.member_id, owner.name, owner.phone, owner.dealer_code, owner.joined_on))
    roll.owners[vin] = person.member_id
    roll.ownerships.append(NewOwnership(vin, owner.vin.check_digit_ok, person.member_id, owner.joined_on))
    _note(roll, person.member_id, owner)
    return []


def _note(roll: Roll, member_id: UUID, owner: Owner) -> None:
    if owner.told.born_on is not None:
        roll.births.setdefault(member_id, owner.told.born_on)
    for answer in owner.told.answers:
        at = datetime.combine(answer.on or owner.joined_on, time.min, CHINA)
        said = NewConsent(member_id, answer.purpose, answer.decision, answer.version, answer.channel, at)
        roll.consents.setdefault((member_id, answer.purpose), said)


def _sold_since(roll: Roll, owner: Owner, person: Person | None) -> bool:
    """Whether the line was taken before and its vehicle sold since: an old file sent again does not bring it back."""
    if person is None or not person.is_called(owner.name):
        return False
    stretches = roll.past.get(owner.vin.value, []) if owner.vin else []
    return any(person.member_id == stretch.member_id and owner.joined_on <= stretch.until for stretch in stretches)


def _parsed(row: Row, places: Places) -> Owner | list[Fault]:
    if row.fault:
        return [Fault("row", figures={"reason": row.fault})]
    dealer_code, name, phone, vin, delivered_on, *more = (cell.strip() for cell in row.cells)
    is_named = bool(name) and len(name) <= 100 and name.isprintable()
    mobile, car, joined_on = parse_mobile(phone), parse_vin(vin) if vin else None, day(delivered_on)
    place_fault = _place_fault(dealer_code, places)
    besides, more_faults = told(more, places.today, places.versions)
    if (
        not more_faults and is_named and place_fault is None and mobile is not None and not isinstance(car, str)
        and joined_on is not None and joined_on <= places.today
    ):  # fmt: skip
        return Owner(dealer_code or None, name, mobile, car, joined_on, besides)
    faults = [place_fault, None if is_named else Fault("name", "name", name)]
    faults.append(Fault("phone_format", "phone", phone) if mobile is None else None)
    faults.append(_vin_fault(car, vin) if isinstance(car, str) else None)
    if joined_on is None:
        faults.append(Fault("date_format", "delivered_on", delivered_on))
    elif joined_on > places.today:
        faults.append(Fault("date_future", "delivered_on", delivered_on, {"today": places.today}))
    return [fault for fault in faults if fault is not None] + more_faults


def _place_fault(dealer_code: str, places: Places) -> Fault | None:
    if places.own is not None and dealer_code not in places.own:
        return Fault("dealer_foreign", "dealer_code", dealer_code, {"own": ", ".join(sorted(places.own))})
    if not dealer_code or dealer_code in places.chapters:
        return None
    return Fault("dealer_no_chapter" if dealer_code in places.dealers else "dealer_unknown", "dealer_code", dealer_code)


def _vin_fault(code: str, vin: str) -> Fault:
    digit = vin_check_digit(vin.upper()) if code == "vin_check_digit" else ""
    return Fault(code, "vin", vin, {"digit": digit})
