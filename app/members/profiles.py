"""A member's profile: how it is seen, how it likes to be reached, what else is known of it, its household, notes."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Right, Role
from app.core.clock import china_date
from app.core.editing import change, require_version
from app.core.problems import FieldError, Forbidden, InvalidPayload, NotFound
from app.members import attributes, completeness
from app.members.completeness import OfMember
from app.members.problems import HouseholdFull, ProfileFieldClosed
from app.members.profile_models import Attribute, HouseholdPerson, MemberAttribute, MemberProfile, Note
from app.members.profile_rules import Stored, is_among, is_minor, shown, stored
from app.members.profile_schemas import HouseholdCreate, HouseholdUpdate, NoteCreate, NoteUpdate, ProfileUpdate
from app.members.visibility import visible_member

MAX_HOUSEHOLD = 20


class Known(NamedTuple):
    """A profile as an actor may see it."""

    profile: MemberProfile
    attributes: dict[str, Any]
    household: Sequence[HouseholdPerson]
    completeness: OfMember


async def profile(session: AsyncSession, actor: Actor, member_id: UUID) -> Known:
    """What is known of a member.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
    """
    await visible_member(session, actor, member_id)
    return await _known(session, actor, member_id)


async def _known(session: AsyncSession, actor: Actor, member_id: UUID) -> Known:
    found = await session.get(MemberProfile, member_id) or _empty(member_id)
    seen = {one.key: one for one in await attributes.visible(session, actor) if not one.is_retired}
    values: dict[str, list[str]] = defaultdict(list)
    for row in await _values(session, member_id, seen):
        values[row.attribute_key].append(row.value)
    filled = await completeness.of_member(session, member_id)
    return Known(
        found,
        {key: shown(seen[key].kind, kept) for key, kept in sorted(values.items())},
        await household(session, member_id),
        filled._replace(missing=[part for part in filled.missing if _is_told(actor, part, seen)]),
    )


def _empty(member_id: UUID) -> MemberProfile:
    return MemberProfile(member_id=member_id, version=0)


def _is_told(actor: Actor, part: str, seen: Collection[str]) -> bool:
    if part.startswith("attribute."):
        return part.removeprefix("attribute.") in seen
    return part != "circle" or actor.role is not Role.MEMBER


async def _values(session: AsyncSession, member_id: UUID, keys: Collection[str]) -> Sequence[MemberAttribute]:
    query = select(MemberAttribute).where(
        col(MemberAttribute.member_id) == member_id, col(MemberAttribute.attribute_key).in_(keys)
    )
    return (await session.scalars(query)).all()


# --- changing ---


async def update(
    session: AsyncSession, actor: Actor, member_id: UUID, body: ProfileUpdate, *,
    version: int, value_classes: Collection[str], now: datetime,
) -> Known:  # fmt: skip
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
        ProfileFieldClosed: it names what is not the actor's to edit.
        InvalidPayload: a value that its field or attribute does not take.
    """
    await visible_member(session, actor, member_id, locked=True)
    changed = await session.get(MemberProfile, member_id, populate_existing=True) or _empty(member_id)
    require_version(changed, version)
    known = {one.key: one for one in await attributes.visible(session, actor) if not one.is_retired}
    _require_open(actor, body, known)
    values = _stored(body, known)
    _set(changed, body, value_classes)
    change(changed, {"updated_at": now, "updated_by": actor.subject})
    session.add(changed)
    await _replace(session, member_id, values)
    await session.flush()
    return await _known(session, actor, member_id)


def _require_open(actor: Actor, body: ProfileUpdate, known: dict[str, Attribute]) -> None:
    closed = [
        f"attributes.{key}" for key in body.attributes if key in known and not is_among(actor, known[key].edited_by)
    ]
    if not actor.may(Right.MEMBERS_WRITE):
        closed += sorted({"value_class", "circle"} & body.model_fields_set)
    if closed:
        raise ProfileFieldClosed(fields=closed)


def _stored(body: ProfileUpdate, known: dict[str, Attribute]) -> dict[str, list[Stored]]:
    values: dict[str, list[Stored]] = {}
    faults = []
    for key, given in body.attributes.items():
        pointer, attribute = f"/attributes/{key}", known.get(key)
        if attribute is None:
            faults.append(FieldError(pointer, "unknown_attribute", {}))
            continue
        choices = [choice["value"] for choice in attribute.choices]
        found = [] if given is None else stored(attribute.kind, choices, given)
        if isinstance(found, str):
            faults.append(FieldError(pointer, found, {"choices": ", ".join(choices)}))
        else:
            values[key] = found
    if faults:
        raise InvalidPayload(errors=faults)
    return values


