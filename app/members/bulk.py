"""Members in bulk: raw asyncpg, a chunk in a few statements, inside the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.core.db import Connection, insert_rows, new_id
from app.core.vault import Vault
from app.members.pinyin import initials
from app.members.queries import IMPORTING
from app.members.rules import MemberStatus, Person, Source, member_number


class NewMember(NamedTuple):
    """A member to be written."""

    id: UUID
    name: str
    phone: str
    dealer_code: str | None
    joined_on: date


class NewOwnership(NamedTuple):
    """A vehicle's owner to be written, and the vehicle when it is new."""

    vin: str
    check_digit_ok: bool
    member_id: UUID
    since: date


class NewConsent(NamedTuple):
    """What a member answered, to be written."""

    member_id: UUID
    purpose: str
    decision: str
    version: int
    channel: str
    at: datetime


class Stretch(NamedTuple):
    """A past ownership, its days inclusive."""

    member_id: UUID
    since: date
    until: date


async def lock(connection: asyncpg.Connection) -> None:
    """Until commit nobody else imports or enrols members."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", IMPORTING)


async def people(connection: Connection, vault: Vault, phones: Iterable[str]) -> dict[str, Person]:
    """The members who have these phones, or go on for whom had them, by phone."""
    by_index = {index: phone for phone in phones for index in vault.indexes(phone)}
    rows = await connection.fetch(
        "SELECT m.phone_index, s.id, s.name, s.status, m.name FROM member m"
        " JOIN member s ON s.id = coalesce(m.merged_into, m.id) WHERE m.phone_index = ANY ($1)",
        list(by_index),
    )
    return {
        by_index[index]: Person(member_id, name, MemberStatus(status), merged_name)
        for index, member_id, name, status, merged_name in rows
    }


async def owners(connection: asyncpg.Connection, vins: Sequence[str]) -> dict[str, UUID]:
    """The members who own these vehicles now, by VIN."""
    rows = await connection.fetch("SELECT vin, member_id FROM ownership WHERE vin = ANY ($1) AND until IS NULL", vins)
    return {row["vin"]: row["member_id"] for row in rows}


async def past_stretches(connection: asyncpg.Connection, vins: Sequence[str]) -> dict[str, list[Stretch]]:
    """Who owned these vehicles before they were sold, or the owner erased, by VIN."""
    rows = await connection.fetch(
        "SELECT vin, member_id, since, until FROM ownership WHERE vin = ANY ($1) AND until IS NOT NULL"
        " UNION ALL SELECT vin, pseudonym, since, until FROM restricted.past_owners($1)",
        vins,
    )
    stretches: dict[str, list[Stretch]] = {}
    for vin, *stretch in rows:
        stretches.setdefault(vin, []).append(Stretch(*stretch))
    return stretches


async def insert(
    connection: asyncpg.Connection,
    vault: Vault,
    members: Sequence[NewMember],
    ownerships: Sequence[NewOwnership],
    now: datetime,
) -> None:
    """Write members with their first status, vehicles not seen before, and ownerships."""
    await _copy(connection, "member", _member_rows(members, await _serials(connection, len(members)), vault, now))
    joining = {"to_status": MemberStatus.ACTIVE, "reason": "import", "actor": "import", "at": now}
    joined = [{"id": new_id(), "member_id": member.id, **joining} for member in members]
    await _copy(connection, "member_status_change", joined)
    await _insert_new_vehicles(connection, ownerships, now)
    owned = [{"id": new_id(), "vin": o.vin, "member_id": o.member_id, "since": o.since} for o in ownerships]
    await _copy(connection, "ownership", owned)


async def _insert_new_vehicles(
    connection: asyncpg.Connection, ownerships: Sequence[NewOwnership], now: datetime
) -> None:  # fmt: skip
    await connection.execute(
        "INSERT INTO vehicle (vin, check_digit_ok, created_at, id)"
        " SELECT vin, ok, $3, id FROM unnest($1::text[], $2::boolean[], $4::uuid[]) AS v (vin, ok, id)"
        " ON CONFLICT DO NOTHING",
        [ownership.vin for ownership in ownerships],
        [ownership.check_digit_ok for ownership in ownerships],
        now,
        [new_id() for _ in ownerships],
    )


async def text_versions(connection: Connection) -> dict[str, int]:
    """The newest version of each purpose's text."""
    rows = await connection.fetch("SELECT purpose, max(version) AS version FROM privacy_notice GROUP BY purpose")
    return {row["purpose"]: row["version"] for row in rows}


async def note_births(connection: asyncpg.Connection, births: Mapping[UUID, date], now: datetime) -> None:
    """Write when members were born; what is on record is headquarters' to correct."""
    await connection.execute(
        "INSERT INTO member_birth (member_id, born_on, recorded_at, recorded_by)"
        " SELECT *, $3, 'import' FROM unnest($1::uuid[], $2::date[]) ON CONFLICT DO NOTHING",
        list(births), list(births.values()), now,
    )  # fmt: skip


async def note_consents(connection: asyncpg.Connection, consents: Sequence[NewConsent]) -> None:
    """Write what members answered."""
    always = {"by_guardian": False, "recorded_by": "import"}
    await _copy(connection, "consent", [{"id": new_id(), **consent._asdict(), **always} for consent in consents])


async def _serials(connection: asyncpg.Connection, count: int) -> list[int]:
    rows = await connection.fetch("SELECT nextval('member_serial') FROM generate_series(1, $1)", count)
    return [serial for (serial,) in rows]


def _member_rows(
    members: Sequence[NewMember], serials: Sequence[int], vault: Vault, now: datetime
) -> list[dict[str, object]]:
    return [
        {
            **member._asdict(),
            "name_initials": initials(member.name),
            "phone": vault.seal(member.phone),
            "phone_index": vault.index(member.phone),
            "member_no": member_number(serial),
            "status": MemberStatus.ACTIVE,
            "source": Source.IMPORT,
            "created_at": now,
            "version": 1,
        }
        for member, serial in zip(members, serials, strict=True)
    ]


async def _copy(connection: asyncpg.Connection, table: str, rows: Sequence[dict[str, object]]) -> None:
    if rows:
        await insert_rows(connection, table, list(rows[0]), [tuple(row.values()) for row in rows])