def _set(profile: MemberProfile, body: ProfileUpdate, value_classes: Collection[str]) -> None:
    named = body.model_fields_set
    if body.value_class is not None and body.value_class not in value_classes:
        raise InvalidPayload.at("/value_class", "enum", expected=", ".join(value_classes))
    if "value_class" in named:
        profile.value_class = body.value_class
    if "circle" in named:
        profile.circle = body.circle
    if "contact" in named:
        _set_contact(profile, body)


def _set_contact(profile: MemberProfile, body: ProfileUpdate) -> None:
    contact = body.contact
    if contact is None:
        profile.channels = profile.days = profile.from_hour = profile.until_hour = None
        return
    if len(set(contact.channels)) != len(contact.channels):
        raise InvalidPayload.at("/contact/channels", "choice_repeated")
    if (contact.from_hour is None) != (contact.until_hour is None):
        raise InvalidPayload.at("/contact", "needed_together", names="from_hour, until_hour")
    if contact.from_hour is not None and contact.until_hour is not None and contact.from_hour >= contact.until_hour:
        raise InvalidPayload.at("/contact/until_hour", "hours_order")
    profile.channels = [channel.value for channel in contact.channels]
    profile.days, profile.from_hour, profile.until_hour = contact.days, contact.from_hour, contact.until_hour


async def _replace(session: AsyncSession, member_id: UUID, values: dict[str, list[Stored]]) -> None:
    kept = {(row.attribute_key, row.value): row for row in await _values(session, member_id, values)}
    wanted = {(key, one.value): one for key, found in values.items() for one in found}
    for place in kept.keys() - wanted.keys():
        await session.delete(kept[place])
    for key, value in sorted(wanted.keys() - kept.keys()):
        session.add(MemberAttribute(member_id=member_id, attribute_key=key, **wanted[key, value]._asdict()))


async def facts(session: AsyncSession, member_id: UUID) -> list[tuple[str, str]]:
    """All that is known of a member, retired attributes too, by name; whoever may see it."""
    kept = await session.get(MemberProfile, member_id) or _empty(member_id)
    seen = ("value_class", "circle", "channels", "days", "from_hour", "until_hour")
    own = {name: value for name in seen if (value := getattr(kept, name)) is not None}
    query = select(MemberAttribute).where(col(MemberAttribute.member_id) == member_id)
    rows = await session.scalars(query.order_by(col(MemberAttribute.attribute_key), col(MemberAttribute.value)))
    said = [(name, ", ".join(value) if isinstance(value, list) else str(value)) for name, value in own.items()]
    return said + [(row.attribute_key, row.value) for row in rows]


# --- household ---


async def household(session: AsyncSession, member_id: UUID) -> Sequence[HouseholdPerson]:
    """Who is of a member's household, as noted one after another."""
    query = select(HouseholdPerson).where(col(HouseholdPerson.member_id) == member_id)
    return (await session.scalars(query.order_by(col(HouseholdPerson.id)))).all()


async def add_person(
    session: AsyncSession, actor: Actor, member_id: UUID, body: HouseholdCreate, *, now: datetime
) -> HouseholdPerson:
    """Note somebody of the household.

    Raises:
        NotFound.
        HouseholdFull: there are enough.
        InvalidPayload: details of a minor, or a day of birth that lies in the future.
    """
    await visible_member(session, actor, member_id, locked=True)
    _require_adult(body, now)
    query = select(func.count()).where(col(HouseholdPerson.member_id) == member_id)
    if (await session.execute(query)).scalar_one() >= MAX_HOUSEHOLD:
        raise HouseholdFull(limit=MAX_HOUSEHOLD)
    added = HouseholdPerson(**body.model_dump(), member_id=member_id, recorded_at=now, recorded_by=actor.subject)
    session.add(added)
    await session.flush()
    return added


def _require_adult(body: HouseholdCreate, now: datetime) -> None:
    details = [name for name in ("name", "born_on", "drives") if getattr(body, name) is not None]
    if body.is_minor and details:
        raise InvalidPayload(errors=[FieldError(f"/{name}", "minor_details", {}) for name in details])
    if body.born_on is None:
        return
    today = china_date(now)
    if body.born_on > today:
        raise InvalidPayload.at("/born_on", "date_in_future")
    if is_minor(body.born_on, today):
        raise InvalidPayload.at("/born_on", "minor_details")


async def person(
    session: AsyncSession, actor: Actor, member_id: UUID, person_id: UUID, *, locked: bool = False
) -> HouseholdPerson:
    """Somebody of the household.

    Raises:
        NotFound.
    """
    await visible_member(session, actor, member_id)
    found = await session.get(HouseholdPerson, person_id, with_for_update=locked, populate_existing=locked)
    if found is None or found.member_id != member_id:
        raise NotFound("person of the household")
    return found


async def update_person(
    session: AsyncSession, actor: Actor, member_id: UUID, person_id: UUID, body: HouseholdUpdate, *,
    version: int, now: datetime,
) -> HouseholdPerson:  # fmt: skip
    """Change what the body names.

    Raises:
        NotFound, PreconditionFailed.
        InvalidPayload: details of a minor would be left, or a day of birth lies in the future.
    """
    found = await person(session, actor, member_id, person_id, locked=True)
    require_version(found, version)
    wanted = HouseholdCreate(**{name: getattr(found, name) for name in HouseholdCreate.model_fields})
    wanted = wanted.model_copy(update=body.model_dump(exclude_unset=True))
    _require_adult(wanted, now)
    change(found, wanted.model_dump() | {"recorded_at": now, "recorded_by": actor.subject})
    await session.flush()
    return found


async def remove_person(session: AsyncSession, actor: Actor, member_id: UUID, person_id: UUID) -> None:
    """Take somebody out of the household.

    Raises:
        NotFound.
    """
    await session.delete(await person(session, actor, member_id, person_id, locked=True))
    await session.flush()


# --- notes ---


class NotePosition(NamedTuple):
    """A place in a member's notes."""

    is_pinned: bool
    id: UUID


async def notes(
    session: AsyncSession, actor: Actor, member_id: UUID, *, after: NotePosition | None, limit: int
) -> Sequence[Note]:
    """A member's notes, the pinned first, newest first.

    Raises:
        NotFound.
    """
    await visible_member(session, actor, member_id)
    place = (col(Note.is_pinned), col(Note.id))
    query = select(Note).where(col(Note.member_id) == member_id).order_by(*(column.desc() for column in place))
    if after is not None:
        query = query.where(tuple_(*place) < tuple_(*after))
    return (await session.scalars(query.limit(limit))).all()


async def all_notes(session: AsyncSession, member_id: UUID) -> Sequence[Note]:
    """All that was written about a member, oldest first."""
    query = select(Note).where(col(Note.member_id) == member_id).order_by(col(Note.id))
    return (await session.scalars(query)).all()


async def note(session: AsyncSession, actor: Actor, member_id: UUID, note_id: UUID, *, locked: bool = False) -> Note:
    """One note.

    Raises:
        NotFound.
    """
    await visible_member(session, actor, member_id)
    found = await session.get(Note, note_id, with_for_update=locked, populate_existing=locked)
    if found is None or found.member_id != member_id:
        raise NotFound("note")
    return found


async def write_note(session: AsyncSession, actor: Actor, member_id: UUID, body: NoteCreate, *, now: datetime) -> Note:
    """Write a note.

    Raises:
        NotFound.
    """
    await visible_member(session, actor, member_id)
    written = Note(**body.model_dump(), member_id=member_id, written_at=now, written_by=actor.subject)
    session.add(written)
    await session.flush()
    return written


async def update_note(
    session: AsyncSession, actor: Actor, member_id: UUID, note_id: UUID, body: NoteUpdate, *, version: int
) -> Note:
    """Pin a note, or reword one's own.

    Raises:
        NotFound, PreconditionFailed.
        Forbidden: somebody else wrote it, and it is to say something else.
    """
    found = await note(session, actor, member_id, note_id, locked=True)
    require_version(found, version)
    if "text" in body.model_fields_set and found.written_by != actor.subject:
        raise Forbidden
    change(found, body.model_dump(exclude_unset=True))
    await session.flush()
    return found


async def delete_note(session: AsyncSession, actor: Actor, member_id: UUID, note_id: UUID) -> None:
    """Remove a note: one's own, or as who decides about members.

    Raises:
        NotFound.
        Forbidden: somebody else wrote it.
    """
    found = await note(session, actor, member_id, note_id, locked=True)
    if found.written_by != actor.subject and not actor.may(Right.MEMBERS_DECIDE):
        raise Forbidden
    await session.delete(found)
    await session.flush()
